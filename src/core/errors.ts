/**
 * The one catalogue of what can go wrong. A dialect's `errors.ts` turns a code into its own wire shape; nothing outside
 * a dialect knows how an error looks.
 */

/** Code → the HTTP status every dialect gives it, unless its document says otherwise. */
export const errorStatus = {
  /** Bad input: malformed, missing, empty, too long, of the wrong type. */
  invalid_request: 400,
  /** `/v1/responses`: the response to go on from is unknown, or somebody else's. */
  previous_response_not_found: 400,
  /** A socket has been open as long as it may. */
  websocket_connection_limit_reached: 400,
  /** No key where one is needed. */
  key_required: 401,
  /** A wrong, revoked or expired key. */
  unauthorized: 401,
  /** A key that is right but too small, or a Host or Origin that is not listed. */
  forbidden: 403,
  /** Unknown, or somebody else's: nobody can tell which. */
  not_found: 404,
  model_not_found: 404,
  method_not_allowed: 405,
  /** The request took too long to arrive. */
  request_timeout: 408,
  /** The state of the conversation does not allow it: busy with `on_busy: reject`, nothing to answer. */
  conflict: 409,
  /** A cursor older than what is kept. */
  cursor_expired: 410,
  body_too_large: 413,
  uri_too_long: 414,
  unsupported_media_type: 415,
  /** The same `Idempotency-Key` with another command. */
  idempotency_mismatch: 422,
  /** A plain request on a route that is a WebSocket. */
  upgrade_required: 426,
  rate_limited: 429,
  headers_too_large: 431,
  internal: 500,
  /** The answer broke off after its first token; what was written is kept. */
  answer_incomplete: 502,
  /** The model refused or failed before its first token. */
  model_failed: 503,
  /** No model can be reached after all allowed tries. */
  model_unreachable: 503,
  /** The model said nothing within the time limit. */
  model_silent: 504,
  /** A bound of this server is reached (runs, followers), or it is draining. */
  overloaded: 503,
  /** The disk is full: reads go on, writes do not. */
  storage_full: 507,
} as const;

export type ErrorCode = keyof typeof errorStatus;

/** What an error may say besides its code and sentence. */
export interface ErrorDetails {
  /** The one field, header or parameter that is wrong. */
  param?: string;
  /** Several wrong fields: name → sentences. */
  fields?: Record<string, string[]>;
  /** Headers that belong to the answer, such as `Retry-After` and `Allow`. */
  headers?: Record<string, string>;
}

/** An error that is part of the interface: its message is a sentence a caller may read, with what to do. */
export class ServiceError extends Error {
  readonly code: ErrorCode;
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'ServiceError';
    this.code = code;
    this.details = details;
  }
}

/** The same 404 for what does not exist and for what is somebody else's (promise 6). */
export function notFound(what = 'Resource'): ServiceError {
  return new ServiceError('not_found', `${what} not found`);
}

/** Bad input, naming the field where there is one. */
export function invalid(message: string, param?: string): ServiceError {
  return new ServiceError(
    'invalid_request',
    message,
    param === undefined ? {} : { param, fields: { [param]: [message] } },
  );
}
