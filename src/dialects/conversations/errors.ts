/** FastAPI's shape: `{"detail": "..."}`, with the document's own sentences for 404 and 500. */

import { errorStatus, type ServiceError } from '#core/errors.ts';
import type { WireError } from '#http/route.ts';

const DOCUMENTED: Record<number, string> = { 404: 'Resource not found', 500: 'Internal server error' };

export function toWireError(error: ServiceError): WireError & { body: { detail: string } } {
  const status = errorStatus[error.code];
  return { status, body: { detail: DOCUMENTED[status] ?? error.message } };
}
