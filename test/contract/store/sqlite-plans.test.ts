/** How SQLite finds what is asked for: by an index, always, so that nothing slows down as a database grows. */

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, describe, it } from 'node:test';
import { openSqliteStore } from '../../../src/adapters/store/sqlite.ts';
import { openSql } from '../../../src/adapters/store/sqlite-sql.ts';
import { reads, units } from '../../../src/adapters/store/units.ts';
import type { Store } from '../../../src/ports/store.ts';
import { at, DAY, ending, newAnswer, newConversation, newTurn, person, uuid } from './fixtures.ts';

/**
 * Recursive queries scan what they have found so far, and a sweep the oldest rows up to its limit; all runs that are
 * open are found by an index of these alone.
 */
const allowed = [
  /^SCAN (path|page|log|oldest)$/,
  /^SCAN (run_events|changes|usage)$/,
  /^SCAN runs USING INDEX runs_open$/,
];

describe('The queries of SQLite', () => {
  const folder = mkdtempSync(join(tmpdir(), 'parlance-plans-'));
  const texts = new Set<string>();
  const used = new Set<string>();
  let database: DatabaseSync;

  before(async () => {
    await (await openSqliteStore({ folder, exclusive: true, now: () => 1 })).close();
    database = new DatabaseSync(join(folder, 'parlance.db'));
    await useEverything(recordingStore(database, texts, used));
  });

  after(() => {
    database.close();
    rmSync(folder, { recursive: true });
  });

  it('are all used here', () => {
    assert.deepEqual(
      Object.keys({ ...units, ...reads }).filter((name) => !used.has(name)),
      [],
      'they are in useEverything',
    );
  });

  it('find their rows by an index', () => {
    for (const text of texts) {
      const plan = database.prepare(`explain query plan ${text}`).all();
      for (const { detail } of plan) {
        const step = String(detail);
        if (!step.startsWith('SCAN')) continue;
        assert(
          allowed.some((pattern) => pattern.test(step)),
          `${step}\n${text}`,
        );
      }
    }
  });

  it('bind no number of rows, which would have SQLite compile them anew at each run', () => {
    for (const text of texts) assert.doesNotMatch(text, /limit \?\d+(?! \+|\d)/, text);
  });
});

/** The units and reads on one connection, each statement noted. */
function recordingStore(database: DatabaseSync, texts: Set<string>, used: Set<string>): Store {
  const recording = {
    prepare: (text: string) => {
      texts.add(text);
      return database.prepare(text);
    },
  };
  const sql = openSql(recording as DatabaseSync);
  const store: Record<string, unknown> = {};
  for (const [name, run] of Object.entries({ ...units, ...reads })) {
    store[name] = (...values: unknown[]) => {
      used.add(name);
      return (run as (...all: unknown[]) => unknown)(sql, ...values);
    };
  }
  return store as unknown as Store;
}

