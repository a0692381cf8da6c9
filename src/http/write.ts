/** The one place that writes answers: JSON, texts, errors and the heads of streams, on requests and refused upgrades. */

import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { reasonPhrase } from './route.ts';

const JSON_TYPE = 'application/json; charset=utf-8';

/** On every answer. An API answer is nobody's page, frame or cache entry; `/docs` says otherwise for itself. */
const BASE_HEADERS: readonly (readonly [string, string])[] = [
  ['cache-control', 'no-store'],
  ['content-security-policy', "default-src 'none'; frame-ancestors 'none'"],
  ['cross-origin-resource-policy', 'same-origin'],
  ['referrer-policy', 'no-referrer'],
  ['x-content-type-options', 'nosniff'],
];

const STUCK_MS = 60_000;

/** What a listed origin's script may read besides the body. */
const EXPOSED =
  'link, location, ratelimit-limit, ratelimit-remaining, ratelimit-reset, retry-after, x-conversation-id, x-request-id';

/** Facts of an answer that are not in the handler's reply. */
export interface Envelope {
  requestId: string;
  /** The listed origin, see `Visit.cors`. */
  cors: string | null;
  /** What is left of the caller's limit; null on answers that are not counted. */
  admission: { limit: number; remaining: number; reset: number } | null;
}

/** Sockets whose present request has its answer, or the beginning of it, already: an error may not be written there. */
export const answered = new WeakSet<Socket>();

/** Headers as a flat list, the form Node writes fastest. `extra` wins over the defaults. */
export function headersOf(envelope: Envelope, extra?: Record<string, string>): string[] {
  const list: string[] = ['x-request-id', envelope.requestId];
  for (const [name, value] of BASE_HEADERS) {
    if (extra === undefined || extra[name] === undefined) list.push(name, value);
  }
  const { admission, cors } = envelope;
  if (admission !== null) {
    list.push(
      'ratelimit-limit',
      String(admission.limit),
      'ratelimit-remaining',
      String(admission.remaining),
      'ratelimit-reset',
      String(admission.reset),
    );
  }
  if (cors !== null) {
    list.push('access-control-allow-origin', cors, 'access-control-expose-headers', EXPOSED, 'vary', 'origin');
  }
  if (extra !== undefined) for (const name in extra) list.push(name, extra[name] ?? '');
  return list;
}

/** Writes a whole answer; without `text` it has no body. */
export function writeAnswer(
  res: ServerResponse,
  status: number,
  headers: string[],
  text?: string | Uint8Array,
  contentType: string = JSON_TYPE,
): void {
  if (status === 204 || status === 304) {
    res.writeHead(status, headers as unknown as OutgoingHttpHeaders);
    res.end();
    return;
  }
  const body = text ?? '';
  const length = Buffer.byteLength(body);
  if (text !== undefined) headers.push('content-type', contentType);
  headers.push('content-length', String(length));
  res.writeHead(status, headers as unknown as OutgoingHttpHeaders);
  if (typeof body !== 'string') res.end(body);
  // As many bytes as characters: it is ASCII, which Node writes without looking for what to encode.
  else res.end(body, length === body.length ? 'latin1' : 'utf8');
  dropIfStuck(res.socket);
}

/** Drops a reader who takes nothing of what is left of an answer for one to two minutes. Ends with the answer. */
export function dropIfStuck(socket: Socket | null): void {
  if (socket !== null && socket.writableLength > 0) socket.setTimeout(STUCK_MS);
}

/** Writes a whole answer on a bare socket, and closes it: for what never became a request. */
export function writeRaw(socket: Socket, status: number, headers: string[], text: string): void {
  const all = [
    ...headers,
    'content-type',
    JSON_TYPE,
    'content-length',
    String(Buffer.byteLength(text)),
    'connection',
    'close',
  ];
  let head = `HTTP/1.1 ${status} ${reasonPhrase(status)}\r\n`;
  for (let i = 0; i < all.length; i += 2) head += `${all[i]}: ${all[i + 1]}\r\n`;
  socket.end(`${head}\r\n${text}`);
}
