/** Many at once on one conversation: deletes against writes, fifty people, and one request a hundred times. */

import { setTimeout as wait } from 'node:timers/promises';
import { countRows, inspect, runsEnd } from '../inspect.ts';
import { readInference } from '../reader.ts';
import { exactly, inLanes, type Result, type Scenario, type Sizes, told } from '../scenario.ts';
import { type Answer, between, createCaller, expect, makeChat, openStage, readEntries } from '../stage.ts';

const USER = 'everybody';

/** Rows that name a conversation that is deleted. A feed keeps saying that it was, and a retry of the delete its outcome. */
const REMAINS: Record<string, string> = {
  conversations: 'select count(*) as count from conversations where id = ?',
  turns: 'select count(*) as count from turns where conversation = ?',
  runs: 'select count(*) as count from runs where conversation = ?',
  'living outcomes': 'select count(*) as count from idempotency where conversation = ? and gone = 0',
};
/** Only deleted conversations were made, so that nothing at all may be left in these. */
const EMPTY = ['conversations', 'turns', 'items', 'runs', 'run_logs', 'run_events'];

export const races: Scenario = {
  title: 'a conversation is deleted while it is written to and answered',
  row: 'a conversation is deleted while its answer is written',
  async run({ races: count = 1000 }: Sizes): Promise<Result> {
    const stage = await openStage();
    const { server } = stage;
    const caller = createCaller(server, USER, 64);
    const evidence: string[] = [];
    const outcomes = new Map<number, number>();
    const told_ = ({ status }: Answer) => outcomes.set(status, (outcomes.get(status) ?? 0) + 1);
    const deleted: string[] = [];
    try {
      await inLanes(count, 20, async (i) => {
        const chat = await makeChat(caller, 'bench tokens=40 rate=200');
        const inference = readInference(server, { user: USER, chat }).catch(() => null);
        const later = async (path: string, body: unknown, key?: string) => {
          await wait(between(0, 30));
          told_(await caller.call('POST', path, body, key));
        };
        const writes = [
          later('/conversations/create', { chat_id: chat, role: 'Human', message: 'One more' }, `entry-${i}`),
          later('/ask', { prompt: 'Again: bench tokens=40 rate=200', conversation_id: chat }),
        ];
        await wait(between(0, 40));
        await expect(200, caller.call('DELETE', `/chats/delete/${chat}`, undefined, `delete-${i}`));
        deleted.push(chat);
        await Promise.all(writes);
        await inference;
        if ((await readEntries(caller, chat)) !== null) evidence.push(`${chat} is there again`);
      });
      const open = await runsEnd(server.data, 15_000);
      evidence.push(...inspect(server.data));
      let orphans = 0;
      for (const [what, query] of Object.entries(REMAINS)) {
        for (const chat of deleted) {
          if (countRows(server.data, query, chat) === 0) continue;
          orphans++;
          if (evidence.length < 20) evidence.push(`${what} of the deleted ${chat} are left`);
        }
      }
      for (const table of EMPTY) {
        const left = countRows(server.data, `select count(*) as count from ${table}`);
        orphans += left;
        if (left > 0) evidence.push(`${left} rows are left in ${table}`);
      }
      const { aborted, open: streams } = await stage.modelCounts();
      return {
        figures: [
          exactly('races', deleted.length, count),
          exactly('orphans', orphans, 0),
          exactly('runs left open', open, 0),
          exactly('streams the model still writes', streams, 0),
          told('model calls aborted', aborted),
          told(
            'writes by status',
            [...outcomes]
              .toSorted()
              .map(([status, n]) => `${status}: ${n}`)
              .join(', '),
          ),
        ],
        evidence,
      };
    } finally {
      await caller.close();
      await stage.close();
    }
  },
};

const WRITES_EACH = 20;
const READERS = 10;

