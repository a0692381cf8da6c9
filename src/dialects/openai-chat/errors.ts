/** `{"error": {"message", "type", "param", "code"}}`, `param` and `code` always texts. */

import type { ServiceError } from '#core/errors.ts';
import type { WireError } from '#http/route.ts';
import { plainError } from '#http/system.ts';

export function toWireError(error: ServiceError): WireError {
  return plainError(error);
}
