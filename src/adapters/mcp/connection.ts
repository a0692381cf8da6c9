/**
 * One MCP server: connected when it is first needed, and anew after it was lost, each time it fails later than before. A call
 * that was sent is never sent again.
 */

import type { CallToolResult, Client, Tool, Transport } from '@modelcontextprotocol/client';
import type { Dispatcher } from 'undici';
import type { Clock } from '#ports/clock.ts';
import { boundedFetch } from './bounded-fetch.ts';
import { codeOf, isNetwork, isUnknownSession, lastLine, reasonOf } from './errors.ts';
import type { McpServer } from './settings.ts';

export interface Connection {
  /** What the server offers now. Rejects with a sentence when it cannot be reached, or not within `patience` ms. */
  tools(patience: number, signal: AbortSignal): Promise<readonly Tool[]>;
  /** Rejects with a sentence for the model. */
  call(tool: string, given: Record<string, unknown>, signal: AbortSignal): Promise<CallToolResult>;
  /** Ends its process or its session; resolves within seconds. */
  close(): Promise<void>;
}

interface Open {
  client: Client;
  tools: readonly Tool[];
  /** Of a server over HTTP: it may forget us. */
  session: boolean;
  close(): Promise<void>;
}

/** Of a server that is started with a package runner, which may first have to fetch it. */
const CONNECT_MS = 60_000;
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 60_000;
/** Calls have their own limit, which is given as their signal. */
const NO_LIMIT_MS = 2 ** 31 - 1;
const PING_MS = 5_000;
const END_MS = 1_500;
const MAX_MESSAGE = 4 * 1024 * 1024;
const MAX_PAGES = 20;
/** The end of what a server wrote to its terminal: much more than is shown, so that no part of a secret is. */
const STDERR_KEPT = 4_000;

