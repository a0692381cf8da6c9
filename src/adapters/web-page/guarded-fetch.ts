/**
 * Fetching what a stranger named: only public addresses, checked where the connection is made, on every hop; only http
 * and https on their own ports; bounded in time, size and redirects. It goes out directly, never through a proxy: the
 * proxy would look the name up, and nobody could say what it finds.
 */

import { lookup as systemLookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { pipeline, Readable, type Transform } from 'node:stream';
import { constants, createBrotliDecompress, createGunzip, createInflate } from 'node:zlib';
import { Agent, buildConnector, request } from 'undici';
import { isPublicAddress } from './addresses.ts';

/** All addresses of a name. */
export type Lookup = (hostname: string) => Promise<{ address: string; family: number }[]>;

export interface Guard {
  /**
   * `host:port`, with an IPv6 address in brackets: what may be fetched although its address is not public or its port not
   * the web's own. For a network's own pages, and for tests.
   */
  allow: readonly string[];
  /** The system's by default. */
  lookup?: Lookup;
}

export interface FetchOptions {
  accepts(mediaType: string): boolean;
  /** The most of the body that is read, packed and unpacked; the rest is left. */
  maxBytes: number;
  signal: AbortSignal;
  /** Asked before each hop; throws where it must not be taken. */
  mayGo?(hop: URL): Promise<void>;
}

export interface Fetched {
  status: number;
  /** After redirects. */
  url: URL;
  /** In lower case; '' where it is not said. */
  mediaType: string;
  charset: string;
  /** Unpacked; empty unless the status is 200. */
  body: Buffer;
}

/** The connections of one read: what was checked for it is used for nothing else. */
export interface GuardedClient {
  /** Follows redirects. Throws `FetchRefused`, or what the connection failed with. */
  fetch(url: URL, options: FetchOptions): Promise<Fetched>;
  close(): Promise<void>;
}

/** Why something was not fetched, as a sentence. */
export class FetchRefused extends Error {}

/** The name by which a site's log and its `robots.txt` know us. */
export const PRODUCT = 'Parlance';
const USER_AGENT = `Mozilla/5.0 (compatible; ${PRODUCT}/0.1; self-hosted conversation server)`;
const MAX_URL = 2048;
const MAX_REDIRECTS = 5;
const CONNECT_TIMEOUT_MS = 5_000;
const NOT_PUBLIC = 'It is not on the public internet.';
const PORTS: Record<string, string> = { 'http:': '80', 'https:': '443' };

export function createGuardedClient(guard: Guard): GuardedClient {
  const connect = createGuardedConnector(guard);
  const dispatcher = new Agent({ allowH2: false, connect, headersTimeout: 0, bodyTimeout: 0 });
  return { fetch, close: () => dispatcher.destroy() };

  async function fetch(start: URL, options: FetchOptions): Promise<Fetched> {
    let url = start;
    for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
      const refusal = refusalOf(url, guard.allow);
      if (refusal !== null) throw new FetchRefused(refusal);
      await options.mayGo?.(url);
      const { statusCode, headers, body } = await request(url, {
        dispatcher,
        headers: { accept: 'text/html, text/*;q=0.9', 'accept-encoding': 'gzip, br', 'user-agent': USER_AGENT },
        signal: options.signal,
      });
      const { location } = headers;
      if (statusCode >= 300 && statusCode < 400 && typeof location === 'string') {
        drop(body);
        if (!URL.canParse(location, url.href)) throw new FetchRefused('It leads on to an address that is none.');
        url = new URL(location, url);
        continue;
      }
      const [mediaType = '', ...parameters] = String(headers['content-type'] ?? '').split(';');
      const charset = parameters.map((one) => /^\s*charset\s*=\s*["']?([^"'\s]+)/i.exec(one)?.[1]).find((one) => one);
      const facts = { status: statusCode, url, mediaType: mediaType.trim().toLowerCase(), charset: charset ?? '' };
      if (statusCode !== 200) {
        drop(body);
        return { ...facts, body: Buffer.alloc(0) };
      }
      if (!options.accepts(facts.mediaType)) {
        drop(body);
        const said =
          facts.mediaType === '' ? 'does not say what it is' : `is no text but ${facts.mediaType.slice(0, 60)}`;
        throw new FetchRefused(`It ${said}.`);
      }
      return { ...facts, body: await readBounded(body, String(headers['content-encoding'] ?? ''), options.maxBytes) };
    }
    throw new FetchRefused(`It leads on more than ${MAX_REDIRECTS} times.`);
  }
}

/** Why an address is not even tried; null if it may be. What its name stands for is checked where it is connected to. */
function refusalOf(url: URL, allow: readonly string[]): string | null {
  const { protocol, username, password, port, hostname, href } = url;
  const byDefault = PORTS[protocol];
  if (byDefault === undefined) return 'It is no http or https address.';
  if (username !== '' || password !== '') return 'Its address holds a user name or a password.';
  if (href.length > MAX_URL) return `Its address has over ${MAX_URL} characters.`;
  if (isAllowed(hostname, port || byDefault, allow)) return null;
  if (port !== '' && !Object.values(PORTS).includes(port))
    return `Port ${port} is not one of the web's own, 80 and 443.`;
  return isForbidden(bare(hostname)) ? NOT_PUBLIC : null;
}

function isAllowed(hostname: string, port: string, allow: readonly string[]): boolean {
  return allow.some((entry) => bare(entry.replace(/:\d+$/, '')) === bare(hostname) && entry.endsWith(`:${port}`));
}

/** An address that is not public; a name may be. */
function isForbidden(host: string): boolean {
  return isIP(host) !== 0 && !isPublicAddress(host);
}

function bare(hostname: string): string {
  return hostname.replace(/^\[(.*)\]$/, '$1').toLowerCase();
}

/**
 * Connects to public addresses only. A name is looked up once, all that it stands for is checked, and one of these very
 * addresses is connected to: a name that changes its mind in between (DNS rebinding) gains nothing.
 */
function createGuardedConnector({ allow, lookup = lookupBySystem }: Guard): buildConnector.connector {
  const settings = { allowH2: false, timeout: CONNECT_TIMEOUT_MS };
  const openAllowed = buildConnector(settings);
  const openPublic = buildConnector({
    ...settings,
    port: 0,
    lookup(hostname, { all }, answer) {
      lookup(hostname).then(
        (found) => {
          const [first] = found;
          const safe = first !== undefined && found.every(({ address }) => isPublicAddress(address));
          if (!safe) answer(new FetchRefused(NOT_PUBLIC), '', 0);
          else if (all) answer(null, found);
          else answer(null, first.address, first.family);
        },
        (error) => answer(error, '', 0),
      );
    },
  });
  return (options, connected) => {
    const { hostname, port, protocol } = options;
    if (isAllowed(hostname, port || (PORTS[protocol] ?? ''), allow)) openAllowed(options, connected);
    // What is an address already is never looked up.
    else if (isForbidden(bare(hostname))) connected(new FetchRefused(NOT_PUBLIC), null);
    else openPublic(options, connected);
  };
}

function lookupBySystem(hostname: string): Promise<{ address: string; family: number }[]> {
  return systemLookup(hostname, { all: true });
}

/** What is cut off is not an error: it is read up to there. */
const DECODERS: Record<string, () => Transform> = {
  gzip: () => createGunzip({ finishFlush: constants.Z_SYNC_FLUSH }),
  'x-gzip': () => createGunzip({ finishFlush: constants.Z_SYNC_FLUSH }),
  deflate: () => createInflate({ finishFlush: constants.Z_SYNC_FLUSH }),
  br: () => createBrotliDecompress({ finishFlush: constants.BROTLI_OPERATION_FLUSH }),
};

/** The first `max` bytes of what was packed. No more than that many packed ones are looked at either. */
async function readBounded(body: Readable, encoding: string, max: number): Promise<Buffer> {
  const name = encoding.trim().toLowerCase();
  const unpack = DECODERS[name];
  if (unpack === undefined && name !== '' && name !== 'identity') {
    drop(body);
    throw new FetchRefused('It is packed in a way that is not known.');
  }
  const chunks: Buffer[] = [];
  const unpacked = unpack === undefined ? body : pipeline(Readable.from(firstOf(body, max)), unpack(), () => {});
  for await (const chunk of firstOf(unpacked, max)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Ends, and closes the stream, after `max` bytes. */
async function* firstOf(stream: AsyncIterable<Buffer>, max: number): AsyncGenerator<Buffer> {
  let left = max;
  for await (const chunk of stream) {
    yield chunk.subarray(0, left);
    left -= chunk.length;
    if (left <= 0) return;
  }
}

/** Closes the connection of an answer that is not read. */
function drop(body: Readable): void {
  body.on('error', () => {});
  body.destroy();
}
