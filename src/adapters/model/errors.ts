/**
 * What goes wrong with a model call, as `ModelError`: one table for HTTP answers and one for connections, the same for
 * every provider. A sentence names the provider and the setting to look at; it never holds a key, a header, the
 * request or an address with credentials.
 */

import type { RunErrorCode } from '#core/run.ts';
import { ModelError } from '#ports/model.ts';

/** Who is asked, as its errors name it. */
export interface Asked {
  /** `openai` … */
  name: string;
  /** Host and port, without credentials. */
  address: string;
  /** What to look at when the key is refused: `OPENAI_API_KEY`. */
  keySetting: string;
  /** What to look at when the path is not there: `OPENAI_BASE_URL`. */
  urlSetting: string;
  /** The key itself, to be masked wherever a provider repeats it; null for none. */
  apiKey: string | null;
}

/** The most of a provider's own sentence that is passed on, in characters. */
const MAX_SENTENCE = 500;

interface Rule {
  code: RunErrorCode;
  retryable: boolean;
  sentence: (asked: Asked, said: string, status: number) => string;
}

const RULES: Record<number, Rule> = {
  400: refused((_, said) => said || 'The request was refused.'),
  401: refused(({ apiKey, keySetting }) =>
    apiKey === null ? `It wants a key: set ${keySetting}.` : `It refused the key: check ${keySetting}.`,
  ),
  402: refused((_, said) => said || 'It wants to be paid first: check the account.'),
  403: refused(({ keySetting }, said) => `Access was refused: check ${keySetting} and what it may use. ${said}`),
  404: refused(({ urlSetting }, said) => `The path does not exist there: check ${urlSetting}. ${said}`),
  408: failed('It gave up waiting.'),
  409: failed('It is in conflict with another request.'),
  413: refused((_, said) => said || 'The request is too large for it.'),
  422: refused((_, said) => said || 'The request was refused.'),
  425: failed('It is not ready yet.'),
  429: { code: 'rate_limited', retryable: true, sentence: (_, said) => `It limits how often it is asked. ${said}` },
};

function refused(sentence: Rule['sentence']): Rule {
  return { code: 'refused', retryable: false, sentence };
}

function failed(what: string): Rule {
  return { code: 'provider_error', retryable: true, sentence: (_, said) => `${what} ${said}` };
}

/**
 * The error an HTTP answer of `status` stands for. `body` is the start of its body. Where an error comes within a
 * stream that began with 200, `status` is the one it names, else 500.
 */
export function httpError(
  asked: Asked,
  status: number,
  headers: Record<string, string | string[] | undefined>,
  body: string,
): ModelError {
  const { sentence, code } = saidIn(body);
  const said = mask(sentence, asked.apiKey);
  const make = (rule: Rule) =>
    new ModelError(rule.code, `${asked.name} (${status}): ${rule.sentence(asked, said, status).trim()}`, {
      retryable: rule.retryable,
      status,
      retryAfterMs: rule.retryable ? retryAfter(headers) : null,
    });
  // "The model `x` does not exist": OpenAI names it by code, vLLM and Ollama only in the sentence.
  if (status === 404 && (code === 'model_not_found' || /(?<!\/)\bmodels?\b/i.test(sentence))) {
    return make({ code: 'model_not_found', retryable: false, sentence: () => said || 'There is no such model.' });
  }
  // A used-up quota is 429 too, but asking again does not help.
  if (status === 429 && code === 'insufficient_quota') {
    return make({ code: 'rate_limited', retryable: false, sentence: () => said });
  }
  const rule = RULES[status];
  if (rule) return make(rule);
  if (status >= 500) return make(failed('It failed.'));
  if (status >= 300 && status < 400) {
    return make(refused(({ urlSetting }) => `It answers with a redirect: check ${urlSetting}.`));
  }
  return make(refused((_, text) => text || 'The request was refused.'));
}

