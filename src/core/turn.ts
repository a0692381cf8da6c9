/**
 * Turns and their items. A turn is one input, or the answer of one run; its items are the parts of it, shaped as in
 * Open Responses (`message`, `reasoning`, `function_call`, `function_call_output`, `web_search_call`, `approval`).
 */

export type Role = 'user' | 'assistant' | 'system';

/** `in_progress` and `queued` only on answers of a run that has not ended. */
export type TurnStatus = 'queued' | 'in_progress' | 'completed' | 'incomplete' | 'failed';

/** What lasts of a page: enough to check a citation when the page has changed or is gone. */
export interface Evidence {
  /** Whether the page itself was read, or only what the search engine shows of it. */
  of: 'page' | 'snippet';
  /** Unix milliseconds. */
  readAt: number;
  /** SHA-256 of the whole text that was read, in hex. */
  hash: string;
  /** The passages of it that were put before the model. */
  quotes: string[];
}

/** A web page an answer stands on; `index` is the `1` of `[1]` in the text, and no two of one answer have the same. */
export interface Source {
  index: number;
  title: string;
  url: string;
  /** Absent where nothing of it was put before the model. */
  evidence?: Evidence;
}

export type Part =
  | { type: 'text'; text: string }
  /** `url` is http(s) or a data URL. */
  | { type: 'image'; url: string; detail: 'auto' | 'low' | 'high' }
  | { type: 'refusal'; text: string };

export type ItemStatus = 'in_progress' | 'completed' | 'incomplete';

export interface MessageItem {
  type: 'message';
  id: string;
  role: Role;
  status: ItemStatus;
  content: Part[];
  /** A system message that was sent as a developer's: the model is told the same, Open Responses shows which it was. */
  developer?: true;
  /** What its author said an assistant's message is. */
  phase?: 'commentary' | 'final_answer';
  /** It stands for earlier items: the sealed text of the compaction item it was sent as. */
  compaction?: string;
}

export interface ReasoningItem {
  type: 'reasoning';
  id: string;
  status: ItemStatus;
  text: string;
  /** What its provider wants back with it, as its adapter wrote it; shown to nobody. */
  signature?: string;
}

export interface FunctionCallItem {
  type: 'function_call';
  id: string;
  status: ItemStatus;
  callId: string;
  name: string;
  /** JSON text as the model wrote it. */
  arguments: string;
  /** As of reasoning. */
  signature?: string;
  /**
   * Whose tool it is, where this server runs it: `web`, an MCP server's name, or '' for a tool that nobody has. Its output
   * then is an item of the same answer. Absent: the caller's, who sends the output.
   */
  server?: string;
  /** A person has to approve it: it is not run, and ends its turn. What they decide is carried out in a later answer. */
  asks?: true;
  /** It is what was decided on the call of that item id, which asked. */
  decided?: { call: string; approved: boolean; reason?: string };
}

export interface FunctionCallOutputItem {
  type: 'function_call_output';
  id: string;
  /** `incomplete`: the tool failed, and `output` says why. */
  status: ItemStatus;
  callId: string;
  output: string;
}

export interface WebSearchCallItem {
  type: 'web_search_call';
  id: string;
  status: ItemStatus;
  action: WebAction;
  /** Those that were found by it first. */
  sources: Source[];
}

/** What a person decides on a call that asked. */
export interface ApprovalItem {
  type: 'approval';
  id: string;
  status: ItemStatus;
  /** The id of the call's item. */
  call: string;
  approved: boolean;
  /** In the person's words; '' for none. */
  reason: string;
}

/** What was looked for on the web, or which page was opened. */
export type WebAction = { type: 'search'; queries: string[] } | { type: 'open_page'; url: string };

export type Item =
  | MessageItem
  | ReasoningItem
  | FunctionCallItem
  | FunctionCallOutputItem
  | WebSearchCallItem
  | ApprovalItem;

