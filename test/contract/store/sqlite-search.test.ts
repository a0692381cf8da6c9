/** The search index as a file: it follows the database through crashes, and can be lost. */

import assert from 'node:assert/strict';
import { copyFileSync, existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, it } from 'node:test';
import { phrasesOf } from '../../../src/core/words.ts';
import type { Store } from '../../../src/ports/store.ts';
import { at, newTurn, person, text } from './fixtures.ts';
import { useFolders } from './sqlite-folders.ts';

const { newFolder, open, start } = useFolders();
const owner = person({ tenant: 'default' });

async function found(store: Store, query: string): Promise<string[]> {
  const phrases = phrasesOf(query);
  const rest = { order: 'newest' as const, archived: false, limit: 1000, after: null, now: 1 };
  const { hits } = await store.searchConversations({ owner, phrases, ...rest });
  return hits.map(({ conversation }) => conversation.id);
}

/** Searches until nothing is missing in the index. */
async function complete(store: Store): Promise<void> {
  const rest = { order: 'newest' as const, archived: false, limit: 1, after: null, now: 1 };
  while (!(await store.searchConversations({ owner, phrases: phrasesOf('any'), ...rest })).complete);
}

/** 0 while there is no index, or it is just being made. */
function numberOfDocuments(folder: string): number {
  let database: DatabaseSync | null = null;
  try {
    database = new DatabaseSync(join(folder, 'search.db'), { readOnly: true, timeout: 5000 });
    return Number(database.prepare('select count(*) as count from documents').get()?.count);
  } catch {
    return 0;
  } finally {
    database?.close();
  }
}

async function documentsToBe(count: number, folder: string): Promise<void> {
  while (numberOfDocuments(folder) !== count) await new Promise(setImmediate);
}

/** Throws where the index and its documents do not agree. */
function checkIndex(folder: string): void {
  const database = new DatabaseSync(join(folder, 'search.db'));
  try {
    database.exec("insert into words (words, rank) values ('integrity-check', 1)");
    assert.deepEqual({ ...database.prepare('pragma integrity_check').get() }, { integrity_check: 'ok' });
  } finally {
    database.close();
  }
}

async function fill(store: Store, conversations: number, messages: number): Promise<string[]> {
  const ann = at(store, owner);
  const made = await Promise.all(
    Array.from({ length: conversations }, async (_, i) => {
      const { conversation } = (await ann.say(`common start ${i}`)).value;
      const more = Array.from({ length: messages - 1 }, (_, k) =>
        newTurn(`common word${k} and ${'filling '.repeat(30)}`),
      );
      await Promise.all(more.map((turn) => ann.say(turn, { conversation })));
      return conversation.id;
    }),
  );
  return made;
}

