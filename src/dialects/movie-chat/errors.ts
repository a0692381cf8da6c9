/** `{"detail": "..."}`, and with bad input each field's texts beside it: `"content": ["This field is required."]`. */

import { errorStatus, type ServiceError } from '#core/errors.ts';
import type { WireError } from '#http/route.ts';

export function toWireError(error: ServiceError): WireError {
  return { status: errorStatus[error.code], body: { detail: error.message, ...error.details.fields } };
}
