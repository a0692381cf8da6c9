/**
 * Routes are data, not plugins (DESIGN.md, The house). A dialect is a table of these; `server.ts` registers it, and the
 * OpenAPI document, the access walker and the idempotency tests read the same table.
 */

import { type IncomingHttpHeaders, STATUS_CODES } from 'node:http';
import type { z } from 'zod';
import type { ServiceError } from '#core/errors.ts';
import type { Once } from '#core/once.ts';
import type { Principal, Scope } from '#core/principal.ts';

/** One of the chat APIs served. */
export interface Dialect {
  /** The folder's name. */
  name: string;
  /** The document or specification, in a few words, for `/docs`. */
  title: string;
  /** Path prefixes whose unknown paths and framework errors take this dialect's error shape; the longest claim wins. */
  claims: string[];
  /** `key`: always wants one. `local`: works without one in local mode. */
  access: 'key' | 'local';
  /** Whether callers name their user by `X-User-ID` or `user_id` (DIALECTS.md, section 2). */
  namesUser: boolean;
  /**
   * One of the standards (`/v1`, `/ui`): in local mode only what begins with `plk_` is taken for a key, and requests that
   * start no run have a bucket of their own. Elsewhere every counted request is in one bucket.
   */
  standard?: boolean;
  /** An error in the dialect's own shape. */
  error(error: ServiceError): WireError;
  routes: Route[];
}

export interface WireError {
  status: number;
  body: unknown;
}

/** `Not Found` for 404. */
export function reasonPhrase(status: number): string {
  return STATUS_CODES[status] ?? 'Error';
}

/** What a handler is given: everything decoded, checked and admitted. */
export interface Call<Params = unknown, Query = unknown, Body = unknown> {
  principal: Principal;
  params: Params;
  query: Query;
  body: Body;
  headers: IncomingHttpHeaders;
  /** The caller's, as far as trusted proxies tell; for limits on who is not known yet. */
  readonly address: string;
  /** The `Idempotency-Key` with the digest of the decoded command; null without the header, and on reads. */
  once: Once | null;
  /** Aborted when the caller is gone before it was answered; for what nobody else waits for. Made when first asked for. */
  readonly signal: AbortSignal;
}

/** What a handler returns: a JSON answer (no `body`: an empty one), a text, or a stream. One place writes them. */
export type Reply = JsonReply | TextReply | BytesReply | StreamReply;

export interface JsonReply {
  status: number;
  body?: unknown;
  headers?: Record<string, string>;
}

/** Anything but JSON. */
export interface TextReply {
  status: number;
  text: string;
  contentType: string;
  headers?: Record<string, string>;
}

/** A file as it is sent. */
export interface BytesReply {
  status: number;
  bytes: Uint8Array;
  contentType: string;
  headers?: Record<string, string>;
}

/** `text/event-stream`. What is written is sent as it is, one socket write each. */
export interface StreamReply {
  headers?: Record<string, string>;
  /** Called once the head is sent. */
  stream(out: EventOut): StreamSource;
}

export interface EventOut {
  /** False when the reader is behind: nothing more may be written until `resume` is called. */
  write(text: string): boolean;
  /** Ends the stream, after a last text if there is one. */
  end(text?: string): void;
}

/** What feeds a stream or socket; it holds a cursor, not a queue. Not called any more once it has ended or been stopped. */
export interface StreamSource {
  /** There is room again. */
  resume(): void;
  /** The reader is gone, or its key was revoked. Called once. */
  stop(): void;
}

/** What documents an answer: the status, the schema of its body and a true example. */
export interface Answer {
  status: number;
  description: string;
  schema?: z.ZodType;
  example?: unknown;
  contentType?: string;
}

interface RouteFacts<P extends z.ZodType, Q extends z.ZodType> {
  /** As documented, without a trailing slash; `:name` for parameters. */
  path: string;
  summary: string;
  /** What the caller's key must have. */
  scope: Scope;
  params?: P;
  query?: Q;
}

export interface HttpRoute<
  P extends z.ZodType = z.ZodType,
  Q extends z.ZodType = z.ZodType,
  B extends z.ZodType = z.ZodType,
> extends RouteFacts<P, Q> {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Absent: the route takes no body, and one that is sent is ignored. */
  body?: B;
  /** What a body may be written as; JSON only by default. */
  bodyTypes?: ('json' | 'form' | 'multipart')[];
  /** Turns the text of a JSON body into one `JSON.parse` takes, where a document's own examples are not (dialect 1). */
  repairJson?(text: string): string;
  /** A true example of the body. */
  example?: unknown;
  answers: Answer[];
  /** The kind of a counted request: one that can start a run, or any other (they differ in the standards); `none`: free. */
  counts: 'run' | 'other' | 'none';
  /** A GET that gives an event stream, and takes a ticket for it (DESIGN.md, Access). */
  streams?: true;
  /**
   * Answers anybody. `true`: no key, no Host or Origin check, a principal who may do nothing. `unless-known`: whoever is
   * known is known, and whoever shows neither key nor session is nobody.
   */
  open?: true | 'unless-known';
  handle(call: Call<z.infer<P>, z.infer<Q>, z.infer<B>>): Promise<Reply>;
}

/** A WebSocket. Its upgrade is refused before it happens when the caller may not have it; frames are text. */
export interface SocketRoute<P extends z.ZodType = z.ZodType, Q extends z.ZodType = z.ZodType>
  extends RouteFacts<P, Q> {
  method: 'SOCKET';
  /** Largest frame taken, in bytes; above it close 1009. */
  maxFrame: number;
  /** It is closed when it has been open for so long; absent: never. */
  lifetimeMs?: number;
  /** What it throws refuses the upgrade before it happens, in the dialect's HTTP error shape. */
  check?(call: Call<z.infer<P>, z.infer<Q>, undefined>): void | Promise<void>;
  open(call: Call<z.infer<P>, z.infer<Q>, undefined>, socket: SocketOut): SocketSource;
}

export interface SocketOut {
  /** False when the reader is behind: nothing more may be sent until `resume` is called. */
  send(text: string): boolean;
  /** Closes it; `stop` of its source follows. */
  close(code: number, reason: string): void;
  /** Counts one frame as one request; throws `rate_limited`. */
  admit(): void;
  /** The same as `Call.once`, for a frame with a key of its own; throws `invalid_request` for a key that is none. */
  once(key: string, command: unknown): Once;
  /** Logs what should not have happened; the socket stays open. */
  failed(error: unknown): void;
}

export interface SocketSource extends StreamSource {
  /** One text frame. A binary frame never comes here: it is closed with 1003. */
  message(text: string): void;
  /** It has been open as long as it may: for a last word before it is closed. */
  expire?(): void;
}

export type Route = HttpRoute | SocketRoute;

/** Writes a route with its types inferred from its schemas, and forgets them, so that a table can hold it. */
export function route<P extends z.ZodType, Q extends z.ZodType, B extends z.ZodType>(facts: HttpRoute<P, Q, B>): Route {
  return facts as unknown as Route;
}

/** The same for a WebSocket. */
export function socketRoute<P extends z.ZodType, Q extends z.ZodType>(facts: SocketRoute<P, Q>): Route {
  return facts as unknown as Route;
}
