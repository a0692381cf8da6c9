/** Bodies: read within a limit, then decoded. An empty body is no body, whatever its `Content-Type`. */

import { isUtf8 } from 'node:buffer';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { ServiceError } from '#core/errors.ts';
import { parseJson } from './json.ts';
import { answered } from './write.ts';

export type BodyType = 'json' | 'form' | 'multipart';

export interface BodyRules {
  types: readonly BodyType[];
  /** Bytes. */
  limit: number;
  /** See `HttpRoute.repairJson`. */
  repairJson: ((text: string) => string) | undefined;
}

/** Most fields of a form. */
const MAX_FIELDS = 100;
/** How much of a body that nobody wants is read and thrown away, so that its sender sees the answer. Bytes. */
const LINGER = 1024 * 1024;
const JSON_ONLY: readonly BodyType[] = ['json'];
const NOTHING = Buffer.alloc(0);

/** What a route takes. */
export function bodyRules(
  route: { bodyTypes?: readonly BodyType[]; repairJson?(text: string): string },
  limit: number,
): BodyRules {
  return { types: route.bodyTypes ?? JSON_ONLY, limit, repairJson: route.repairJson?.bind(route) };
}

/**
 * Reads and decodes the body of a request, maybe at once: await what it gives. Undefined without one. Throws `body_too_large` (by its `Content-Length`
 * before a byte is read, else while reading), `unsupported_media_type`, `invalid_request`, and `SenderGone` where the
 * connection closed first.
 */
export function readBody(req: IncomingMessage, res: ServerResponse, rules: BodyRules): unknown {
  const { headers } = req;
  const length = Number(headers['content-length'] ?? 0);
  if (headers['transfer-encoding'] === undefined && length === 0) return undefined;
  if (length > rules.limit) throw tooLarge(rules.limit);
  const type = headers['content-type'] ?? '';
  const as = bodyType(type, headers['content-encoding'], rules.types);
  // A chunked body may still turn out to be empty, so its type is not refused before its first byte.
  if (length > 0 && as instanceof ServiceError) throw as;
  if (headers.expect !== undefined) res.writeContinue();
  const decode = (bytes: Buffer) => {
    if (bytes.length === 0 || as instanceof ServiceError) return undefined;
    return decodeBody(bytes, as, type, rules);
  };
  // A small body is there already, and needs no listeners.
  if (length > 0 && req.complete && req.readableLength === length) return decode(req.read() as Buffer);
  return collect(req, rules.limit, as instanceof ServiceError ? as : null).then(decode);
}

function decodeBody(bytes: Buffer, as: BodyType, type: string, { repairJson }: BodyRules): unknown {
  if (!isUtf8(bytes)) throw new ServiceError('invalid_request', 'The body is not valid UTF-8.');
  if (as !== 'json') return readForm(bytes, as, type);
  const text = bytes.toString('utf8');
  return parseJson(repairJson === undefined ? text : repairJson(text));
}

/** Targets of requests whose body is being read, by socket: a time limit of the parser names no request. */
export const reading = new WeakMap<Socket, string>();

/** The connection closed before the body was complete: there is nobody to answer. */
export class SenderGone extends Error {}

/** Throws away what is left of a body, a bounded part of it: past that the connection is closed. */
export function discardBody(req: IncomingMessage): void {
  if (req.complete || req.destroyed) return;
  const { socket } = req;
  let left = LINGER;
  answered.add(socket);
  req.on('data', (chunk: Buffer) => {
    left -= chunk.length;
    if (left < 0) socket.destroy();
  });
  req.on('end', () => answered.delete(socket));
}

/** The kind of body a `Content-Type` names, or why the route does not take it. */
function bodyType(type: string, encoding: string | undefined, types: readonly BodyType[]): BodyType | ServiceError {
  if (type === 'application/json' && encoding === undefined) return 'json';
  if (encoding !== undefined && encoding !== '' && encoding.toLowerCase() !== 'identity') {
    return new ServiceError('unsupported_media_type', 'Send the body as it is, without a Content-Encoding.');
  }
  const media = (type.split(';', 1)[0] ?? '').trim().toLowerCase();
  const kind = MEDIA.get(media) ?? (/^application\/[\w.-]+\+json$/.test(media) ? 'json' : undefined);
  if (kind === undefined || !types.includes(kind)) return unsupported(media, types);
  const charset = /;\s*charset\s*=\s*"?([^";\s]*)/i.exec(type)?.[1]?.toLowerCase();
  if (charset !== undefined && !CHARSETS.has(charset)) {
    return new ServiceError('unsupported_media_type', 'Send the body as UTF-8.');
  }
  return kind;
}

