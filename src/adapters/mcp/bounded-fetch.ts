/** `fetch` for MCP servers over HTTP: through the configured proxy, and with bounded answers. */

import { type Dispatcher, EnvHttpProxyAgent, fetch } from 'undici';

export interface ProxySettings {
  http: string | null;
  https: string | null;
  /** As in `NO_PROXY`. */
  noProxy: string | null;
}

/** This machine is asked directly, whatever the proxy. */
const NEVER_PROXIED = 'localhost,127.0.0.1,::1,host.docker.internal';
const CONNECT_TIMEOUT_MS = 10_000;
const NEWLINE = 10;

/** The way to MCP servers. Times are kept by who calls, since a tool may take long. */
export function createDispatcher({ http, https, noProxy }: ProxySettings): Dispatcher {
  return new EnvHttpProxyAgent({
    // Given as '' and never left out: `undici` would look into the environment itself.
    httpProxy: http ?? '',
    httpsProxy: https ?? '',
    noProxy: `${noProxy ?? ''},${NEVER_PROXIED}`,
    connect: { timeout: CONNECT_TIMEOUT_MS },
    headersTimeout: 0,
    bodyTimeout: 0,
  });
}

/** @param maxMessage bytes of one JSON answer, or of one event of a stream; above it the answer breaks off */
export function boundedFetch(dispatcher: Dispatcher, maxMessage: number): typeof globalThis.fetch {
  return async (url, init) => {
    const asked = { ...(init as Parameters<typeof fetch>[1]), dispatcher };
    const response = (await fetch(url as string | URL, asked)) as unknown as Response;
    if (response.body === null) return response;
    const isStream = response.headers.get('content-type')?.includes('text/event-stream') === true;
    const body = response.body.pipeThrough(isStream ? limitEvents(maxMessage) : limitAll(maxMessage));
    const { status, statusText, headers } = response;
    return new Response(body, { status, statusText, headers: [...headers] });
  };
}

function limitAll(max: number): TransformStream<Uint8Array, Uint8Array> {
  let size = 0;
  return new TransformStream({
    transform(chunk, controller) {
      size += chunk.length;
      if (size > max) controller.error(new Error('The answer is too large.'));
      else controller.enqueue(chunk);
    },
  });
}

/** An event is a few lines, the longest of them its data. */
function limitEvents(max: number): TransformStream<Uint8Array, Uint8Array> {
  let line = 0;
  return new TransformStream({
    transform(chunk, controller) {
      const last = chunk.lastIndexOf(NEWLINE);
      line = last === -1 ? line + chunk.length : chunk.length - last - 1;
      if (line > max) controller.error(new Error('The answer is too large.'));
      else controller.enqueue(chunk);
    },
  });
}
