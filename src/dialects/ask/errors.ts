/** `{"error": "<text>"}` */

import { errorStatus, type ServiceError } from '#core/errors.ts';
import type { WireError } from '#http/route.ts';

export function toWireError(error: ServiceError): WireError {
  const text = error.code === 'key_required' ? 'access_token is required' : error.message;
  return { status: errorStatus[error.code], body: { error: text } };
}
