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
import { at, DAY, ending, newAnswer, newTurn, person, uuid } from './fixtures.ts';

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
  await store.createUser({ user: { tenant: owner.tenant, id: 'bob', keyless: false, createdAt: 1 } });
  await store.listUsers(owner.tenant);
  await store.readChanges({ owner, since: 0, limit: 9 });
  await store.readUsage({ tenant: owner.tenant, user: 'ann', from: 0, to: 9, limit: 9 });
  await store.readUsage({ tenant: owner.tenant, user: null, from: 0, to: 9, limit: 9 });
  await ann.remove(conversation.id, 5, { key: 'delete', command: 'd' });
  await store.deleteConversations({ owner, now: 6, once: null, limit: 9 });
  await store.sweep({ now: 100 * DAY });
}