export interface Turn {
  id: string;
  conversation: string;
  parent: string | null;
  /** Its distance from the root, from 1: the order along a branch. */
  depth: number;
  role: Role;
  status: TurnStatus;
  /** The run that writes or wrote it; null for inputs and for entries made by hand. */
  run: string | null;
  /** On an answer: the turn it answers. Where that is an answer that was cut off, it goes on from it. */
  answers: string | null;
  createdAt: number;
  updatedAt: number;
  items: Item[];
}

/** A turn's place in its conversation's tree. */
export interface TreeNode extends Pick<Turn, 'id' | 'parent' | 'depth' | 'role'> {
  /** A client's own id for it. */
  externalId: string | null;
}

/** The most text of one message, in UTF-8 bytes (DIALECTS.md: "a message text over 1 MiB" is 400). */
export const MAX_MESSAGE_BYTES = 1024 * 1024;

/** The text of a turn's messages, as the flat dialects show it: parts joined, other items left out. */
export function textOf(items: readonly Item[]): string {
  let text = '';
  for (const item of items) {
    if (item.type !== 'message') continue;
    for (const part of item.content) if (part.type !== 'image') text += part.text;
  }
  return text;
}

/** The pages an answer's `[n]` stand for, in order. */
export function sourcesOf(items: readonly Item[]): Source[] {
  return items.flatMap((item) => (item.type === 'web_search_call' ? item.sources : []));
}

/** Whether a flat dialect shows it: an emptied turn stays as an unseen link. An answer being written is shown. */
export function isVisible(turn: Turn): boolean {
  return turn.items.length > 0 || turn.status !== 'completed';
}

/** Nothing but what a caller's tools gave, or what was decided on calls: it belongs to the answer that asked for it. */
export function isToolResult({ role, items }: Pick<Turn, 'role' | 'items'>): boolean {
  return (
    role === 'user' &&
    items.length > 0 &&
    items.every(({ type }) => type === 'function_call_output' || type === 'approval')
  );
}

/** A call that this server does not run itself: the caller sends its output. */
export function isCallersCall(item: Item): item is FunctionCallItem {
  return item.type === 'function_call' && item.server === undefined;
}

/**
 * Turns with every answer and what goes on from it as one: the answer's turn, with the status of the newest of them, and
 * the text that was cut off joined to the text that goes on from it. What failed without a word leaves it as it was.
 */
export function joinContinued(turns: readonly Turn[]): Turn[] {
  const joined: Turn[] = [];
  let newest: Turn | null = null;
  for (const turn of turns) {
    const last = joined.at(-1);
    if (last !== undefined && newest !== null && goesOnFrom(turn, newest)) {
      const status = turn.status === 'failed' ? last.status : turn.status;
      const run = turn.status === 'failed' ? last.run : turn.run;
      joined[joined.length - 1] = { ...last, status, run, items: joinItems(last.items, turn.items) };
    } else joined.push(turn);
    newest = turn;
  }
  return joined;
}

/** Whether a turn goes on from an answer that was cut off. */
function goesOnFrom(turn: Turn, answer: Turn): boolean {
  return turn.role === 'assistant' && answer.role === 'assistant' && turn.answers === answer.id;
}

/** The first message of what goes on belongs to the last one of what was cut off. */
function joinItems(items: readonly Item[], more: readonly Item[]): Item[] {
  const end = items.findLastIndex(({ type }) => type === 'message');
  const start = more.findIndex(({ type }) => type === 'message');
  const cut = items[end];
  const rest = more[start];
  if (cut?.type !== 'message' || rest?.type !== 'message') return [...items, ...more];
  const content = joinText(cut.content, rest.content);
  return [...items.with(end, { ...cut, status: rest.status, content }), ...more.toSpliced(start, 1)];
}

function joinText(content: readonly Part[], more: readonly Part[]): Part[] {
  const last = content.at(-1);
  const [first, ...rest] = more;
  if (last?.type !== 'text' || first?.type !== 'text') return [...content, ...more];
  return [...content.slice(0, -1), { ...last, text: last.text + first.text }, ...rest];
}

/** A text message as one item. */
export function messageItem(id: string, role: Role, text: string): MessageItem {
  return { type: 'message', id, role, status: 'completed', content: [{ type: 'text', text }] };
}
