/** Reads event streams byte by byte, cuts them where it is told to, and comes back with `Last-Event-ID`. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { request } from 'node:http';
import { fileURLToPath } from 'node:url';
import type { TestServer } from '../test/support/server.ts';

export interface Piece {
  status: number;
  /** The body as far as it was read. */
  bytes: Buffer;
  /** When each stretch of it came, and how long the body was then. */
  arrivals: { at: number; length: number }[];
  /** It ended, and was not cut. */
  whole: boolean;
}

/**
 * Reads the answer of a chat after event `after`, until it ends, or `cut` says that the body so far is enough: by its
 * number of bytes, then exactly so many are taken.
 */
export function readInference(
  server: TestServer,
  {
    user,
    chat,
    after = '',
    cut,
  }: { user: string; chat: string; after?: string; cut?: (body: Buffer) => number | null },
): Promise<Piece> {
  return new Promise((resolve, reject) => {
    const headers = {
      authorization: `Bearer ${server.ownerKey}`,
      'x-user-id': user,
      ...(after !== '' && { 'last-event-id': after }),
    };
    const sent = request(`${server.url}/conversations/inference/${chat}`, { headers, agent: false });
    sent.once('error', reject);
    sent.once('response', (response) => {
      const piece: Piece = { status: response.statusCode ?? 0, bytes: Buffer.alloc(0), arrivals: [], whole: false };
      const chunks: Buffer[] = [];
      let length = 0;
      sent.on('error', () => {});
      const done = (whole: boolean, take = length) => {
        resolve({ ...piece, bytes: Buffer.concat(chunks).subarray(0, take), whole });
        response.destroy();
      };
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        length += chunk.length;
        piece.arrivals.push({ at: performance.now(), length });
        if (cut === undefined) return;
        const take = cut(Buffer.concat(chunks));
        if (take !== null && take <= length) done(false, take);
      });
      response.once('end', () => done(true));
      response.once('error', () => done(false));
      response.once('close', () => done(false));
    });
    sent.end();
  });
}

/** The whole events of a body, without comments, and the id of the last one. */
export function wholeEvents(bytes: Buffer): { events: string; lastId: string } {
  const text = bytes.toString('latin1');
  const end = text.lastIndexOf('\n\n');
  const events = text.slice(0, end === -1 ? 0 : end + 2).replace(/^:[^\n]*\n\n/gm, '');
  const ids = events.match(/^id: (\d+)$/gm) ?? [];
  return { events, lastId: ids.at(-1)?.slice(4) ?? '' };
}

/** The text of whole events of dialect 3. */
export function eventsText(events: string): string {
  return Buffer.from(
    events
      .split('\n\n')
      .filter((event) => event.includes('\ndata: ') && !event.includes('\nevent: '))
      .map((event) => event.slice(event.indexOf('\ndata: ') + 7).replaceAll('\ndata: ', '\n'))
      .join(''),
    'latin1',
  ).toString();
}

/** A text of the fake model's paced tokens, without the times they carry. */
export function unstamped(text: string): string {
  return (text.match(/[\s\S]{9}/g) ?? []).map((token) => token.slice(0, 4)).join('');
}

const READERS = fileURLToPath(new URL('readers.py', import.meta.url));

/**
 * Readers that go wrong, in a process of their own: `stopped` ones read nothing behind the head, `deaf` ones vanish
 * without a word. Resolves when all of them do so; `leave` has them go. Needs python3.
 */
export async function openReaders(
  server: TestServer,
  mode: 'stopped' | 'deaf',
  { user, path, count }: { user: string; path: string; count: number },
): Promise<{ leave(): Promise<void> }> {
  const headers = { authorization: `Bearer ${server.ownerKey}`, 'x-user-id': user, accept: 'text/event-stream' };
  const args = [READERS, mode, new URL(server.url).port, String(count), path, JSON.stringify(headers)];
  const child = spawn('python3', args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  const [word] = await Promise.race([once(child.stdout, 'data'), exited]);
  if (String(word).trim() !== 'ready') throw new Error(`python3, which this needs, ended with ${word}.`);
  return {
    async leave() {
      child.stdin.end();
      await exited;
    },
  };
}
