/**
 * `JSON.parse` with limits: what would cost much memory or break text further in is found by one pass over the text,
 * without recursion, before anything is built.
 */

import { ServiceError } from '#core/errors.ts';

/** Deepest nesting of arrays and objects. */
export const MAX_DEPTH = 100;
/** Most values in one body: what a schema would say about 10⁶ wrong ones takes seconds and hundreds of megabytes. */
export const MAX_VALUES = 250_000;

/**
 * Reads a JSON text. Throws `invalid_request` where it is malformed, nested too deep, made of too many values, or holds
 * U+0000 or half a surrogate pair. Keys named `__proto__` are left out.
 */
export function parseJson(text: string): unknown {
  const json = text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
  const escapes = isPlain(json) ? false : scan(json);
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (error) {
    throw new ServiceError('invalid_request', `The body is not valid JSON: ${(error as Error).message}`);
  }
  if (escapes || json.includes('__proto__')) dropProto(value);
  return value;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const U = 0x75;

/** Whether a text is within every limit at a glance: few brackets, no escapes, and too short for too many values. */
function isPlain(json: string): boolean {
  return json.length <= MAX_VALUES && !json.includes('\\') && brackets(json, '[') + brackets(json, '{') <= MAX_DEPTH;
}

function brackets(json: string, bracket: string): number {
  let count = 0;
  for (let at = json.indexOf(bracket); at !== -1 && count <= MAX_DEPTH; at = json.indexOf(bracket, at + 1)) count++;
  return count;
}

/** Walks over the text once. True where an ASCII character is written as `\u00..`: a key may be spelled with one. */
function scan(json: string): boolean {
  const plain = !json.includes('\\');
  let depth = 0;
  let values = 0;
  let escapes = false;
  for (let i = 0; i < json.length; i++) {
    switch (json.charCodeAt(i)) {
      case QUOTE:
        if (plain) {
          const end = json.indexOf('"', i + 1);
          i = end === -1 ? json.length : end;
        } else {
          i = skipString(i + 1);
        }
        break;
      case 0x7b: // {
      case 0x5b: // [
        if (++depth > MAX_DEPTH) throw invalid(`The body is nested deeper than ${MAX_DEPTH} levels.`);
        values++;
        break;
      case 0x7d: // }
      case 0x5d: // ]
        depth--;
        break;
      case 0x3a: // :
      case 0x2c: // ,
        values++;
        break;
    }
    if (values > MAX_VALUES) throw invalid(`The body holds more than ${MAX_VALUES} values.`);
  }
  return escapes;

  /** From the first character of a string to its closing quote. */
  function skipString(i: number): number {
    for (; i < json.length; i++) {
      const code = json.charCodeAt(i);
      if (code === QUOTE) return i;
      if (code !== BACKSLASH) continue;
      i++;
      if (json.charCodeAt(i) !== U) continue;
      const unit = hex(i + 1);
      if (unit === 0) throw invalid('The body holds the character U+0000, which no text may hold.');
      if (unit < 0x80) escapes = true;
      i += 4;
      if (unit < 0xd800 || unit > 0xdfff) continue;
      const paired = unit < 0xdc00 && json.charCodeAt(i + 1) === BACKSLASH && json.charCodeAt(i + 2) === U;
      const low = paired ? hex(i + 3) : -1;
      if (low < 0xdc00 || low > 0xdfff) throw invalid('The body holds half a surrogate pair, which is no character.');
      i += 6;
    }
    return i;
  }

  /** Four hex digits as a number; anything else is left to `JSON.parse` to refuse. */
  function hex(at: number): number {
    const digits = json.slice(at, at + 4);
    return /^[0-9a-f]{4}$/i.test(digits) ? Number.parseInt(digits, 16) : 0xffff;
  }
}

/** Deletes own properties named `__proto__`, which `JSON.parse` makes and an assignment elsewhere would obey. */
function dropProto(value: unknown): void {
  const open: unknown[] = [value];
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    if (typeof node !== 'object' || node === null) continue;
    if (Object.hasOwn(node, '__proto__')) Reflect.deleteProperty(node, '__proto__');
    for (const child of Object.values(node)) if (typeof child === 'object' && child !== null) open.push(child);
  }
}

function invalid(message: string): ServiceError {
  return new ServiceError('invalid_request', message);
}