export const order: Scenario = {
  title: 'many people write to one conversation',
  row: '50 people write to one conversation',
  async run({ people = 50 }: Sizes): Promise<Result> {
    const stage = await openStage();
    const { server } = stage;
    const callers = Array.from({ length: people }, () => createCaller(server, USER, 1));
    const reader = createCaller(server, USER, READERS);
    const evidence: string[] = [];
    try {
      const chat = await makeChat(reader);
      const views: string[][] = [];
      let writing = true;
      const readers = Array.from({ length: READERS }, async () => {
        while (writing) views.push(((await readEntries(reader, chat)) ?? []).map(({ id }) => id));
      });
      await Promise.all(
        callers.map(async (caller, person) => {
          for (let i = 0; i < WRITES_EACH; i++) {
            const body = { chat_id: chat, role: 'Human', message: `person ${person} says ${i}` };
            await expect(201, caller.call('POST', '/conversations/create', body));
          }
        }),
      );
      writing = false;
      await Promise.all(readers);
      const last = (await readEntries(reader, chat)) ?? [];
      const inAnother = await expect<{ messages: { id: string }[] }>(200, reader.call('GET', `/conversations/${chat}`));
      const ids = last.map(({ id }) => id);
      const agree = (view: string[]) => view.every((id, i) => id === ids[i]);
      const disagree = views.filter((view) => !agree(view)).length;
      let own = 0;
      for (let person = 0; person < people; person++) {
        const mine = last.filter(({ message }) => message.startsWith(`person ${person} says `));
        if (mine.every(({ message }, i) => message === `person ${person} says ${i}`)) own++;
      }
      evidence.push(...inspect(server.data));
      return {
        figures: [
          exactly('messages', last.length, people * WRITES_EACH),
          exactly('people whose own order is kept', own, people),
          told('reads meanwhile', views.length),
          exactly('reads that saw another order', disagree, 0),
          exactly(
            'places where another dialect shows another order',
            inAnother.messages.filter(({ id }, i) => id !== ids.at(-inAnother.messages.length + i)).length,
            0,
          ),
        ],
        evidence,
      };
    } finally {
      await Promise.all([...callers, reader].map((caller) => caller.close()));
      await stage.close();
    }
  },
};

const AT_ONCE = 100;

export const equal: Scenario = {
  title: 'the same request a hundred times at once',
  row: 'the same request 100 times at once',
  async run({ rounds = 20 }: Sizes): Promise<Result> {
    const stage = await openStage();
    const { server } = stage;
    const caller = createCaller(server, USER, AT_ONCE);
    const evidence: string[] = [];
    const sums = { requests: 0, same: 0, messages: 0, runs: 0 };
    try {
      const before = (await stage.modelCounts()).requests;
      for (let round = 0; round < rounds; round++) {
        const chat = await makeChat(caller);
        const body = { prompt: 'Once: bench tokens=30 rate=100', conversation_id: chat };
        await hundred(chat, () => caller.call('POST', '/ask', body, `ask-${round}`));
        // Without a key: what was asked of an entry once is asked once.
        const entry = await makeChat(caller, 'Once more: bench tokens=30 rate=100');
        await hundred(entry, () => caller.call('GET', `/conversations/inference/${entry}`));
      }
      const calls = (await stage.modelCounts()).requests - before;
      return {
        figures: [
          exactly('requests', sums.requests, rounds * 2 * AT_ONCE),
          exactly('with the same answer, byte for byte, as the first of them', sums.same, sums.requests),
          exactly('messages stored', sums.messages, rounds * 2),
          exactly('runs', sums.runs, rounds * 2),
          exactly('calls of the model', calls, rounds * 2),
        ],
        evidence: [...evidence, ...inspect(server.data)],
      };
    } finally {
      await caller.close();
      await stage.close();
    }

    async function hundred(chat: string, send: () => Promise<Answer>): Promise<void> {
      const answers = await Promise.all(Array.from({ length: AT_ONCE }, send));
      const first = answers[0];
      sums.requests += answers.length;
      sums.same += answers.filter(({ status, text }) => status === 200 && text === first?.text).length;
      if (first?.status !== 200) evidence.push(`${chat} was answered ${first?.status}: ${first?.text.slice(0, 200)}`);
      sums.messages += ((await readEntries(caller, chat)) ?? []).filter(({ role }) => role === 'Human').length;
      sums.runs += countRows(server.data, 'select count(*) as count from runs where conversation = ?', chat);
    }
  },
};
