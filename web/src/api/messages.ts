/**
 * Messages as the app shows them. The parts of a stream and those of a stored message become the same, so that an answer
 * looks alike while it is written and ever after. Pure.
 */

export interface TextPart {
  type: 'text';
  text: string;
}
export interface ReasoningPart {
  type: 'reasoning';
  text: string;
  /** Still being thought. */
  open: boolean;
}
export interface ToolPart {
  type: 'tool';
  callId: string;
  name: string;
  /** `asking`: a person is to say whether it may run; `denied`: it may not. */
  state: 'writing' | 'asking' | 'running' | 'done' | 'failed' | 'denied';
  /** JSON as far as it has come, or whole. */
  input: string;
  output: string | null;
  /** What a decision is sent for; null where none is wanted. */
  approval: string | null;
}
export interface Evidence {
  of: 'page' | 'snippet';
  /** Unix milliseconds. */
  readAt: number;
  quotes: string[];
}
export interface SourcePart {
  type: 'source';
  /** The `1` of `[1]`. */
  index: number;
  title: string;
  url: string;
  evidence: Evidence | null;
}
export interface ImagePart {
  type: 'image';
  url: string;
}
export type Part = TextPart | ReasoningPart | ToolPart | SourcePart | ImagePart;

export interface Usage {
  inputTokens: number;
  outputTokens: number;
}

export type AnswerStatus = 'completed' | 'incomplete' | 'failed' | 'cancelled';

export interface Message {
  id: string;
  role: 'user' | 'assistant';
  parts: Part[];
  /** The messages that stand in its place, itself too, oldest first; empty until the server has told. */
  siblings: string[];
  /** Of an answer; null while it is written, and where the server does not say. */
  status: AnswerStatus | null;
  /** Why it is not whole. */
  problem: string | null;
  model: string | null;
  usage: Usage | null;
  /** Where it is known, in the currency of the configured prices. */
  cost: number | null;
  /** Unix milliseconds; null where the server does not say. */
  createdAt: number | null;
}

type Json = Record<string, unknown>;

/** A stored `UIMessage`; null for what is not shown. */
export function readMessage(wire: unknown): Message | null {
  const { id, role, parts, metadata } = asObject(wire);
  if (typeof id !== 'string' || (role !== 'user' && role !== 'assistant')) return null;
  const message = emptyMessage(id, role);
  for (const part of asList(parts)) {
    const read = readPart(asObject(part));
    if (read !== null) message.parts.push(read);
  }
  message.status = role === 'assistant' ? 'completed' : null;
  return withMetadata(message, asObject(metadata));
}

export function emptyMessage(id: string, role: Message['role']): Message {
  return {
    id,
    role,
    parts: [],
    siblings: [],
    status: null,
    problem: null,
    model: null,
    usage: null,
    cost: null,
    createdAt: null,
  };
}

function withMetadata(message: Message, data: Json): Message {
  const usage = asObject(data.usage);
  return {
    ...message,
    siblings: asList(data.siblings).filter((id) => typeof id === 'string'),
    status: message.role === 'assistant' && isStatus(data.status) ? data.status : message.status,
    problem: textOf(asObject(data.error).message) || null,
    model: textOf(data.model) || null,
    usage:
      typeof usage.outputTokens === 'number'
        ? { inputTokens: numberOf(usage.inputTokens) ?? 0, outputTokens: usage.outputTokens }
        : null,
    cost: numberOf(data.cost),
    createdAt: timeOf(data.createdAt),
  };
}

function isStatus(value: unknown): value is AnswerStatus {
  return value === 'completed' || value === 'incomplete' || value === 'failed' || value === 'cancelled';
}

function readPart(part: Json): Part | null {
  const type = textOf(part.type);
  switch (type) {
    case 'text':
      return { type: 'text', text: textOf(part.text) };
    case 'reasoning':
      return { type: 'reasoning', text: textOf(part.text), open: false };
    case 'source-url':
      return readSource(part);
    case 'file':
      return { type: 'image', url: textOf(part.url) };
  }
  if (!type.startsWith('tool-') && type !== 'dynamic-tool') return null;
  const state = textOf(part.state);
  const approval = asObject(part.approval);
  return {
    type: 'tool',
    callId: textOf(part.toolCallId),
    name: type === 'dynamic-tool' ? textOf(part.toolName) : type.slice('tool-'.length),
    state: approval.approved === false ? 'denied' : (TOOL_STATES[state] ?? 'running'),
    input: jsonOf(part.input),
    output: state === 'output-available' ? jsonOf(part.output) : textOf(part.errorText) || null,
    approval: textOf(approval.id) || null,
  };
}

const TOOL_STATES: Record<string, ToolPart['state']> = {
  'input-streaming': 'writing',
  'approval-requested': 'asking',
  'output-available': 'done',
  'output-error': 'failed',
  'output-denied': 'denied',
};

function readSource(part: Json): SourcePart {
  const evidence = asObject(asObject(part.providerMetadata).parlance);
  const readAt = timeOf(evidence.readAt);
  return {
    type: 'source',
    index: Number(part.sourceId) || 0,
    title: textOf(part.title),
    url: textOf(part.url),
    evidence:
      readAt !== null
        ? {
            of: evidence.of === 'page' ? 'page' : 'snippet',
            readAt,
            quotes: asList(evidence.quotes).filter((quote) => typeof quote === 'string'),
          }
        : null,
  };
}

/** How a stream ended. */
export interface StreamEnd {
  reason: string;
}

/**
 * Puts the chunks of a UI message stream together. `message` is made anew by each `apply` that changed it, and of its
 * parts only those that changed.
 */
