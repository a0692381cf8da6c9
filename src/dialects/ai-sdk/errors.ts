/** `{"error": {"message", "type", "param", "code"}}`, as all of the standards. */

import type { ServiceError } from '#core/errors.ts';
import type { WireError } from '#http/route.ts';
import { plainError } from '#http/system.ts';

export function toWireError(error: ServiceError): WireError {
  return plainError(error);
}