describe('The search index of SQLite', () => {
  it('is a file of its own, readable by its owner alone', async () => {
    const folder = newFolder();
    const store = await open(folder);
    await at(store, owner).say('a word');
    await found(store, 'word');
    for (const name of ['search.db', 'search.db-wal', 'search.db-shm']) {
      assert.equal(statSync(join(folder, name)).mode & 0o777, 0o600, name);
    }
  });

  it('is not made where nothing is searched for', async () => {
    const folder = newFolder();
    const store = await open(folder);
    await at(store, owner).say('a word');
    await store.close();
    assert.equal(existsSync(join(folder, 'search.db')), false);
  });

  it('is made by itself a moment after something was written', async () => {
    const folder = newFolder();
    const store = await open(folder);
    await at(store, owner).say('a word');
    await documentsToBe(1, folder);
  });

  it('forgets every letter of what was deleted', async () => {
    const folder = newFolder();
    const store = await open(folder);
    const ann = at(store, owner);
    const secret = 'qxjkvzwqpf';
    const conversations = [];
    for (let i = 0; i < 5; i++) {
      const { conversation } = (await ann.say(`my ${secret} and`)).value;
      for (let k = 0; k < 5; k++) await ann.say(`more ${secret}`, { conversation });
      conversations.push(conversation);
    }
    const kept = (await ann.say('kept')).value.conversation;
    assert.equal((await found(store, secret)).length, 5);
    for (const { id } of conversations) await ann.remove(id);
    await documentsToBe(1, folder);
    // What was erased last is out of the log by the time a search is answered.
    assert.deepEqual(await found(store, 'kept'), [kept.id]);
    for (const name of ['search.db', 'search.db-wal']) {
      assert.equal(readFileSync(join(folder, name)).includes(secret), false, name);
    }
    await store.close();
    checkIndex(folder);
  });

  it('forgets after a crash what was deleted before it', async () => {
    const folder = newFolder();
    let store = await open(folder);
    const ann = at(store, owner);
    const gone = (await ann.say('soon gone')).value.conversation;
    await ann.say('kept');
    await found(store, 'gone');
    // As if the process had ended after the delete was committed, and before the index was told.
    await store.close();
    copyFileSync(join(folder, 'search.db'), join(folder, 'search.before'));
    store = await open(folder);
    await at(store, owner).remove(gone.id);
    await store.close();
    copyFileSync(join(folder, 'search.before'), join(folder, 'search.db'));
    store = await open(folder);
    await documentsToBe(1, folder);
    assert.deepEqual(await found(store, 'gone'), []);
  });

  it('is not confused by rows that are given again', async () => {
    const folder = newFolder();
    const store = await open(folder);
    const ann = at(store, owner);
    const kept = (await ann.say('number one')).value.conversation;
    const gone = (await ann.say('number two')).value.conversation;
    await found(store, 'number');
    await store.close();
    copyFileSync(join(folder, 'search.db'), join(folder, 'search.before'));
    const second = await open(folder);
    await at(second, owner).remove(gone.id);
    const again = (await at(second, owner).say('number three')).value.conversation;
    await second.close();
    copyFileSync(join(folder, 'search.before'), join(folder, 'search.db'));
    const third = await open(folder);
    assert.deepEqual(await found(third, 'number'), [again.id, kept.id]);
    assert.deepEqual(await found(third, 'two'), []);
  });

  it('is whole after a kill in the middle of making it', async () => {
    const folder = newFolder();
    const store = await open(folder);
    const made = await fill(store, 20, 100);
    await store.close();
    for (let i = 0; i < 3; i++) {
      const searching = start(folder, 'search');
      for await (const line of searching.lines) if (line !== 'open') break;
      await searching.kill();
    }
    const again = await open(folder);
    await complete(again);
    assert.deepEqual((await found(again, 'common')).toSorted(), made.toSorted());
    assert.equal(numberOfDocuments(folder), 2000);
    await again.close();
    checkIndex(folder);
  });

  const losses: [string, (path: string) => void][] = [
    ['missing', (path) => rmSync(path)],
    ['empty', (path) => writeFileSync(path, '')],
    ['no database', (path) => writeFileSync(path, 'no database at all'.repeat(1000))],
    ['cut off', (path) => writeFileSync(path, readFileSync(path).subarray(0, 3 * 4096))],
    ['overwritten in the middle', (path) => writeFileSync(path, readFileSync(path).fill(0xff, 4096))],
    ['of another version', (path) => edit(path, 'update state set version = 0')],
    ['ahead of the database, of which a copy was put back', (path) => edit(path, 'update state set change = 99')],
  ];
  for (const [name, lose] of losses) {
    it(`is made anew where it is ${name}`, async () => {
      const folder = newFolder();
      const store = await open(folder);
      const ann = at(store, owner);
      const made = await fill(store, 5, 5);
      const titled = await ann.create({ title: 'A common title' });
      await found(store, 'common');
      await store.close();
      lose(join(folder, 'search.db'));
      const problems: string[] = [];
      const again = await open(folder, { onProblem: (problem) => problems.push(problem.message) });
      // One that breaks in the middle of a search fails that one.
      await found(again, 'common').catch(() => {});
      await complete(again);
      assert.deepEqual((await found(again, 'common')).toSorted(), [...made, titled.id].toSorted(), problems.join());
      await again.close();
      checkIndex(folder);
    });
  }

  it('is made anew where it has not followed for so long that what it missed is forgotten', async () => {
    const folder = newFolder();
    const store = await open(folder);
    const { conversation } = (await at(store, owner).say('a word')).value;
    await found(store, 'word');
    await store.close();
    edit(
      join(folder, 'parlance.db'),
      `with recursive n (i) as (select 1 union all select i + 1 from n where i < 10100)
       insert into search_changes (tenant, conversation) select 'default', 'nothing' from n`,
    );
    const again = await open(folder);
    while (await again.sweep({ now: 1 }));
    assert.deepEqual(await found(again, 'word'), [conversation.id]);
  });

  it('follows the database beside many writers', async () => {
    const folder = newFolder();
    const store = await open(folder);
    await found(store, 'common');
    const searching = (async () => {
      for (let i = 0; i < 50; i++) await found(store, 'common');
    })();
    const made = await fill(store, 20, 50);
    await searching;
    await documentsToBe(1000, folder);
    assert.deepEqual((await found(store, 'common')).toSorted(), made.toSorted());
  });

  it('indexes a very long message', async () => {
    const folder = newFolder();
    const store = await open(folder);
    const long = `${'lorem ipsum '.repeat(80_000)} needle`;
    const { conversation } = (await at(store, owner).say(newTurn('', { items: [text(long)] }))).value;
    await complete(store);
    assert.deepEqual(await found(store, 'needle'), [conversation.id]);
  });
});

function edit(path: string, statement: string): void {
  const database = new DatabaseSync(path);
  database.exec(statement);
  database.close();
}
