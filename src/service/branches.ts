/**
 * Conversations as clients know them that keep the messages themselves and send them with every request: messages have
 * ids of the client's own, one that is changed or answered anew becomes a sibling, and the results of tools continue the
 * answer that asked for them. Such an answer, and all that continues it, is one message; so is one that was cut off and
 * what goes on from it.
 */

import type { Conversation } from '#core/conversation.ts';
import { invalid, notFound, ServiceError } from '#core/errors.ts';
import type { Once } from '#core/once.ts';
import { MAX_PAGE } from '#core/page.ts';
import type { Principal } from '#core/principal.ts';
import type { ContextTurn, Run, RunFacts, RunRequest, Usage } from '#core/run.ts';
import { type Item, isCallersCall, isToolResult, type TreeNode, type Turn } from '#core/turn.ts';
import type { Store } from '#ports/store.ts';
import type { Assistants } from './assistants.ts';
import { type createConversations, findByClientId, type History } from './conversations.ts';
import type { createFollowRun } from './follow-run.ts';
import type { Answered, createMessages, Place } from './send-message.ts';

/** A message as the client sends it; the ids of its items are given when they are stored. */
export interface ClientMessage {
  id: string;
  role: 'user' | 'assistant';
  /** Of an assistant's, the results of tools too. */
  items: Item[];
}

export interface Submission {
  /** The client's id of the conversation, or its own. */
  conversation: string;
  /** A further answer is wanted where there is one. */
  again: boolean;
  /** The newest message; null: `named` says which is to be answered again, or it is the newest one stored. */
  message: ClientMessage | null;
  /** What the client has before it. */
  before: ClientMessage[];
  named: string | null;
  /** The preset of a conversation that is made; null for the default one. */
  assistant: string | null;
  request: Pick<RunRequest, 'model' | 'tools' | 'approvals' | 'webSearch'>;
}

/** An answer being written, or written, for a client to follow. */
export interface Replying {
  conversation: Conversation;
  run: Run | null;
  turn: Turn;
  /** What the client knows the answer by: where it continues an answer, that one's id. */
  message: string;
}

/** The most answers of one branch that can be waited for. */
const RECENT = 100;
/** The most turns whose branches are told apart. */
const MAX_TREE = 10_000;

/** How an answer ended, for whoever shows it. */
export type AnswerFacts = RunFacts & { cost: number | null };

