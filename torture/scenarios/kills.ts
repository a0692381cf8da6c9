/**
 * `kill -9` at random moments while many writers write. Each writer keeps a ledger of what it was told is stored, and
 * sends what got no answer again with the same `Idempotency-Key`. At the end every ledger must be found, word for word.
 */

import { setTimeout as wait } from 'node:timers/promises';
import { answerText } from '../../bench/tokens.ts';
import { inspect, runsEnd } from '../inspect.ts';
import { atLeast, exactly, inLanes, type Result, type Scenario, type Sizes, told } from '../scenario.ts';
import { type Answer, between, type Caller, createCaller, openStage, readEntries } from '../stage.ts';

const USER = 'everybody';
const ENTRIES_PER_CHAT = 400;
const ANSWER_TOKENS = 20;
/** At most so many sentences for each kind of fault. */
const EVIDENCE = 20;

interface Chat {
  id: string;
  /** The texts that were acknowledged, in order, with the entry's id where the answer told it. */
  written: { id: string | null; text: string }[];
  /** Its entries are answered. */
  asked: boolean;
  deleted: boolean;
}

export const kills: Scenario = {
  title: 'kill -9 at random moments under 32 writers',
  row: '`kill -9` while many clients write',
  async run({ kills: count = 20, writers = 32 }: Sizes): Promise<Result> {
    const stage = await openStage();
    const { server } = stage;
    const counts = { acknowledged: 0, cutOff: 0, refused: 0 };
    const evidence: string[] = [];
    const restartMs: number[] = [];
    let caller = createCaller(server, USER, writers + 8);
    let up = Promise.withResolvers<void>();
    up.resolve();
    let over = false;
    /** The scenario itself has failed: nothing is tried again. */
    let failed = false;

    /** Sends it until there is an answer, with the same key. */
    async function persist(method: string, path: string, body: unknown, key: string): Promise<Answer> {
      for (;;) {
        await up.promise;
        try {
          const answer = await caller.call(method, path, body, key);
          if (answer.status < 300 || answer.status === 502) counts.acknowledged++;
          if (answer.status !== 503) return answer;
          counts.refused++;
          await wait(20);
        } catch (error) {
          if (failed) throw error;
          counts.cutOff++;
          await wait(5);
        }
      }
    }

    function unexpected(what: string, { status, text }: Answer): void {
      if (evidence.length < EVIDENCE) evidence.push(`${what} was answered ${status}: ${text.slice(0, 200)}`);
    }

    async function write(writer: number, shared: Chat): Promise<Chat[]> {
      const chats: Chat[] = [];
      let number = 0;
      const key = () => `${writer}-${++number}`;
      const begin = async (asked: boolean): Promise<Chat> => {
        const answer = await persist('POST', '/chats/create', { name: `Writer ${writer}` }, key());
        if (answer.status !== 201) throw new Error(`A chat was answered ${answer.status}: ${answer.text}`);
        const chat = { id: JSON.parse(answer.text).id, written: [], asked, deleted: false };
        chats.push(chat);
        return chat;
      };
      let chat = await begin(false);
      const conversation = await begin(true);
      while (!over) {
        const dice = Math.random();
        if (dice < 0.04) {
          const text = `writer ${writer} asks ${number} bench tokens=${ANSWER_TOKENS} write=5`;
          const body = { prompt: text, conversation_id: conversation.id };
          const answer = await persist('POST', '/ask', body, key());
          // 502: the crash came while it was answered; the message is stored.
          if (answer.status === 200 || answer.status === 502) conversation.written.push({ id: null, text });
          else unexpected('A question', answer);
        } else if (dice < 0.06) {
          const old = await begin(false);
          await persist('POST', '/conversations/create', { chat_id: old.id, role: 'Human', message: 'Gone' }, key());
          const answer = await persist('DELETE', `/chats/delete/${old.id}`, undefined, key());
          if (answer.status === 200) old.deleted = true;
          else unexpected('A deletion', answer);
        } else {
          if (chat.written.length >= ENTRIES_PER_CHAT) chat = await begin(false);
          const into = dice < 0.12 ? shared : chat;
          const text = `writer ${writer} entry ${number}`;
          const body = { chat_id: into.id, role: 'Human', message: text };
          const answer = await persist('POST', '/conversations/create', body, key());
          if (answer.status === 201) into.written.push({ id: JSON.parse(answer.text).id, text });
          else unexpected('An entry', answer);
        }
      }
      return chats;
    }

    try {
      const made = await persist('POST', '/chats/create', { name: 'Everybody' }, 'shared');
      const shared: Chat = { id: JSON.parse(made.text).id, written: [], asked: false, deleted: false };
      const writing = Promise.all(Array.from({ length: writers }, (_, writer) => write(writer, shared)));
      // Told where it is awaited.
      writing.catch(() => {});
      for (let kill = 0; kill < count; kill++) {
        await wait(between(20, 500));
        up = Promise.withResolvers();
        await server.kill();
        const began = performance.now();
        const before = caller;
        await server.start();
        restartMs.push(performance.now() - began);
        caller = createCaller(server, USER, writers + 8);
        up.resolve();
        await before.close();
      }
      over = true;
      const chats = (await writing).flat();
      evidence.push(
        ...(await runsEnd(server.data, 15_000).then((open) => (open > 0 ? [`${open} runs never end`] : []))),
      );
      const found = { lost: 0, doubled: 0, misplaced: 0 };
      await inLanes(chats.length, 8, (i) => check(caller, chats[i] as Chat, found, evidence));
      await checkShared(caller, shared, writers, found, evidence);
      const illegal = inspect(server.data);
      evidence.push(...illegal);
      return {
        figures: [
          exactly('kills', restartMs.length, count),
          ...(count >= 500 ? [atLeast('writes acknowledged', counts.acknowledged, 100_000)] : []),
          ...(count < 500 ? [told('writes acknowledged', counts.acknowledged)] : []),
          told('writes cut off, settled by their Idempotency-Key', counts.cutOff),
          told('longest restart, ms', Math.round(Math.max(...restartMs))),
          exactly('lost', found.lost, 0),
          exactly('doubled', found.doubled, 0),
          exactly('out of order', found.misplaced, 0),
          exactly('gaps and other illegal states in the file', illegal.length, 0),
        ],
        evidence,
      };
    } finally {
      over = true;
      failed = true;
      up.resolve();
      await caller.close();
      await stage.close();
    }
  },
};