const MEDIA = new Map<string, BodyType>([
  ['application/json', 'json'],
  ['application/x-www-form-urlencoded', 'form'],
  ['multipart/form-data', 'multipart'],
]);
const CHARSETS = new Set(['utf-8', 'utf8', 'us-ascii', 'ascii']);

function unsupported(media: string, types: readonly BodyType[]): ServiceError {
  const got =
    media === '' ? 'The body has no Content-Type.' : `The Content-Type ${media.slice(0, 80)} is not supported here.`;
  const forms = types.length > 1 ? ', or send a form' : '';
  return new ServiceError(
    'unsupported_media_type',
    `${got} Send JSON with -H 'Content-Type: application/json'${forms}.`,
    { param: 'content-type' },
  );
}

/** `refuse` is thrown at the first byte. */
function collect(req: IncomingMessage, limit: number, refuse: ServiceError | null): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    reading.set(req.socket, req.url ?? '');
    req.on('data', onData);
    req.on('end', () => {
      resolve(chunks.length === 1 ? (chunks[0] ?? NOTHING) : Buffer.concat(chunks, size));
    });
    req.on('close', () => {
      reading.delete(req.socket);
      if (!req.complete) reject(new SenderGone());
    });

    function onData(chunk: Buffer): void {
      size += chunk.length;
      if (refuse === null && size <= limit) {
        chunks.push(chunk);
        return;
      }
      req.off('data', onData);
      reject(refuse ?? tooLarge(limit));
    }
  });
}

/** A form as an object of texts. Node's own parser reads it; the body is whole and bounded by now. */
async function readForm(bytes: Buffer, as: 'form' | 'multipart', type: string): Promise<Record<string, string>> {
  if (as === 'form' && bytes[0] === 0x7b) {
    throw new ServiceError(
      'invalid_request',
      "The body looks like JSON but was sent as a form. Send it with -H 'Content-Type: application/json'.",
      { param: 'content-type' },
    );
  }
  const fields = as === 'form' ? new URLSearchParams(bytes.toString('utf8')) : await readMultipart(bytes, type);
  const form: Record<string, string> = Object.create(null);
  let count = 0;
  for (const [name, value] of fields) {
    if (++count > MAX_FIELDS) throw new ServiceError('invalid_request', `The form has more than ${MAX_FIELDS} fields.`);
    if (typeof value !== 'string') throw field(name, 'This field may not be a file.');
    if (Object.hasOwn(form, name)) throw field(name, 'This field is given more than once.');
    checkText(name);
    checkText(value);
    form[name] = value;
  }
  return form;
}

async function readMultipart(bytes: Buffer, type: string): Promise<FormData> {
  const boundary = /;\s*boundary\s*=\s*"?([^";]+)/i.exec(type)?.[1];
  const malformed = new ServiceError('invalid_request', 'The body is not a valid multipart form.');
  if (boundary === undefined) throw malformed;
  if (occurrences(bytes, `--${boundary}`) > MAX_FIELDS + 1) {
    throw new ServiceError('invalid_request', `The form has more than ${MAX_FIELDS} fields.`);
  }
  try {
    return await new Response(new Uint8Array(bytes), { headers: { 'content-type': type } }).formData();
  } catch {
    throw malformed;
  }
}

/** How often `text` is in `bytes`, counted up to one past what a form may have. */
function occurrences(bytes: Buffer, text: string): number {
  let count = 0;
  for (let at = bytes.indexOf(text); at !== -1 && count <= MAX_FIELDS + 1; at = bytes.indexOf(text, at + text.length))
    count++;
  return count;
}

/** Throws where a text holds U+0000 or half a surrogate pair. */
export function checkText(text: string): void {
  if (text.includes('\0')) throw new ServiceError('invalid_request', 'The character U+0000 is in no text allowed.');
  if (!text.isWellFormed()) throw new ServiceError('invalid_request', 'Half a surrogate pair is no character.');
}

function field(name: string, sentence: string): ServiceError {
  return new ServiceError('invalid_request', `${name}: ${sentence}`, { param: name, fields: { [name]: [sentence] } });
}

function tooLarge(limit: number): ServiceError {
  return new ServiceError('body_too_large', `The body is larger than ${limit} bytes (PARLANCE_MAX_BODY).`);
}
