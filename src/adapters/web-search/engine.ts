/**
 * What all search engines have in common: one bounded request, and results made plain. An error's message is a sentence
 * with what to do; it never holds a key, an address or what the engine said.
 */

import { type Dispatcher, request } from 'undici';
import type { SearchResult } from '#ports/web-search.ts';
import { plainText } from './plain-text.ts';

export interface Connection {
  /** The way to the engine; undefined for the process's own. */
  dispatcher?: Dispatcher | undefined;
  /** The time for the whole answer, in milliseconds. */
  timeoutMs?: number;
}

export interface Question {
  url: URL;
  headers?: Record<string, string>;
  /** Sent as JSON by POST; without it the method is GET. */
  body?: unknown;
  /** What some of the engine's statuses mean. */
  meaning: Record<number, string>;
}

/** A result as the engine wrote it: texts may hold tags and entities. */
export interface RawResult {
  title: unknown;
  url: unknown;
  snippet: unknown;
}

const TIMEOUT_MS = 10_000;
const MAX_ANSWER = 2 * 1024 * 1024;
const MAX_URL = 2048;
const MAX_TITLE = 200;
const MAX_SNIPPET = 1000;
/** The most results an engine is asked for. */
export const MAX_RESULTS = 20;
/** Wikimedia asks for a name that tells what is calling. */
const USER_AGENT = 'Parlance/0.1 (self-hosted conversation server) undici';

const MEANING: Record<number, string> = {
  408: 'It gave up waiting.',
  429: 'It limits how often it is asked: try again later.',
};

/** Asks once and reads the JSON. Redirects are not followed: the key and the question go to the configured address alone. */
export async function askEngine(question: Question, connection: Connection, signal: AbortSignal): Promise<unknown> {
  const { dispatcher, timeoutMs = TIMEOUT_MS } = connection;
  const timeout = AbortSignal.timeout(timeoutMs);
  try {
    const { statusCode, body } = await request(question.url, {
      ...(dispatcher === undefined ? {} : { dispatcher }),
      method: question.body === undefined ? 'GET' : 'POST',
      headers: {
        accept: 'application/json',
        'user-agent': USER_AGENT,
        ...(question.body === undefined ? {} : { 'content-type': 'application/json' }),
        ...question.headers,
      },
      body: question.body === undefined ? null : JSON.stringify(question.body),
      signal: AbortSignal.any([signal, timeout]),
    });
    if (statusCode !== 200) {
      await body.dump({ limit: 0, signal: timeout }).catch(() => undefined);
      throw new Refused(sentenceFor(statusCode, question.meaning));
    }
    return parse(await readBounded(body));
  } catch (error) {
    if (error instanceof Refused) throw error;
    if (timeout.aborted) throw new Refused(`It did not answer within ${timeoutMs / 1000} seconds.`);
    if (signal.aborted) throw new Refused('The search was given up.');
    throw new Refused(faultOf(error));
  }
}

/** What an engine's failure is thrown as. */
class Refused extends Error {}

function sentenceFor(status: number, meaning: Record<number, string>): string {
  const known = meaning[status] ?? MEANING[status];
  if (known !== undefined) return known;
  if (status >= 300 && status < 400) return 'It answers with a redirect, which is not followed: set its final address.';
  return status >= 500 ? `It failed with status ${status}.` : `It refused the question with status ${status}.`;
}

async function readBounded(body: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > MAX_ANSWER) throw new Refused('Its answer is over 2 MiB.');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Refused('Its answer is not JSON.');
  }
}

const FAULTS: Record<string, string> = {
  ECONNREFUSED: 'the connection is refused',
  ECONNRESET: 'the connection was reset',
  ENOTFOUND: 'its name is not known',
  EAI_AGAIN: 'its name could not be looked up',
  EHOSTUNREACH: 'there is no way to the host',
  ENETUNREACH: 'there is no way to the network',
  ETIMEDOUT: 'connecting took too long',
  UND_ERR_CONNECT_TIMEOUT: 'connecting took too long',
  UND_ERR_SOCKET: 'it closed the connection',
  UND_ERR_ABORTED: 'the proxy refused the connection',
};

function faultOf(error: unknown): string {
  const codes = [error, (error as { cause?: unknown } | null)?.cause].map(
    (one) => (one as NodeJS.ErrnoException | null)?.code,
  );
  if (codes.includes('UND_ERR_INVALID_ARG')) {
    // `undici` has no code of its own for a proxy's 407.
    const byProxy = error instanceof Error && error.message.includes('407');
    return byProxy ? 'The proxy wants a name and a password.' : 'Its key holds a character that no header can.';
  }
  const code = codes.find((one) => typeof one === 'string');
  return `It cannot be reached: ${FAULTS[code ?? ''] ?? code ?? 'unknown fault'}.`;
}

/** The list at `path` of an answer; `optional` where the engine leaves it out when it found nothing. */
export function listAt(answer: unknown, path: readonly string[], optional = false): unknown[] {
  let value: unknown = answer;
  for (const name of path) {
    if (!isRecord(value)) throw new Refused('Its answer has a form that is not known.');
    value = value[name];
    if (optional && (value === undefined || value === null)) return [];
  }
  if (!Array.isArray(value)) throw new Refused('Its answer has a form that is not known.');
  return value;
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** At most `limit` results with a page's address, each page once; what is no such result is left out. */
export function resultsFrom(found: readonly RawResult[], limit: number): SearchResult[] {
  const results = new Map<string, SearchResult>();
  for (const { title, url, snippet } of found) {
    if (results.size >= limit) break;
    const page = pageUrl(url);
    if (page === null) continue;
    const { hash, href } = page;
    const key = href.slice(0, href.length - hash.length);
    if (results.has(key)) continue;
    results.set(key, {
      title: plainText(title, MAX_TITLE) || page.hostname,
      url: href,
      snippet: plainText(snippet, MAX_SNIPPET),
    });
  }
  return [...results.values()];
}

/** An http(s) address without a password, or null. */
function pageUrl(url: unknown): URL | null {
  if (typeof url !== 'string' || url.length > MAX_URL || !URL.canParse(url)) return null;
  const page = new URL(url);
  const { protocol, username, password, href } = page;
  const plain = (protocol === 'https:' || protocol === 'http:') && username === '' && password === '';
  return plain && href.length <= MAX_URL ? page : null;
}