async function useEverything(store: Store): Promise<void> {
  const owner = person();
  const ann = at(store, owner);
  const once = { key: 'k', command: 'c' };
  const first = await ann.ask(newTurn('One', { externalId: 'm' }), { once });
  const { conversation, run, answer } = first;
  await ann.say('One', { answer: true, once });
  await ann.say(newTurn('By hand', { role: 'assistant' }), { conversation });
  await ann.ask('Two', { conversation, parent: first.answer.id });
  const ref = { by: 'id', id: conversation.id } as const;
  await store.answerTurn({ owner, now: 2, target: { conversation: ref }, answer: newAnswer() });
  await store.answerTurn({ owner, now: 2, target: { turn: first.input.id }, answer: newAnswer() });
  await store.appendEvents({ batches: [1, 2].map((n) => ({ run: run.id, first: n, last: n, payload: '[0,"x"]' })) });
  await store.startTitleRun({ conversation: conversation.id, run: uuid(), request: run.request, now: 2 });
  await store.finishRun(ending(run.id, 'failed', { lastEvent: 3 }));
  await ann.say('One', { answer: true, once });
  await store.startNextRun({ conversation: conversation.id, now: 3 });
  await store.openRuns();
  await store.findRun(owner, run.id);
  await store.findRunOfTurn(owner, answer.id);
  await store.findTurn(owner, answer.id);
  await store.findConversation(owner, { by: 'number', number: 1 });
  await store.findConversation(owner, { by: 'external', id: 'x' });
  await store.readEvents({ run: run.id, after: 0, limit: 9 });
  await ann.read(conversation.id);
  await store.readContext({ conversation: conversation.id, turn: answer.id, tokens: 100 });
  for (const order of ['activity', 'created'] as const) {
    for (const direction of ['asc', 'desc'] as const) await ann.list({ order, direction });
  }
  await ann.create({ externalId: 'x', active: true });
  await ann.create({ listed: false });
  await store.updateConversation({
    owner,
    now: 4,
    once: null,
    ref,
    set: { title: 'T', archived: true, head: answer.id },
  });
  await store.nameConversation({ conversation: conversation.id, title: 'T', now: 4 });
  await useTheTree(store, owner);
  const key = { id: uuid(), tenant: owner.tenant, user: 'ann', kind: 'user' as const, name: null, hint: 'x' };
  const rest = { scopes: [], rates: null, createdAt: 1, expiresAt: null, revokedAt: null };
  const by = { owner, now: 1, once: null };
  await store.createKey({ ...by, key: { ...key, ...rest }, digest: 'd' });
  await store.revokeKey({ ...by, id: key.id });
  await store.findKey('d');
  await store.listKeys(owner.tenant);
  await store.listKeys(owner.tenant, { direction: 'desc', limit: 2, after: key.id });
  const ticket = { ...owner, keyId: key.id, path: '/p', createdAt: 1, expiresAt: 9 };
  await store.createTicket({ ...by, id: uuid(), digest: 't', ticket });
  await store.useTicket({ digest: 't', path: '/p', again: false, keepMs: 9, now: 2 });
  await store.hasTicket('t');
  await store.findKeyById(owner.tenant, key.id);
  const session = { tenant: owner.tenant, key: key.id, createdAt: 1, expiresAt: 9 };
  await store.createSession({ session, digest: 's' });
  await store.findSession('s');
  await store.extendSession({ digest: 's', expiresAt: 10 });
  await store.endSession({ digest: 's' });
  const invite = { tenant: owner.tenant, user: 'bob', createdAt: 1, expiresAt: 9 };
  await store.createInvite({ ...by, id: uuid(), invite, digest: 'i' });
  const { tenant: _tenant, user: _user, ...invited } = { ...key, ...rest, id: uuid() };
  await store.redeemInvite({ digest: 'i', key: invited, keyDigest: 'k2', now: 2 });
  await store.keepSecret({ name: 'n', value: 'v' });
  await store.createUser({ user: { tenant: owner.tenant, id: 'bob', keyless: false, createdAt: 1 } });
  await store.listUsers(owner.tenant);
  for (const local of [true, false]) await store.pageUsers({ tenant: owner.tenant, local, after: '', limit: 9 });
  await store.readChanges({ owner, since: 0, limit: 9 });
  await store.readUsage({ tenant: owner.tenant, user: 'ann', from: 0, to: 9, limit: 9 });
  await store.readUsage({ tenant: owner.tenant, user: null, from: 0, to: 9, limit: 9 });
  await ann.remove(conversation.id, 5, { key: 'delete', command: 'd' });
  await store.deleteConversations({ owner, now: 6, once: null, limit: 9 });
  await store.sweep({ now: 100 * DAY });
}

/** Items, branches and answers of a conversation. */
async function useTheTree(store: Store, owner: ReturnType<typeof person>): Promise<void> {
  const ann = at(store, owner);
  const by = { owner, now: 7, once: null };
  const { conversation, input, run, answer } = await ann.ask(newTurn('Asked', { externalId: 'asked' }));
  const ref = { by: 'id', id: conversation.id } as const;
  await store.finishRun(ending(run.id, 'completed'));
  const written = await store.findTurn(owner, answer.id);
  const item = written?.turn.items[0]?.id ?? '';
  await store.findMessage(owner, conversation.id, 'asked');
  await store.findMessage(owner, conversation.id, input.id);
  await store.findItem(owner, item);
  await store.findAnswer(owner, answer.id);
  await store.readRunFacts({ owner, runs: [run.id] });
  await store.readTree({ owner, conversation: conversation.id, depth: 0, limit: 9 });
  await store.readBranch({ owner, ref, from: 1, limit: 9 });
  await store.readChain({ turn: answer.id, count: 9 });
  await store.readHeads([{ id: conversation.id, head: answer.id }]);
  await store.claimCall({ tenant: owner.tenant, conversation: conversation.id, call: 'c', run: run.id, now: 7 });
  await store.deleteItems({ ...by, ref, turn: input.id, items: [input.items[0]?.id ?? ''] });
  const again = { conversation: conversation.id, turn: input.id, onBusy: 'queue' as const, sibling: true };
  await store.answerAgain({ ...by, ...again, answer: newAnswer() });
  await store.deleteAnswer({ ...by, turn: answer.id });
  const hidden = await ann.ask('Hidden', { conversation: { create: newConversation({ listed: false }) } });
  await store.deleteAnswer({ ...by, turn: hidden.answer.id });
  await store.recordRun({ run: { ...run, id: uuid(), conversation: null, turn: null, endedAt: 8 } });
}
