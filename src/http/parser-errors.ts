/** Answers to what Node's HTTP parser refuses: there is no request then, only a socket and maybe the first bytes. */

import type { Socket } from 'node:net';
import { ServiceError } from '#core/errors.ts';
import { reading } from './body.ts';
import { MAX_TARGET } from './gate.ts';
import type { Dialect } from './route.ts';
import { answered, headersOf, writeRaw } from './write.ts';

/** An error of the parser, with the packet it stumbled over. */
interface ParserError extends Error {
  code?: string | undefined;
  rawPacket?: unknown;
}

/** Handles the `clientError` of an HTTP server: an answer in the shape of whoever claims the path, then the end. */
export function answerParserError(
  error: ParserError,
  socket: Socket,
  parts: { endOf(target: string): { dialect: Dialect }; requestId(): string },
): void {
  if (error.code === 'ECONNRESET' || !socket.writable || answered.has(socket)) {
    socket.destroy();
    return;
  }
  const target = /^[!-~]+ (\S*)/.exec(startOf(error.rawPacket))?.[1];
  const { said, status } = explain(error, target ?? '');
  const { dialect } = parts.endOf(target ?? reading.get(socket) ?? '');
  const wire = dialect.error(said);
  const headers = headersOf({ requestId: parts.requestId(), cors: null, admission: null });
  socket.once('error', () => {});
  writeRaw(socket, status ?? wire.status, headers, JSON.stringify(wire.body));
  socket.destroySoon();
}

function startOf(packet: unknown): string {
  return packet instanceof Uint8Array ? Buffer.from(packet.subarray(0, 2 * MAX_TARGET)).toString('latin1') : '';
}

/** `status` where the catalogue of errors has no code of its own. */
function explain({ code }: ParserError, target: string): { said: ServiceError; status: number | null } {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      if (target.length > MAX_TARGET) {
        const message = `The request target is longer than ${MAX_TARGET} characters.`;
        return { said: new ServiceError('invalid_request', message), status: 414 };
      }
      return { said: new ServiceError('headers_too_large', 'The request headers are too large.'), status: null };
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return { said: new ServiceError('body_too_large', 'The chunk extensions are too large.'), status: null };
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return { said: new ServiceError('invalid_request', 'The request took too long to arrive.'), status: 408 };
    default:
      return { said: new ServiceError('invalid_request', 'The request is not valid HTTP.'), status: null };
  }
}
