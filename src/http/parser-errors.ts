/** Answers to what Node's HTTP parser refuses: there is no request then, only a socket and maybe the first bytes. */

import type { Socket } from 'node:net';
import { ServiceError } from '#core/errors.ts';
import { reading } from './body.ts';
import { MAX_TARGET, targetTooLong } from './gate.ts';
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
  const { dialect } = parts.endOf(target ?? reading.get(socket) ?? '');
  const wire = dialect.error(explain(error, target ?? ''));
  const headers = headersOf({ requestId: parts.requestId(), cors: null, admission: null });
  socket.once('error', () => {});
  writeRaw(socket, wire.status, headers, JSON.stringify(wire.body));
  socket.destroySoon();
}

function startOf(packet: unknown): string {
  return packet instanceof Uint8Array ? Buffer.from(packet.subarray(0, 2 * MAX_TARGET)).toString('latin1') : '';
}

function explain({ code }: ParserError, target: string): ServiceError {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      if (target.length > MAX_TARGET) return targetTooLong();
      return new ServiceError('headers_too_large', 'The request headers are too large.');
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return new ServiceError('body_too_large', 'The chunk extensions are too large.');
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new ServiceError('request_timeout', 'The request took too long to arrive.');
    default:
      return new ServiceError('invalid_request', 'The request is not valid HTTP.');
  }
}
