/**
 * The text the fake model writes, known to both ends, so that the load generator can tell a missing, doubled or
 * misplaced token from a whole stream. A token is one lead character and its index in three base-36 digits; one token
 * in twenty leads with a newline or a quote, which JSON escapes, as ordinary Markdown makes a model do. A stamped
 * token also carries the time it was written.
 */

/** What one answer of the fake model is: how many tokens, and either how many in one write or how many a second. */
export type Script = { tokens: number; perWrite: number } | { tokens: number; perSecond: number };

/** The longest answer: the index has three base-36 digits. */
export const MAX_TOKENS = 36 ** 3;

const TOKEN_CHARS = 4;
const STAMP_CHARS = 5;
/** Stamps count 10 µs and begin anew after some ten minutes. */
const STAMP_MODULUS = 36 ** STAMP_CHARS;
const STAMPS_PER_MS = 100;

const indexes: string[] = [];
for (let i = 0; i < MAX_TOKENS; i++) indexes.push(i.toString(36).padStart(3, '0'));

/** The text of token `index`, unstamped. */
export function tokenText(index: number): string {
  const lead = index % 40 === 19 ? '\n' : index % 40 === 39 ? '"' : ' ';
  return lead + indexes[index];
}

/** The whole text of an answer of unstamped tokens. */
export function answerText(tokens: number): string {
  let text = '';
  for (let i = 0; i < tokens; i++) text += tokenText(i);
  return text;
}

/** Now, on the machine's monotonic clock, which all its processes share: what a stamped token ends with. */
export function stamp(): string {
  const [seconds, nanoseconds] = process.hrtime();
  const now = Math.floor((seconds * 1000 + nanoseconds / 1e6) * STAMPS_PER_MS) % STAMP_MODULUS;
  return now.toString(36).padStart(STAMP_CHARS, '0');
}

/** Milliseconds from a stamp to now. */
function age(stamped: string, now: string): number {
  const difference = Number.parseInt(now, 36) - Number.parseInt(stamped, 36);
  return ((difference + STAMP_MODULUS) % STAMP_MODULUS) / STAMPS_PER_MS;
}

/** The prompt that makes the fake model follow a script, through whatever stands between. */
export function scriptPrompt(script: Script): string {
  const pace = 'perWrite' in script ? `write=${script.perWrite}` : `rate=${script.perSecond}`;
  return `bench tokens=${script.tokens} ${pace}`;
}

/** The script in a request body: the last one, since a body may hold a history. Null when there is none. */
export function scriptIn(body: string): Script | null {
  const at = body.lastIndexOf('bench tokens=');
  const found = at < 0 ? null : /^bench tokens=(\d{1,5}) (write|rate)=(\d{1,5})/.exec(body.slice(at, at + 40));
  if (!found) return null;
  const tokens = Math.min(Number(found[1]), MAX_TOKENS);
  const pace = Math.max(1, Number(found[3]));
  return found[2] === 'write' ? { tokens, perWrite: pace } : { tokens, perSecond: pace };
}

/** Follows the text of one answer and counts what is right. */
export interface TokenCheck {
  /** Takes the next piece of text; false once anything is out of place. */
  take(text: string): boolean;
  /** Tokens seen so far, all of them in their place. */
  count(): number;
}

/** Checks unstamped tokens: the text so far must be exactly the beginning of `expected`. */
export function checkText(expected: string): TokenCheck {
  let at = 0;
  return {
    take(text) {
      if (!expected.startsWith(text, at)) return false;
      at += text.length;
      return true;
    },
    count: () => Math.floor(at / TOKEN_CHARS),
  };
}

/** Checks stamped tokens, and gives the milliseconds each took from the model to here. */
export function checkStamped(onDelay: (ms: number) => void): TokenCheck {
  let seen = 0;
  let rest = '';
  return {
    take(text) {
      const all = rest + text;
      const now = stamp();
      let at = 0;
      for (; at + TOKEN_CHARS + STAMP_CHARS <= all.length; at += TOKEN_CHARS + STAMP_CHARS) {
        if (!all.startsWith(tokenText(seen), at)) return false;
        onDelay(age(all.slice(at + TOKEN_CHARS, at + TOKEN_CHARS + STAMP_CHARS), now));
        seen++;
      }
      rest = all.slice(at);
      return true;
    },
    count: () => seen,
  };
}