/** @param parts.onProblem given a sentence for the log, without secrets */
export function createConnection(
  server: McpServer,
  parts: { clock: Clock; version: string; dispatcher: Dispatcher; onProblem(says: string): void },
): Connection {
  const { clock, version, dispatcher, onProblem } = parts;
  const { reach } = server;
  let open: Open | null = null;
  let opening: Promise<Open> | null = null;
  /** What `opening` is made of. */
  let unfinished: Open | null = null;
  let failures = 0;
  let notBefore = 0;
  let lastReason = '';
  let closed = false;

  return { tools, call, close };

  async function tools(patience: number, signal: AbortSignal): Promise<readonly Tool[]> {
    const { promise: late, reject } = Promise.withResolvers<never>();
    const cancel = clock.after(patience, () => reject(new Error('it is still starting')));
    try {
      return (await Promise.race([connected(), late, aborted(signal)])).tools;
    } finally {
      cancel();
    }
  }

  async function call(tool: string, given: Record<string, unknown>, signal: AbortSignal): Promise<CallToolResult> {
    const it = await Promise.race([connected(), aborted(signal)]).catch((error) => {
      throw new Error(`"${server.name}" cannot be reached: ${reasonOf(error, server.secrets)}. The tool was not run.`);
    });
    try {
      return await ask(it, tool, given, signal);
    } catch (error) {
      if (!it.session || !isUnknownSession(error)) throw failureOf(it, error, signal);
      await drop(it);
      const anew = await connected();
      return await ask(anew, tool, given, signal).catch((again) => {
        throw failureOf(anew, again, signal);
      });
    }
  }

  function ask({ client }: Open, name: string, given: Record<string, unknown>, signal: AbortSignal) {
    return client.callTool({ name, arguments: given }, { signal, timeout: NO_LIMIT_MS });
  }

  /** What the model is told. What may have hung is looked at, and ended if it has. */
  function failureOf(it: Open, error: unknown, signal: AbortSignal): Error {
    const code = codeOf(error);
    if (signal.aborted) void endIfHung(it);
    else if (code === 'CONNECTION_CLOSED' || code === 'NOT_CONNECTED' || isNetwork(error)) void drop(it);
    if (code === 'CONNECTION_CLOSED') return new Error(`"${server.name}" ended in the middle of the call.`);
    return new Error(`"${server.name}" failed: ${reasonOf(error, server.secrets)}`);
  }

  async function endIfHung(it: Open): Promise<void> {
    try {
      await it.client.ping({ timeout: PING_MS });
    } catch (error) {
      const code = codeOf(error);
      if (code === 'REQUEST_TIMEOUT' || code === 'CONNECTION_CLOSED' || isNetwork(error)) await drop(it);
    }
  }

  async function drop(it: Open): Promise<void> {
    if (open === it) open = null;
    await it.close();
  }

  function connected(): Promise<Open> {
    if (closed) return Promise.reject(new Error('the server is shutting down'));
    if (open !== null) return Promise.resolve(open);
    if (opening !== null) return opening;
    if (clock.monotonic() < notBefore) return Promise.reject(new Error(lastReason));
    opening = connect();
    opening.then(
      (it) => {
        failures = 0;
        opening = null;
        if (closed) void it.close();
        else open = it;
      },
      (error: unknown) => {
        lastReason = reasonOf(error, server.secrets);
        notBefore = clock.monotonic() + Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** failures++);
        opening = null;
        if (!closed) onProblem(`The MCP server "${server.name}" cannot be used: ${lastReason}.`);
      },
    );
    return opening;
  }

  async function connect(): Promise<Open> {
    const { Client: McpClient } = await import('@modelcontextprotocol/client');
    const transport = await createTransport();
    const client = new McpClient(
      { name: 'parlance', version },
      {
        versionNegotiation: { mode: asksForVersion() ? 'auto' : 'legacy' },
        listMaxPages: MAX_PAGES,
        listChanged: {
          tools: {
            onChanged: (_error, items) => {
              if (items !== null) it.tools = items;
            },
          },
        },
        // What a tool gives goes to the model as it is: whether it has the promised shape is the model's to judge.
        jsonSchemaValidator: {
          getValidator: () => (input: unknown) => ({ valid: true, data: input as never, errorMessage: undefined }),
        },
      },
    );
    const it: Open = { client, tools: [], session: false, close: () => end(client, transport) };
    unfinished = it;
    try {
      await client.connect(transport.made, { timeout: CONNECT_MS });
      it.tools = (await client.listTools(undefined, { timeout: CONNECT_MS })).tools;
      it.session = reach.kind === 'http' && transport.made.sessionId !== undefined;
    } catch (error) {
      const said = reasonOf(error, server.secrets);
      await it.close();
      const written = transport.written();
      throw new Error(written === '' ? said : `${said}; it wrote: ${written}`);
    }
    client.onclose = () => {
      if (open !== it) return;
      open = null;
      onProblem(`The MCP server "${server.name}" has ended. It is started again when it is needed.`);
    };
    return it;
  }

  /** On stdio the question costs a process of its own, so that it is put to a server that fails without it. */
  function asksForVersion(): boolean {
    return reach.kind === 'http' || failures % 2 === 1;
  }

  async function createTransport(): Promise<{ made: Transport; pid(): number | null; written(): string }> {
    if (reach.kind === 'http') {
      const { StreamableHTTPClientTransport } = await import('@modelcontextprotocol/client');
      const made = new StreamableHTTPClientTransport(new URL(reach.url), {
        fetch: boundedFetch(dispatcher, MAX_MESSAGE),
        requestInit: { headers: reach.headers },
      });
      return { made, pid: () => null, written: () => '' };
    }
    const { StdioClientTransport } = await import('@modelcontextprotocol/client/stdio');
    const { command, args, env, cwd } = reach;
    // Of our own environment it gets what every program needs (PATH, HOME …), and no key.
    const made = new StdioClientTransport({
      command,
      args,
      env,
      stderr: 'pipe',
      maxBufferSize: MAX_MESSAGE,
      ...(cwd !== null && { cwd }),
    });
    let written = '';
    made.stderr?.on('data', (chunk: Buffer) => {
      written = (written + chunk.toString()).slice(-STDERR_KEPT);
    });
    return { made, pid: () => made.pid, written: () => lastLine(written, server.secrets) };
  }

  async function end(client: Client, transport: { made: Transport; pid(): number | null }): Promise<void> {
    const pid = transport.pid();
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const cancel = clock.after(END_MS, resolve);
    // A session is a server's memory: it may forget it now. It need not know how.
    const session = transport.made as { terminateSession?(): Promise<void> };
    const gone = Promise.resolve(session.terminateSession?.())
      .catch(() => undefined)
      .then(() => client.close())
      .catch(() => undefined);
    const ended = await Promise.race([gone.then(() => true), late.then(() => false)]);
    cancel();
    if (!ended && pid !== null) kill(pid);
    if (!ended) await client.close().catch(() => undefined);
  }

  async function close(): Promise<void> {
    closed = true;
    const it = open ?? (opening === null ? null : unfinished);
    open = null;
    await it?.close();
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const stop = () => reject(new Error('it was given up'));
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  });
}
