/** The search engines of a configuration, in the order they are tried. */

import { type Dispatcher, EnvHttpProxyAgent } from 'undici';
import type { WebSearch } from '#ports/web-search.ts';
import { createBrave } from './brave.ts';
import { createSearxng } from './searxng.ts';
import { createTavily } from './tavily.ts';
import { createWikipedia } from './wikipedia.ts';

export interface WebSearchConfig {
  /** The address of a SearXNG server. */
  searxng: string | null;
  /** Keys. */
  brave: string | null;
  tavily: string | null;
  proxy: {
    http: string | null;
    https: string | null;
    /** As in `NO_PROXY`: names, suffixes, `host:port`, `*`. */
    noProxy: string | null;
  };
  /** Another way out than `proxy` says. */
  dispatcher?: Dispatcher;
}

/** This machine is asked directly, whatever the proxy. */
const NEVER_PROXIED = 'localhost,127.0.0.1,::1,host.docker.internal';
const CONNECT_TIMEOUT_MS = 10_000;

/** Wikipedia where none is configured: it needs no key. Nothing is connected before the first search. */
export function createWebSearch(config: WebSearchConfig): WebSearch[] {
  const { searxng, brave, tavily, proxy } = config;
  const dispatcher =
    config.dispatcher ??
    // Given as '' and never left out: `undici` would look into the environment itself.
    new EnvHttpProxyAgent({
      httpProxy: proxy.http ?? '',
      httpsProxy: proxy.https ?? '',
      noProxy: `${proxy.noProxy ?? ''},${NEVER_PROXIED}`,
      connect: { timeout: CONNECT_TIMEOUT_MS },
    });
  const engines: WebSearch[] = [];
  if (searxng !== null) engines.push(createSearxng({ baseUrl: searxng, dispatcher }));
  if (brave !== null) engines.push(createBrave({ key: brave, dispatcher }));
  if (tavily !== null) engines.push(createTavily({ key: tavily, dispatcher }));
  return engines.length > 0 ? engines : [createWikipedia({ dispatcher })];
}
