/** `{"errors": "Bad Request", "details": "..."}`: the status in words, as documented, and beside it what is wrong. */

import { errorStatus, type ServiceError } from '#core/errors.ts';
import { reasonPhrase, type WireError } from '#http/route.ts';

export function toWireError(error: ServiceError): WireError {
  const status = errorStatus[error.code];
  return { status, body: { errors: reasonPhrase(status), details: error.message } };
}