export function createBranches(parts: {
  store: Store;
  assistants: Assistants;
  conversations: ReturnType<typeof createConversations>;
  messages: ReturnType<typeof createMessages>;
  runs: ReturnType<typeof createFollowRun>;
  /** What so many tokens of a model cost; null where nobody knows. */
  cost: (model: string | null, usage: Usage) => number | null;
}) {
  const { store, assistants, conversations, messages, runs, cost } = parts;
  return { submit, current, stop, history };

  /**
   * Answers what a client sent, durably. The same message sent again is answered once; with another content it is a
   * sibling of what it was. Throws `invalid_request`, `not_found`, `conflict`, `overloaded`, `idempotency_mismatch`.
   */
  async function submit(principal: Principal, submission: Submission, once: Once | null): Promise<Replying> {
    const { assistant } = submission;
    if (assistant !== null && !assistants.list().some(({ id }) => id === assistant)) {
      throw invalid(`The assistant "${assistant}" does not exist here.`, 'assistant');
    }
    try {
      return await place(principal, submission, once);
    } catch (error) {
      // The same message came twice at once: the other one has stored it by now.
      if (!(error instanceof ServiceError) || error.code !== 'conflict') throw error;
      return place(principal, submission, once);
    }
  }

  async function place(principal: Principal, submission: Submission, once: Once | null): Promise<Replying> {
    const { message, again, request } = submission;
    const conversation = await findByClientId(store, principal, submission.conversation);
    if (message?.role === 'assistant' && !again) return continueAnswer(principal, conversation, message, request, once);
    if (message?.role !== 'user') {
      const turn = await questionOf(principal, conversation, submission.named ?? message?.id ?? null);
      return answerStored(principal, turn, again, request, once);
    }
    const stored = conversation && (await store.findMessage(principal, conversation.id, message.id));
    if (stored === null) return add(principal, conversation, submission, message, once);
    if (stored.role !== 'user') throw invalid('This id is that of an answer. Send a new id.', 'messages');
    if (sameItems(stored.items, message.items)) return answerStored(principal, stored, again, request, once);
    const input = {
      conversation: { ref: { by: 'id', id: stored.conversation } },
      items: message.items,
      externalId: message.id,
      replaces: stored.id,
      onBusy: 'interrupt',
      request,
    } as const;
    return reply(principal, await messages.accept(principal, input, once));
  }

  /** A message that is new here. Where what the client has before it is not, that is the context of its answer. */
  async function add(
    principal: Principal,
    conversation: Conversation | null,
    { before, request, assistant, conversation: externalId }: Submission,
    message: ClientMessage,
    once: Once | null,
  ): Promise<Replying> {
    const target: Place =
      conversation === null
        ? { create: { externalId, ...(assistant !== null && { assistant }) } }
        : { ref: { by: 'id', id: conversation.id } };
    const last = before.at(-1);
    const known = conversation && last ? await store.findMessage(principal, conversation.id, last.id) : null;
    const parent = conversation && known ? await endOf(principal, conversation, known) : null;
    const context = last !== undefined && known === null ? toContext([...before, message]) : null;
    const input = {
      conversation: target,
      items: message.items,
      externalId: message.id,
      parent,
      onBusy: 'queue',
      request: { ...request, context },
    } as const;
    return reply(principal, await messages.accept(principal, input, once));
  }

  /**
   * Where what follows a known message goes: null, the head, if it is on the shown branch ("only editing and regenerating
   * make siblings and move the head"), else the newest end of its own branch.
   */
  async function endOf(principal: Principal, conversation: Conversation, known: Turn): Promise<string | null> {
    if (known.id === conversation.head) return null;
    const tree = await readTree(principal, conversation.id, known.depth);
    const nodes = new Map(tree.map((node) => [node.id, node]));
    let node = conversation.head === null ? undefined : nodes.get(conversation.head);
    while (node !== undefined && node.depth > known.depth) node = nodes.get(node.parent ?? '');
    if (node === undefined || node.id === known.id) return null;
    if (known.role !== 'user') return known.id;
    return tree.findLast(({ parent, role }) => parent === known.id && role === 'assistant')?.id ?? known.id;
  }

  async function answerStored(
    principal: Principal,
    { conversation, id: turn }: Turn,
    sibling: boolean,
    request: Submission['request'],
    once: Once | null,
  ): Promise<Replying> {
    const onBusy = sibling ? 'interrupt' : 'queue';
    const question = { conversation, turn, sibling, onBusy, request } as const;
    return reply(principal, await messages.answerAgain(principal, question, once));
  }

  /**
   * The results of a client's tools, and what a person decides on calls, go below the answer that asked for them, and are
   * answered like a message.
   */
  async function continueAnswer(
    principal: Principal,
    conversation: Conversation | null,
    message: ClientMessage,
    request: Submission['request'],
    once: Once | null,
  ): Promise<Replying> {
    const first = conversation && (await store.findMessage(principal, conversation.id, message.id));
    if (conversation === null || first?.role !== 'assistant') throw notFound('Message');
    const path = await readShown(principal, conversation.id, MAX_PAGE);
    const from = path.findIndex(({ id }) => id === first.id);
    const rest = from === -1 ? [first] : path.slice(from);
    const next = rest.findIndex((turn) => turn.role === 'user' && !isToolResult(turn));
    const chain = next === -1 ? rest : rest.slice(0, next);
    const items = chain.flatMap((turn) => turn.items);
    const asked = new Set(items.flatMap((item) => (isCallersCall(item) ? [item.callId] : [])));
    const there = new Set(items.flatMap((item) => (item.type === 'function_call_output' ? [item.callId] : [])));
    const asking = new Set(items.flatMap((item) => (item.type === 'function_call' && item.asks ? [item.id] : [])));
    const decided = new Set(items.flatMap((item) => (item.type === 'approval' ? [item.call] : [])));
    const isResult = (item: Item) => item.type === 'function_call_output' && asked.has(item.callId);
    const isDecision = (item: Item) => item.type === 'approval' && asking.has(item.call);
    const results = message.items.filter((item) => isResult(item) || isDecision(item));
    const fresh = results.filter(
      (item) =>
        (item.type === 'function_call_output' && !there.has(item.callId)) ||
        (item.type === 'approval' && !decided.has(item.call)),
    );
    if (fresh.length > 0) {
      const input = {
        conversation: { ref: { by: 'id', id: conversation.id } },
        items: fresh,
        parent: chain.at(-1)?.id ?? first.id,
        onBusy: 'queue',
        request,
      } as const;
      return reply(principal, await messages.accept(principal, input, once));
    }
    const answered = chain.findLast(isToolResult);
    if (answered !== undefined && results.length > 0) return answerStored(principal, answered, false, request, once);
    throw invalid(
      'There is nothing to answer: the last message must be a person’s, or an answer with the results of tools it asked for, or with decisions on its calls.',
      'messages',
    );
  }

  /** The message of a person's that a message, else the newest one, answers or is. */
  async function questionOf(
    principal: Principal,
    conversation: Conversation | null,
    named: string | null,
  ): Promise<Turn> {
    const id = named ?? conversation?.head ?? null;
    let turn = conversation && id !== null ? await store.findMessage(principal, conversation.id, id) : null;
    if (turn === null) throw notFound('Message');
    while (turn.role !== 'user' || isToolResult(turn)) {
      const above: string | null = turn.answers ?? turn.parent;
      const found: { turn: Turn } | null = above === null ? null : await store.findTurn(principal, above);
      if (found === null) throw new ServiceError('conflict', 'There is no message of a person to answer. Send one.');
      turn = found.turn;
    }
    return turn;
  }

  async function reply(principal: Principal, { conversation, run, answer, input }: Answered): Promise<Replying> {
    return { conversation, run, turn: answer, message: await messageOf(principal, answer, input) };
  }

  /** What an answer is known by: the first of those it continues. */
  async function messageOf(principal: Principal, answer: Turn, input: Turn | null): Promise<string> {
    let turn = answer;
    let asked = input;
    for (;;) {
      if (asked === null && turn.answers !== null) {
        asked = (await store.findTurn(principal, turn.answers))?.turn ?? null;
      }
      if (asked?.role === 'assistant') {
        turn = asked;
        asked = null;
        continue;
      }
      if (asked === null || !isToolResult(asked) || asked.parent === null) return turn.id;
      const above = await store.findTurn(principal, asked.parent);
      if (above?.turn.role !== 'assistant') return turn.id;
      turn = above.turn;
      asked = null;
    }
  }

  /** The newest answer of the shown branch that is queued or being written, after what it continues; null: there is none. */
  async function current(principal: Principal, named: string): Promise<(Replying & { earlier: Turn[] }) | null> {
    const conversation = await findByClientId(store, principal, named);
    if (conversation === null) return null;
    const path = await readShown(principal, conversation.id, RECENT);
    const open = path.findLast(isOpen);
    if (open === undefined) return null;
    const { run, turn } = await runs.find(principal, open.id);
    const message = await messageOf(principal, turn, null);
    const from = message === turn.id ? -1 : path.findIndex(({ id }) => id === message);
    const earlier = from === -1 ? [] : path.slice(from, path.indexOf(open));
    return { conversation, run, turn, message, earlier };
  }

  /** Stops what is being written and waits on the shown branch, and resolves when it has ended. Throws `not_found`. */
  async function stop(principal: Principal, named: string): Promise<void> {
    const { id } = await find(principal, named);
    const open = (await readShown(principal, id, RECENT)).filter(isOpen);
    const found = await Promise.all(open.map((turn) => runs.find(principal, turn.id)));
    // What waits goes first: otherwise it would be started by the end of what it waits for.
    for (const { run } of found.reverse()) if (run !== null) await runs.stop(principal, run);
    await Promise.all(found.map(({ run, turn }) => run && runs.result(principal, { run, turn })));
  }

  /** A page of the shown branch, the tree around it, and how its answers ended, by their runs. Throws `not_found`. */
  async function history(
    principal: Principal,
    named: string,
    page: { limit?: number; before?: number },
  ): Promise<History & { tree: TreeNode[]; answers: Map<string, AnswerFacts> }> {
    const { id } = await find(principal, named);
    const shown = await conversations.history(principal, id, page);
    const tree = await readTree(principal, id, shown.turns[0]?.depth ?? 1);
    const facts = await store.readRunFacts({ owner: principal, runs: shown.turns.flatMap(({ run }) => run ?? []) });
    const priced = facts.map((run) => ({ ...run, cost: run.usage && cost(run.model, run.usage) }));
    return { ...shown, tree, answers: new Map(priced.map((run) => [run.id, run])) };
  }

  async function find(principal: Principal, named: string): Promise<Conversation> {
    const found = await findByClientId(store, principal, named);
    if (found === null) throw notFound('Chat');
    return found;
  }

  async function readShown(principal: Principal, id: string, limit: number): Promise<Turn[]> {
    const path = await store.readPath({ owner: principal, ref: { by: 'id', id }, limit, before: null });
    return path?.turns ?? [];
  }

  function readTree(principal: Principal, conversation: string, depth: number): Promise<TreeNode[]> {
    return store.readTree({ owner: principal, conversation, depth, limit: MAX_TREE });
  }
}

function isOpen({ run, status }: Turn): boolean {
  return run !== null && (status === 'queued' || status === 'in_progress');
}

/** The same, but for the ids. */
function sameItems(stored: readonly Item[], sent: readonly Item[]): boolean {
  const bare = (items: readonly Item[]) =>
    JSON.stringify(items.map((item) => [item.type, item.type === 'message' ? item.content : item]));
  return bare(stored) === bare(sent);
}

/** The results of tools are turns of their own, between the calls and what follows. */
function toContext(said: readonly ClientMessage[]): ContextTurn[] {
  const turns: ContextTurn[] = [];
  for (const { role, items } of said) {
    for (const item of items) {
      const side = item.type === 'function_call_output' ? 'user' : role;
      const last = turns.at(-1);
      if (last?.role === side) last.items.push(item);
      else turns.push({ role: side, items: [item] });
    }
  }
  return turns;
}
