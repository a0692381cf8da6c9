/** Whether the server can listen where it shall, and what is there if not. */

import { createServer } from 'node:net';
import type { Config } from '../config.ts';

/** Why it cannot listen. */
export interface PortProblem {
  /** As a sentence with the way out. */
  sentence: string;
  /** Where a Parlance server answers instead; null if it is another program, or something else is wrong. */
  running: string | null;
}

const PROBE_MS = 2000;
/** This machine has no such address: the server listens on its others. */
const NO_ADDRESS = ['EADDRNOTAVAIL', 'EAFNOSUPPORT'];

/** Tries all addresses of the configuration for a moment; null if it can listen. */
export async function findPortProblem({ listen: { hosts, port } }: Config): Promise<PortProblem | null> {
  const codes = await Promise.all(hosts.map((host) => tryToListen(host, port)));
  const i = codes.findIndex((code) => code !== null && !NO_ADDRESS.includes(code));
  const host = hosts[i] ?? hosts[0] ?? '';
  const code = codes[i] ?? codes.find((one) => one !== null);
  if (code === undefined || (i < 0 && codes.includes(null))) return null;
  const running = code === 'EADDRINUSE' ? await findParlance(host, port) : null;
  return { sentence: sentenceOf(code, host, port, running), running };
}

function sentenceOf(code: string, host: string, port: number, running: string | null): string {
  const next = port < 65_535 ? port + 1 : port - 1;
  const wayOut = `stop that one, or take another port with npm start -- --port ${next} (or PORT=${next})`;
  if (running !== null) return `Parlance is running at ${running} already: ${wayOut}.`;
  if (code === 'EADDRINUSE') return `Port ${port} is taken by another program: ${wayOut}.`;
  if (code === 'EACCES') return `Port ${port} is not for this account to use: take one above 1023 with PORT.`;
  if (NO_ADDRESS.includes(code)) {
    return `This machine has no address ${host} to listen on: set PARLANCE_HOST to one that it has, or to 0.0.0.0.`;
  }
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') {
    return `PARLANCE_HOST names ${host}, which is not known: set it to an address of this machine, or to 0.0.0.0.`;
  }
  return `The server cannot listen on port ${port} of ${host} (${code}): set PORT or PARLANCE_HOST to another.`;
}

/** The system's error code; null if it can be done. */
function tryToListen(host: string, port: number): Promise<string | null> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(null)));
  });
}

async function findParlance(host: string, port: number): Promise<string | null> {
  const reached = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  const url = `http://${reached.includes(':') ? `[${reached}]` : reached}:${port}`;
  try {
    const answer = await fetch(`${url}/healthz`, { signal: AbortSignal.timeout(PROBE_MS) });
    const { status } = (await answer.json()) as { status?: unknown };
    return status === 'ok' && answer.headers.has('x-request-id') ? url : null;
  } catch {
    return null;
  }
}