type Found = { lost: number; doubled: number; misplaced: number };

async function check(caller: Caller, chat: Chat, found: Found, evidence: string[]): Promise<void> {
  const entries = await readEntries(caller, chat.id);
  if (chat.deleted) {
    if (entries !== null) evidence.push(`The deleted chat ${chat.id} is there again`);
    return;
  }
  if (entries === null) {
    found.lost += 1 + chat.written.length;
    evidence.push(`The chat ${chat.id} is gone`);
    return;
  }
  const human = entries.filter(({ role }) => role === 'Human');
  compare(chat, human, found, evidence);
  const whole = answerText(ANSWER_TOKENS);
  for (const { role, message } of entries) {
    if (role === 'Assistant' && !whole.startsWith(message)) evidence.push(`An answer is not the model's: ${message}`);
  }
}

/** Writers of the shared chat are acknowledged in any order, but each one's entries stay in its own. */
async function checkShared(
  caller: Caller,
  shared: Chat,
  writers: number,
  found: Found,
  evidence: string[],
): Promise<void> {
  const entries = (await readEntries(caller, shared.id)) ?? [];
  for (let writer = 0; writer < writers; writer++) {
    const mine = ({ text }: { text: string }) => text.startsWith(`writer ${writer} `);
    const written = shared.written.filter(mine);
    const stored = entries.filter(({ message }) => mine({ text: message }));
    compare({ ...shared, written }, stored, found, evidence);
  }
}

function compare(
  { id: chat, written }: Chat,
  entries: { id: string; message: string }[],
  found: Found,
  evidence: string[],
): void {
  const stored = new Map<string, string[]>();
  for (const { id, message } of entries) stored.set(message, [...(stored.get(message) ?? []), id]);
  for (const { id, text } of written) {
    const ids = stored.get(text) ?? [];
    if (ids.length === 0 || (id !== null && !ids.includes(id))) {
      found.lost++;
      if (evidence.length < EVIDENCE) evidence.push(`Lost: "${text}" (${id}) in ${chat}`);
    }
    if (ids.length > 1) {
      found.doubled++;
      if (evidence.length < EVIDENCE) evidence.push(`Doubled: "${text}" in ${chat}`);
    }
  }
  const order = entries.map(({ message }) => message);
  if (entries.length > written.length) found.doubled += entries.length - written.length;
  if (order.some((text, i) => text !== written[i]?.text)) found.misplaced++;
}