/** Why a connection could not be made or broke before the answer began, by the system's code for it. */
const CONNECTION_FAULTS: Record<string, string> = {
  ECONNREFUSED: 'the connection is refused',
  ECONNRESET: 'the connection was reset',
  EPIPE: 'the connection was reset',
  ENOTFOUND: 'the name is not known',
  EAI_AGAIN: 'the name could not be looked up',
  EHOSTUNREACH: 'there is no way to the host',
  ENETUNREACH: 'there is no way to the network',
  ETIMEDOUT: 'connecting took too long',
  UND_ERR_CONNECT_TIMEOUT: 'connecting took too long',
  UND_ERR_HEADERS_TIMEOUT: 'it did not answer in time',
  UND_ERR_SOCKET: 'it closed the connection',
  UND_ERR_PRX_CONN: 'the proxy closed the connection',
  UND_ERR_ABORTED: 'the proxy refused the connection',
  TimeoutError: 'it did not answer in time',
};

/** The error a failed connection stands for: `unreachable`, worth another try unless the certificate is at fault. */
export function connectionError(asked: Asked, error: unknown): ModelError {
  const code = codeOf(error);
  const certificate = /CERT|SELF_SIGNED|SSL|TLS/.test(code);
  const fault = certificate ? `its certificate is not accepted (${code})` : (CONNECTION_FAULTS[code] ?? code);
  if (code === 'UND_ERR_INVALID_ARG') {
    return new ModelError(
      'refused',
      `${asked.name}: the key holds a character that no header can: check ${asked.keySetting}.`,
    );
  }
  return new ModelError('unreachable', `${asked.name} at ${asked.address} cannot be reached: ${fault}.`, {
    retryable: !certificate,
  });
}

function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown';
  const { code } = error as NodeJS.ErrnoException;
  if (typeof code === 'string') return code;
  if (error instanceof AggregateError && error.errors.length > 0) return codeOf(error.errors[0]);
  if (error.cause instanceof Error) return codeOf(error.cause);
  return error.name;
}

/** `Retry-After` in milliseconds: seconds or a date (RFC 9110, 10.2.3), or OpenAI's `retry-after-ms`. */
function retryAfter(headers: Record<string, string | string[] | undefined>): number | null {
  const exact = Number.parseFloat(String(headers['retry-after-ms'] ?? ''));
  if (exact >= 0) return exact;
  const text = String(headers['retry-after'] ?? '').trim();
  if (text === '') return null;
  const ms = /^\d+(\.\d+)?$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now();
  return Number.isFinite(ms) ? Math.max(0, Math.ceil(ms)) : null;
}

/** The sentence and code of an error body, in any of the shapes servers use; not JSON: the text itself. */
function saidIn(body: string): { sentence: string; code: string } {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    return { sentence: /<html|<!doctype/i.test(body) ? '' : body, code: '' };
  }
  if (Array.isArray(value)) value = value[0];
  const outer = record(value);
  const inner = record(outer.error);
  const sentence = [inner.message, outer.message, outer.error, outer.detail, inner.detail].find(
    (text): text is string => typeof text === 'string' && text !== '',
  );
  const code = [inner.code, inner.type, outer.code].find((text): text is string => typeof text === 'string');
  return { sentence: sentence ?? (outer.detail === undefined ? '' : JSON.stringify(outer.detail)), code: code ?? '' };
}

function record(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

/** What begins like a key of any provider, a bearer token, a JWT, or is 32 random characters and more. */
const SECRETS =
  /\bbearer\s+\S+|\b(?:sk|pk|rk|gsk|xai|hf|nvapi|plk|pplx|fw|csk|key|api|tok|AIza|AQ\.)[-_]?[\w*-]*[\d*][\w*-]{4,}|\beyJ[\w.-]{10,}|\b(?=\w*\d)(?=\w*[A-Za-z])\w{32,}/gi;

/** A provider's own words, bounded, in one line, with everything that looks like a key masked. */
function mask(text: string, apiKey: string | null): string {
  const bounded = text.slice(0, 4 * MAX_SENTENCE);
  const named = apiKey !== null && apiKey.length >= 4 ? bounded.replaceAll(apiKey, '[key]') : bounded;
  const clean = named.replace(SECRETS, '[key]').replace(/\s+/g, ' ').trim();
  return clean.length > MAX_SENTENCE ? `${clean.slice(0, MAX_SENTENCE - 1)}…` : clean;
}
