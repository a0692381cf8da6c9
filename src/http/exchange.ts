/** One request and its answer: the state on the way, and how it ends well or badly. */

import type { ServerResponse } from 'node:http';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ServiceError } from '#core/errors.ts';
import { discardBody, SenderGone } from './body.ts';
import type { RouteMeter } from './metrics.ts';
import type { Dialect } from './route.ts';
import { type Envelope, headersOf, writeAnswer } from './write.ts';

/** What a logger must offer; pino does. */
export interface Log {
  warn(facts: object, message: string): void;
  error(facts: object, message: string): void;
}

export class Exchange implements Envelope {
  readonly request: FastifyRequest;
  readonly res: ServerResponse;
  readonly dialect: Dialect;
  readonly requestId: string;
  cors: string | null = null;
  admission: Envelope['admission'] = null;
  readonly #meter: RouteMeter;
  readonly #since: number;
  readonly #log: Log;

  /** `since` is now, on the monotonic clock of the meter. */
  constructor(
    request: FastifyRequest,
    reply: FastifyReply,
    facts: { dialect: Dialect; meter: RouteMeter; since: number; log: Log },
  ) {
    // Fastify routes; answers are written by `write.ts`, streams and refused upgrades like the rest.
    reply.hijack();
    this.request = request;
    this.res = reply.raw;
    this.requestId = request.id;
    this.dialect = facts.dialect;
    this.#meter = facts.meter;
    this.#since = facts.since;
    this.#log = facts.log;
  }

  /** Counts the answer; called when it begins. */
  begun(status: number): void {
    this.#meter(status, this.#since);
  }

  /** Writes a whole answer, without a body if there is no `text`. What is left of the request's body is not kept. */
  write(status: number, headers?: Record<string, string>, text?: string | Uint8Array, contentType?: string): void {
    discardBody(this.request.raw);
    this.begun(status);
    writeAnswer(this.res, status, headersOf(this, headers), text, contentType);
  }

  /** Answers with an error in the dialect's shape. What is no `ServiceError` is a 500 that says nothing, and a log line. */
  fail(thrown: unknown): void {
    const { res, dialect } = this;
    if (thrown instanceof SenderGone) {
      this.begun(499);
      return;
    }
    const error = thrown instanceof ServiceError ? thrown : new ServiceError('internal', 'Internal server error');
    if (error.code === 'internal') this.logFailure(thrown);
    if (res.headersSent || res.destroyed) {
      res.destroy();
      return;
    }
    const wire = dialect.error(error);
    this.write(wire.status, error.details.headers, JSON.stringify(wire.body));
  }

  logFailure(error: unknown): void {
    const { method, routeOptions } = this.request;
    const facts = { err: error, requestId: this.requestId, dialect: this.dialect.name, method, path: routeOptions.url };
    this.#log.error(facts, 'A request failed');
  }
}
