/**
 * Ids as text: parsing and formatting only. They are made by the `Ids` of `ports/clock.ts`.
 *
 * Every conversation has a UUIDv7 `id` and a per-tenant integer `number`; the OpenAI dialects write the id as
 * `conv_<uuid>`. Where a path or body takes a conversation, all three forms are accepted (DIALECTS.md, "Rules for every
 * dialect").
 */

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const NUMBER = /^[1-9][0-9]{0,14}$/;
const CONVERSATION_PREFIX = 'conv_';

/** How a conversation is named by a caller. A number is never looked up as an external id, nor the other way round. */
export type ConversationRef =
  | { by: 'id'; id: string }
  | { by: 'number'; number: number }
  | { by: 'external'; id: string };

/** A UUID in lower case, or null if `text` is none. */
export function parseUuid(text: string): string | null {
  const lower = text.toLowerCase();
  return UUID.test(lower) ? lower : null;
}

/** Reads any of the three forms of a conversation's id; null if `text` has none of them. */
export function parseConversationRef(text: string): ConversationRef | null {
  if (NUMBER.test(text)) return { by: 'number', number: Number(text) };
  const id = parseUuid(text.startsWith(CONVERSATION_PREFIX) ? text.slice(CONVERSATION_PREFIX.length) : text);
  return id === null ? null : { by: 'id', id };
}

/** The form of the OpenAI dialects: `conv_<uuid>`. */
export function formatConversationId(id: string): string {
  return CONVERSATION_PREFIX + id;
}

/**
 * A UUIDv7 (RFC 9562, 5.7): 48 bits of Unix milliseconds, 12 bits of a counter (`rand_a`, which keeps ids made in one
 * millisecond in order), 62 random bits.
 *
 * @param ms Unix time in milliseconds
 * @param counter 0–4095
 * @param random at least 8 bytes
 */
export function formatUuidV7(ms: number, counter: number, random: Uint8Array): string {
  const time = ms.toString(16).padStart(12, '0');
  const a = (0x7000 | (counter & 0xfff)).toString(16);
  const b = random.slice(0, 8);
  b[0] = ((b[0] ?? 0) & 0x3f) | 0x80;
  let tail = '';
  for (const byte of b) tail += byte.toString(16).padStart(2, '0');
  return `${time.slice(0, 8)}-${time.slice(8)}-${a}-${tail.slice(0, 4)}-${tail.slice(4)}`;
}