export function createMessageReader(initial: Message) {
  let message = initial;
  let end: StreamEnd | null = null;
  /** Places of open texts and reasonings by their id in this step. */
  const places = new Map<string, number>();

  return {
    get message() {
      return message;
    },
    get end() {
      return end;
    },
    apply,
  };

  /** @param chunks the `data` of events, but for `[DONE]` */
  function apply(chunks: readonly Json[]): void {
    if (chunks.length === 0) return;
    const parts = [...message.parts];
    message = { ...message, parts };
    for (const chunk of chunks) read(chunk, parts);
  }

  function read(chunk: Json, parts: Part[]): void {
    const id = textOf(chunk.id);
    const call = textOf(chunk.toolCallId);
    switch (chunk.type) {
      case 'start':
        message.id = textOf(chunk.messageId) || message.id;
        readMetadata(chunk.messageMetadata);
        break;
      case 'message-metadata':
        readMetadata(chunk.messageMetadata);
        break;
      case 'start-step':
        places.clear();
        break;
      case 'text-start':
        places.set(`text ${id}`, parts.push({ type: 'text', text: '' }) - 1);
        break;
      case 'reasoning-start':
        places.set(`reasoning ${id}`, parts.push({ type: 'reasoning', text: '', open: true }) - 1);
        break;
      case 'text-delta':
        change(parts, `text ${id}`, (part) =>
          part.type === 'text' ? { ...part, text: part.text + textOf(chunk.delta) } : part,
        );
        break;
      case 'reasoning-delta':
        change(parts, `reasoning ${id}`, (part) =>
          part.type === 'reasoning' ? { ...part, text: part.text + textOf(chunk.delta) } : part,
        );
        break;
      case 'reasoning-end':
        change(parts, `reasoning ${id}`, (part) => (part.type === 'reasoning' ? { ...part, open: false } : part));
        break;
      case 'tool-input-start': {
        const name = textOf(chunk.toolName);
        parts.push({ type: 'tool', callId: call, name, state: 'writing', input: '', output: null, approval: null });
        break;
      }
      case 'tool-input-delta':
        changeTool(parts, call, (part) => ({ ...part, input: part.input + textOf(chunk.inputTextDelta) }));
        break;
      case 'tool-input-available':
        changeTool(parts, call, (part) => ({ ...part, state: 'running', input: jsonOf(chunk.input) }));
        break;
      case 'tool-approval-request':
        changeTool(parts, call, (part) => ({ ...part, state: 'asking', approval: textOf(chunk.approvalId) }));
        break;
      case 'tool-output-denied':
        changeTool(parts, call, (part) => ({ ...part, state: 'denied' }));
        break;
      case 'tool-input-error':
      case 'tool-output-error':
        changeTool(parts, call, (part) => ({ ...part, state: 'failed', output: textOf(chunk.errorText) }));
        break;
      case 'tool-output-available':
        changeTool(parts, call, (part) => ({ ...part, state: 'done', output: jsonOf(chunk.output) }));
        break;
      case 'source-url': {
        const source = readSource(chunk);
        const there = parts.findIndex((part) => part.type === 'source' && part.index === source.index);
        if (there === -1) parts.push(source);
        else parts[there] = source;
        break;
      }
      case 'error':
        message.problem = textOf(chunk.errorText) || message.problem;
        break;
      case 'finish':
        readMetadata(chunk.messageMetadata);
        end = { reason: textOf(chunk.finishReason) };
        message.parts.forEach((part, at) => {
          if (part.type === 'reasoning' && part.open) parts[at] = { ...part, open: false };
        });
        message.status ??= statusOf(end.reason, message);
        break;
    }
  }

  function readMetadata(data: unknown): void {
    if (data === undefined) return;
    const { id, parts, siblings, problem } = message;
    const read = withMetadata(message, asObject(data));
    message = { ...read, id, parts, siblings: read.siblings.length > 0 ? read.siblings : siblings };
    message.problem ??= problem;
  }

  function change(parts: Part[], place: string, make: (part: Part) => Part): void {
    const at = places.get(place);
    const part = at === undefined ? undefined : parts[at];
    if (at !== undefined && part !== undefined) parts[at] = make(part);
  }

  function changeTool(parts: Part[], call: string, make: (part: ToolPart) => Part): void {
    const at = parts.findLastIndex((part) => part.type === 'tool' && part.callId === call);
    const part = parts[at];
    if (part?.type === 'tool') parts[at] = make(part);
  }
}

/** As the finish reason tells, where the server does not say it outright. */
function statusOf(reason: string, { parts }: Message): AnswerStatus {
  if (reason === 'error') return parts.some(({ type }) => type === 'text') ? 'incomplete' : 'failed';
  return reason === 'other' ? 'cancelled' : 'completed';
}

/** The text of a message, as it is copied and edited. */
export function textOfMessage({ parts }: Message): string {
  return parts.flatMap((part) => (part.type === 'text' && part.text !== '' ? [part.text] : [])).join('\n\n');
}

export function sourcesOf({ parts }: Message): SourcePart[] {
  return parts.filter((part) => part.type === 'source').sort((a, b) => a.index - b.index);
}

function asObject(value: unknown): Json {
  return typeof value === 'object' && value !== null ? (value as Json) : {};
}

function asList(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function numberOf(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}

/** Unix milliseconds of an ISO time. */
function timeOf(value: unknown): number | null {
  return numberOf(Date.parse(textOf(value)));
}

/** A text as it is, anything else as JSON a person can read. */
function jsonOf(value: unknown): string {
  if (value === undefined) return '';
  return typeof value === 'string' ? value : JSON.stringify(value, null, 2);
}
