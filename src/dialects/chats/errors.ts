/** `{"error": {"code": 404, "reason": "Not Found", "description": "..."}}` */

import { errorStatus, type ServiceError } from '#core/errors.ts';
import { reasonPhrase, type WireError } from '#http/route.ts';

export function toWireError(error: ServiceError): WireError {
  const status = errorStatus[error.code];
  return { status, body: { error: { code: status, reason: reasonPhrase(status), description: error.message } } };
}
