/** zod's findings as sentences people can read, and as a list per field. */

import type { z } from 'zod';
import { ServiceError } from '#core/errors.ts';

/** What a required field that is not there is said to be, word for word (DIALECTS.md, section 0). */
const REQUIRED = 'This field is required.';
/** Most fields an error speaks of. */
const MAX_FIELDS = 10;

/** Checks params or a query. Throws `invalid_request`. */
export function checkFields<T>(schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value, { error: sentence });
  if (result.success) return result.data;
  throw refusal(result.error.issues);
}

/** Checks a body, undefined where there is none. Throws `invalid_request`. */
export function checkBody<T>(schema: z.ZodType<T>, body: unknown): T {
  const result = schema.safeParse(body, { error: sentence });
  if (result.success) return result.data;
  if (body !== undefined) throw refusal(result.error.issues, 'The body must be a JSON object.');
  // Without a body the fields that are missing say more than the missing body.
  const empty = schema.safeParse({}, { error: sentence });
  throw refusal(empty.success ? result.error.issues : empty.error.issues, 'A JSON object is needed as the body.');
}

/** `whole` is said where the value itself is wrong, not a field of it. */
function refusal(issues: readonly z.core.$ZodIssue[], whole?: string): ServiceError {
  const fields: Record<string, string[]> = {};
  for (const issue of issues.flatMap(closest)) {
    const name = pathOf(issue.path);
    if (name === '') {
      const said = issue.code === 'invalid_type' && whole !== undefined ? whole : issue.message;
      return new ServiceError('invalid_request', said);
    }
    if (Object.keys(fields).length >= MAX_FIELDS && !Object.hasOwn(fields, name)) continue;
    if (Object.hasOwn(fields, name)) fields[name]?.push(issue.message);
    else Object.defineProperty(fields, name, { value: [issue.message], enumerable: true });
  }
  const message = Object.entries(fields)
    .map(([name, sentences]) => (sentences[0] === REQUIRED ? `${name} is required` : `${name}: ${sentences.join(' ')}`))
    .join('; ');
  const param = Object.keys(fields)[0];
  return new ServiceError('invalid_request', message, { ...(param === undefined ? {} : { param }), fields });
}

/**
 * Of a value that has none of several forms, what is wrong with the one it was meant to have: the only one whose outermost
 * type is right.
 */
function closest(issue: z.core.$ZodIssue): z.core.$ZodIssue[] {
  if (issue.code !== 'invalid_union') return [issue];
  const meant = issue.errors.filter(
    (form) => !form.some(({ code, path }) => path.length === 0 && WRONG_FORM.has(code)),
  );
  const [form] = meant;
  if (form === undefined || meant.length > 1) return [issue];
  return form.flatMap((inner) => closest({ ...inner, path: [...issue.path, ...inner.path] }));
}

const WRONG_FORM = new Set(['invalid_type', 'invalid_value']);

/** `messages[0].content` */
function pathOf(path: readonly PropertyKey[]): string {
  let text = '';
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`;
    else text += text === '' ? String(step) : `.${String(step)}`;
  }
  return text.slice(0, 200);
}

/** What an issue says where its schema does not say it itself. */
function sentence(issue: z.core.$ZodRawIssue): string | undefined {
  if (issue.input === undefined && issue.path !== undefined && issue.path.length > 0) return REQUIRED;
  switch (issue.code) {
    case 'invalid_type':
      return `Must be ${article(issue.expected)}.`;
    case 'too_small':
      if (issue.origin === 'string' && issue.minimum === 1) return 'This field may not be empty.';
      return `Must ${measure(issue.origin, `at least ${issue.minimum}`)}.`;
    case 'too_big':
      return `Must ${measure(issue.origin, `at most ${issue.maximum}`)}.`;
    case 'invalid_value':
      return `Must be ${issue.values.length > 1 ? 'one of ' : ''}${issue.values.map((value) => JSON.stringify(value)).join(', ')}.`;
    case 'invalid_format':
      return `Must be a valid ${issue.format}.`;
    case 'not_multiple_of':
      return `Must be a multiple of ${issue.divisor}.`;
    case 'invalid_union': {
      const kinds = (issue as { options?: unknown }).options;
      return Array.isArray(kinds) ? `Must be one of ${kinds.join(', ')}.` : 'Has none of the accepted forms.';
    }
    default:
      return undefined;
  }
}

function measure(origin: string, bound: string): string {
  if (origin === 'string') return `have ${bound} characters`;
  if (origin === 'array' || origin === 'set') return `have ${bound} entries`;
  return `be ${bound}`;
}

function article(expected: string): string {
  if (expected === 'int') return 'a whole number';
  return /^[aeiou]/.test(expected) ? `an ${expected}` : `a ${expected}`;
}
