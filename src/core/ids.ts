/**
 * Ids as text: parsing and formatting only. They are made by the `Ids` of `ports/clock.ts`.
 *
 * Every conversation has a UUIDv7 `id` and a per-tenant integer `number`; the OpenAI dialects write the id as
 * `conv_<uuid>`. Where a path or body takes a conversation, all three forms are accepted (DIALECTS.md, "Rules for every
 * dialect").
 */

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const NUMBER = /^[1-9][0-9]{0,14}$/;
/** What the standards write in front of a UUID, by what it names. */
const PREFIX = {
  conversation: 'conv_',
  response: 'resp_',
  message: 'msg_',
  reasoning: 'rs_',
  function_call: 'fc_',
  function_call_output: 'fco_',
  web_search_call: 'ws_',
  compaction: 'cmp_',
  mcp_call: 'mcp_',
  mcp_approval_request: 'mcpr_',
  mcp_approval_response: 'mcpa_',
} as const;
const ANY_PREFIX = /^(conv|resp|msg|rs|fc|fco|ws|cmp|mcp|mcpr|mcpa)_/;

/** What has an id in the standards: a conversation, a response (the turn of an answer), or an item by its type. */
export type WireKind = keyof typeof PREFIX;

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
  const id = parseUuid(text.startsWith(PREFIX.conversation) ? text.slice(PREFIX.conversation.length) : text);
  return id === null ? null : { by: 'id', id };
}

/** The form of the OpenAI dialects: `conv_<uuid>`. */
export function formatConversationId(id: string): string {
  return PREFIX.conversation + id;
}

/** An id as the standards write it: `resp_<uuid>`, `msg_<uuid>` … */
export function formatWireId(kind: WireKind, id: string): string {
  return PREFIX[kind] + id;
}

/** The UUID of what `formatWireId` wrote, whatever its prefix, or of a bare UUID; null if `text` is neither. */
export function parseWireId(text: string): string | null {
  return parseUuid(text.replace(ANY_PREFIX, ''));
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
