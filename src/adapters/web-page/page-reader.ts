/** Reads pages of the web: asks `robots.txt`, fetches under guard, and has the text read in a thread of its own. */

import type { PageReader, WebPage } from '#ports/web-page.ts';
import {
  createGuardedClient,
  type Fetched,
  FetchRefused,
  type Guard,
  type GuardedClient,
  PRODUCT,
} from './guarded-fetch.ts';
import { createPageTexts } from './page-texts.ts';
import {
  ALLOW_ALL,
  DISALLOW_ALL,
  isAllowedByRobots,
  MAX_ROBOTS_BYTES,
  parseRobots,
  type RobotsRules,
} from './robots.ts';

export interface PageReaderSettings extends Guard {
  /** Whether a site's `robots.txt` is obeyed. */
  robots: boolean;
  /** For one page with all there is to it, in milliseconds. */
  timeoutMs?: number;
}

const TIMEOUT_MS = 10_000;
const MAX_BYTES = 2 * 1024 * 1024;
/** Pages being fetched at once, of the whole server; more wait, within their time. */
const MAX_AT_ONCE = 16;
const ROBOTS_KEPT_MS = 3_600_000;
const ROBOTS_KEPT = 500;
const HTML = new Set(['text/html', 'application/xhtml+xml']);
const PLAIN =
  /^(text\/(?!css$|javascript$|calendar$|vcard$)[\w.+-]+|application\/(json|ld\+json|xml|rss\+xml|atom\+xml))$/;

export function createPageReader(settings: PageReaderSettings): PageReader {
  const { robots, timeoutMs = TIMEOUT_MS } = settings;
  const texts = createPageTexts();
  const known = new Map<string, { rules: RobotsRules; until: number }>();
  const waiting = new Set<() => void>();
  let reading = 0;
  return { read, close: texts.close };

  async function read(address: string, question: string, signal: AbortSignal): Promise<WebPage> {
    const timeout = AbortSignal.timeout(timeoutMs);
    const either = AbortSignal.any([signal, timeout]);
    try {
      if (!URL.canParse(address)) throw new FetchRefused('It has no address that can be read.');
      await turn(either);
      try {
        return await readPage(new URL(address), question, either);
      } finally {
        leave();
      }
    } catch (error) {
      if (error instanceof FetchRefused) throw error;
      if (timeout.aborted) throw new FetchRefused(`It could not be read within ${timeoutMs / 1000} seconds.`);
      if (signal.aborted) throw new FetchRefused('Reading it was given up.');
      throw new FetchRefused(faultOf(error));
    }
  }

  /** Resolves when there is room for one more. */
  async function turn(signal: AbortSignal): Promise<void> {
    if (reading < MAX_AT_ONCE) {
      reading++;
      return;
    }
    await new Promise<void>((resolve, reject) => {
      waiting.add(resolve);
      signal.addEventListener('abort', () => {
        waiting.delete(resolve);
        reject(signal.reason);
      });
    });
  }

  /** Gives the place to the one that has waited longest. */
  function leave(): void {
    const [next] = waiting;
    if (next === undefined) reading--;
    else {
      waiting.delete(next);
      next();
    }
  }

  async function readPage(url: URL, question: string, signal: AbortSignal): Promise<WebPage> {
    const client = createGuardedClient(settings);
    let fetched: Fetched;
    try {
      fetched = await client.fetch(url, {
        accepts: (type) => HTML.has(type) || PLAIN.test(type),
        maxBytes: MAX_BYTES,
        signal,
        mayGo: async (hop) => {
          if (robots && !isAllowedByRobots(await rulesOf(client, hop, signal), hop)) {
            throw new FetchRefused('Its site does not want it to be read by programs (robots.txt).');
          }
        },
      });
    } finally {
      await client.close();
    }
    const { status, mediaType, charset, body } = fetched;
    if (status !== 200) throw new FetchRefused(`Its site answers with status ${status}.`);
    fetched.url.hash = '';
    const { href } = fetched.url;
    const page = await texts.read({ body, charset, isHtml: HTML.has(mediaType), url: href, question }, signal);
    signal.throwIfAborted();
    if (page === null) throw new FetchRefused('It is made in a way that cannot be read.');
    if (page.passages.length === 0) throw new FetchRefused('It has no text.');
    return { url: href, ...page };
  }

  async function rulesOf(client: GuardedClient, { origin }: URL, signal: AbortSignal): Promise<RobotsRules> {
    const kept = known.get(origin);
    if (kept !== undefined && kept.until > performance.now()) return kept.rules;
    const rules = await askRobots(client, new URL('/robots.txt', origin), signal);
    known.delete(origin);
    known.set(origin, { rules, until: performance.now() + ROBOTS_KEPT_MS });
    const [oldest] = known.keys();
    if (known.size > ROBOTS_KEPT && oldest !== undefined) known.delete(oldest);
    return rules;
  }
}

/** RFC 9309, 2.3.1: none there (4xx), everything is allowed; a fault of the server, nothing is. */
async function askRobots(client: GuardedClient, url: URL, signal: AbortSignal): Promise<RobotsRules> {
  const { status, body } = await client.fetch(url, { accepts: () => true, maxBytes: MAX_ROBOTS_BYTES, signal });
  if (status >= 500) return DISALLOW_ALL;
  return status === 200 ? parseRobots(body.toString('utf8'), PRODUCT) : ALLOW_ALL;
}

const FAULTS: Record<string, string> = {
  ENOTFOUND: 'its name is not known',
  EAI_AGAIN: 'its name could not be looked up',
  ECONNREFUSED: 'the connection is refused',
  ECONNRESET: 'the connection was reset',
  EHOSTUNREACH: 'there is no way to it',
  ENETUNREACH: 'there is no way to it',
  ETIMEDOUT: 'connecting took too long',
  UND_ERR_CONNECT_TIMEOUT: 'connecting took too long',
  UND_ERR_SOCKET: 'it closed the connection',
};

function faultOf(error: unknown): string {
  const { code = '', cause } = error as NodeJS.ErrnoException;
  if (cause instanceof FetchRefused) return cause.message;
  if (code.startsWith('HPE_')) return 'Its site does not speak HTTP.';
  if (/^(ERR_TLS_|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_)/.test(code)) return 'Its certificate cannot be trusted.';
  if (/^(Z_|ERR__ERROR_FORMAT|ERR_BROTLI)/.test(code)) return 'What it sends cannot be unpacked.';
  return `It cannot be reached: ${FAULTS[code] ?? 'the connection failed'}.`;
}
