/** What only the embedded store has: a folder, a lock, a process that can be killed, migrations, a disk that fills. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, it } from 'node:test';
import { migrations } from '../../../src/adapters/store/migrations/all.ts';
import { packEvents } from '../../../src/core/event.ts';
import { at, DAY, ending, newTurn, person, text } from './fixtures.ts';
import { child, useFolders } from './sqlite-folders.ts';

/** Of util-linux: sets how large a file a process may write. */
const prlimit = 'prlimit';
const { newFolder, open, start } = useFolders();

/** The table file of a folder, read beside the store. */
function look<T>(folder: string, query: string): T[] {
  const database = new DatabaseSync(join(folder, 'parlance.db'), { readOnly: true });
  try {
    return database.prepare(query).all() as T[];
  } finally {
    database.close();
  }
}

describe('The data folder of SQLite', () => {
  it('is made where there is none, readable by its owner alone', async () => {
    const folder = newFolder();
    const store = await open(folder);
    await at(store, person()).create();
    assert.equal(statSync(folder).mode & 0o777, 0o700);
    for (const name of readdirSync(folder)) {
      assert.equal(statSync(join(folder, name)).mode & 0o777, 0o600, name);
    }
    await store.close();
    assert.deepEqual(readdirSync(folder).toSorted(), ['lock', 'parlance.db']);
  });

  it('is said to be of no use where it cannot be made', async () => {
    const folder = newFolder();
    const store = await open(folder);
    await store.close();
    await assert.rejects(open(join(folder, 'parlance.db', 'data')), /data folder .* cannot be used/);
  });

  it('belongs to one server: a second one is refused with the process that has it', async () => {
    const folder = newFolder();
    const store = await open(folder);
    await at(store, person()).create();
    await assert.rejects(open(folder), {
      message: `${folder} is in use by another Parlance server (process ${process.pid}). Stop that one first, or set PARLANCE_DATA to another folder.`,
    });
    await at(store, person()).create();
    await store.close();
    await (await open(folder)).close();
  });

  it('is refused while another process has it, and free as soon as that was killed', async () => {
    const folder = newFolder();
    const holder = start(folder, 'hold');
    await once(holder.lines, 'line');
    await assert.rejects(open(folder), new RegExp(`process ${holder.process.pid}`));
    await holder.kill();
    await (await open(folder)).close();
  });

  it('may be written to by a command beside the server, both at once', async () => {
    const folder = newFolder();
    const store = await open(folder);
    const ann = at(store, person());
    let writing = true;
    const busy = (async () => {
      for (; writing; ) await ann.create();
    })();
    const ids = Array.from({ length: 2 }, () =>
      execFileSync(process.execPath, [child, folder, 'key'], { encoding: 'utf8' }).trim(),
    );
    writing = false;
    await busy;
    for (const id of ids) assert.equal((await store.findKey(id))?.user, 'beside');
    await store.close();
  });

  it('has everything that was acknowledged before a kill -9, once and in order, whenever that comes', async () => {
    const folder = newFolder();
    const acknowledged = new Map<string, string[]>();
    for (const many of [1, 50, 400, 1500]) {
      const writer = start(folder, 'write');
      let count = 0;
      for await (const line of writer.lines) {
        const [conversation = '', turn] = line.split(' ');
        if (turn !== undefined) acknowledged.set(conversation, [...(acknowledged.get(conversation) ?? []), turn]);
        if (++count === many) await writer.kill();
      }
    }
    const store = await open(folder);
    assert.deepEqual(await store.health(true), { ok: true, problems: [] });
    let turns = 0;
    for (const [id, acked] of acknowledged) {
      const [{ user } = { user: '' }] = look<{ user: string }>(
        folder,
        `select user from conversations where id = '${id}'`,
      );
      const path = await at(store, person({ tenant: 'default', user })).read(id);
      const stored = path?.map((turn) => turn.id) ?? [];
      // One more may have been stored than was acknowledged: its writer was waiting for the answer.
      assert.deepEqual(stored.slice(0, acked.length), acked);
      assert(stored.length <= acked.length + 1);
      turns += acked.length;
    }
    assert(turns >= 1900, `${turns} acknowledged`);
    await store.close();
  });
});

describe('A full disk', { skip: hasPrlimit() ? false : 'needs prlimit' }, () => {
  it('refuses writes with storage_full, keeps reading, and heals by itself once there is room', async () => {
    const folder = newFolder();
    const writer = start(folder, 'write');
    const limit = (size: string) =>
      execFileSync(prlimit, ['--pid', `${writer.process.pid}`, `--fsize=${size}:unlimited`]);
    const acknowledged: string[] = [];
    let refused = 0;
    let healed = 0;
    for await (const line of writer.lines) {
      if (line === 'open') limit('3000000');
      else if (line === 'full') {
        if (++refused === 20) limit('unlimited');
      } else {
        acknowledged.push(line.split(' ')[1] ?? '');
        if (refused >= 20 && ++healed === 200) await writer.kill();
      }
    }
    const store = await open(folder);
    assert.deepEqual(await store.health(true), { ok: true, problems: [] });
    const stored = new Set(look<{ id: string }>(folder, 'select id from turns').map(({ id }) => id));
    for (const id of acknowledged) assert(stored.has(id), `${id} was acknowledged`);
    await store.close();
  });
});

describe('The write-ahead log', () => {
  const MIB = 1024 * 1024;
  const KEPT = 16 * MIB;
  const large = () => newTurn('', { items: [text('x'.repeat(MIB))] });
  const sizeOf = (folder: string) => statSync(join(folder, 'parlance.db-wal')).size;

  it('stays small, however much is written in how few units, under readers that do not pause', async () => {
    const folder = newFolder();
    const store = await open(folder);
    const ann = at(store, person());
    const conversation = await ann.create();
    let largest = 0;
    for (let i = 0; i < 60; i++) {
      await Promise.all([ann.say(large(), { conversation }), ann.find(conversation.id)]);
      largest = Math.max(largest, sizeOf(folder));
    }
    assert(largest < 5 * KEPT, `${largest} bytes`);
    await store.close();
  });

  it('grows under a reader that does not end: all goes on, it is told, and it shrinks when the reader has ended', async () => {
    const folder = newFolder();
    const told: string[] = [];
    const store = await open(folder, { onProblem: ({ message }) => void told.push(message) });
    const owner = person();
    const ann = at(store, owner);
    const conversation = await ann.create();
    const backup = new DatabaseSync(join(folder, 'parlance.db'), { readOnly: true });
    backup.exec('begin');
    const seen = () => backup.prepare('select count(*) as count from turns').get()?.count;
    assert.equal(seen(), 0);
    let written = 0;
    while (told.length === 0 && written < 500) {
      await ann.say(large(), { conversation });
      written++;
    }
    assert(sizeOf(folder) > 4 * KEPT, `${sizeOf(folder)} bytes`);
    assert.match(told[0] ?? '', /^parlance\.db-wal has grown to \d+ MiB, because another program reads/);
    const tree = await store.readTree({ owner, conversation: conversation.id, depth: 1, limit: 1000 });
    assert.equal(tree.length, written);
    assert.equal(seen(), 0, 'it still has its old view');
    backup.exec('commit');
    backup.close();
    for (let i = 0; sizeOf(folder) >= 2 * KEPT && i < 500; i++) await ann.say(large(), { conversation });
    assert(sizeOf(folder) < 2 * KEPT, `${sizeOf(folder)} bytes`);
    assert.deepEqual(await store.health(true), { ok: true, problems: [] });
    await store.close();
  });
});

function hasPrlimit(): boolean {
  try {
    execFileSync(prlimit, ['--version']);
    return true;
  } catch {
    return false;
  }
}

describe('The version of a database', () => {
  const newer = [...migrations, 'create table of_tomorrow (id text primary key)'];

  it('is brought up at open, after a copy of the old one was put beside it', async () => {
    const folder = newFolder();
    const owner = person();
    const old = await open(folder);
    const { conversation } = await at(old, owner).ask('Hello');
    await old.close();

    const store = await open(folder, { migrations: newer });
    assert.equal((await at(store, owner).read(conversation.id))?.length, 2);
    await at(store, owner).say('More', { conversation });
    await store.close();
    assert.deepEqual(look(folder, 'select count(*) as count from of_tomorrow').length, 1);

    const copy = join(folder, `parlance-v${migrations.length}.db`);
    assert.equal(statSync(copy).mode & 0o777, 0o600);
    const before = new DatabaseSync(copy, { readOnly: true });
    assert.equal(before.prepare('select count(*) as count from turns').get()?.count, 2);
    assert.equal(before.prepare('pragma user_version').get()?.user_version, migrations.length);
    assert.equal(before.prepare("select count(*) as n from sqlite_schema where name = 'of_tomorrow'").get()?.n, 0);
    before.close();
  });

  it('is left as it is where a migration fails', async () => {
    const folder = newFolder();
    const owner = person();
    const old = await open(folder);
    const { conversation } = await at(old, owner).ask('Hello');
    await old.close();
    const broken = [...migrations, 'create table of_tomorrow (id text); drop table turns; nonsense'];
    await assert.rejects(open(folder, { migrations: broken }), /syntax error/);
    const store = await open(folder);
    assert.equal((await at(store, owner).read(conversation.id))?.length, 2);
    await store.close();
  });

  it('is refused where it is newer than the program, with both versions named', async () => {
    const folder = newFolder();
    await (await open(folder, { migrations: newer })).close();
    await assert.rejects(open(folder), (error: Error) => {
      assert.match(error.message, new RegExp(`version ${newer.length}, .* up to ${migrations.length}`));
      return true;
    });
  });

  it('is not changed under a running server by a command beside it', async () => {
    const folder = newFolder();
    const server = await open(folder);
    await assert.rejects(open(folder, { exclusive: false, migrations: newer }), /in use by another Parlance server/);
    await server.close();
    await (await open(folder, { exclusive: false, migrations: newer })).close();
  });

  it('is not asked of a file that is no database, nor of the database of another program', async () => {
    const folder = newFolder();
    await (await open(folder)).close();
    const file = join(folder, 'parlance.db');
    writeFileSync(file, 'This is a letter, not a database. '.repeat(100));
    await assert.rejects(open(folder), /is not a database or is damaged .*Put back a copy/);
    rmSync(file);
    const other = new DatabaseSync(file);
    other.exec('create table recipes (id text)');
    other.close();
    await assert.rejects(open(folder), /database of another program/);
    rmSync(file);
    await (await open(folder)).close();
  });
});

describe('What SQLite keeps', () => {
  it('writes a line to the feed of a user for what happens to listed conversations, numbered from 1', async () => {
    const folder = newFolder();
    const store = await open(folder);
    const owner = person();
    const ann = at(store, owner);
    const first = await ann.ask('One');
    const { conversation } = first;
    const second = await ann.ask('Two', { conversation });
    const ref = { by: 'id', id: conversation.id } as const;
    await store.finishRun(ending(first.run.id, 'completed'));
    await store.nameConversation({ conversation: conversation.id, title: 'Named', now: 1 });
    await store.updateConversation({ owner, now: 1, once: null, ref, set: { title: 'Renamed', archived: true } });
    await store.updateConversation({ owner, now: 1, once: null, ref, set: { title: 'Renamed', archived: true } });
    const hidden = await ann.ask('Hidden', { conversation: await ann.create({ listed: false }) });
    await store.finishRun(ending(hidden.run.id, 'completed'));
    await ann.remove(conversation.id);
    const rows = look<{ number: number; type: string; run: string | null }>(
      folder,
      'select number, type, run from changes order by number',
    );
    assert.deepEqual(
      rows.map(({ number, type, run }) => [number, type, run]),
      [
        [1, 'conversation-created', null],
        [2, 'run-started', first.run.id],
        [3, 'conversation-updated', null],
        [4, 'run-ended', first.run.id],
        [5, 'run-started', second.run.id],
        [6, 'conversation-renamed', null],
        [7, 'conversation-renamed', null],
        [8, 'conversation-archived', null],
        [9, 'conversation-deleted', null],
      ],
    );
    await store.sweep({ now: 30 * DAY });
    assert.equal(look(folder, 'select * from changes').length, 9);
    await store.sweep({ now: 30 * DAY + 2 });
    assert.equal(look(folder, 'select * from changes').length, 0);
    await ann.create();
    assert.deepEqual(look(folder, 'select number from changes')[0], { __proto__: null, number: 10 });
    await store.close();
  });

  it('leaves nothing of a deleted conversation in any table, nor a word of it in the file', async () => {
    const folder = newFolder();
    const store = await open(folder);
    const secret = 'a-word-nobody-else-says';
    const ann = at(store, person());
    const { run, conversation } = await ann.ask(secret, { once: { key: 'k', command: 'c' } });
    const payload = packEvents([{ type: 'text-delta', item: 0, text: secret }]);
    await store.appendEvents({ batches: [{ run: run.id, first: 1, last: 1, payload }] });
    await store.finishRun(ending(run.id, 'completed', { lastEvent: 2, items: [text(secret, 'assistant')] }));
    await ann.remove(conversation.id);
    for (const table of ['conversations', 'turns', 'items', 'runs', 'run_logs', 'run_events']) {
      assert.deepEqual(look(folder, `select * from ${table}`), [], table);
    }
    await store.close();
    assert(!readFileSync(join(folder, 'parlance.db')).includes(secret));
  });

  it('gives the space of what was deleted back to the file system', async () => {
    const folder = newFolder();
    const store = await open(folder);
    const ann = at(store, person());
    const conversation = await ann.create();
    const big = () => newTurn('', { items: [text('x'.repeat(100_000))] });
    await Promise.all(Array.from({ length: 40 }, () => ann.say(big(), { conversation })));
    // The pages are moved after the answer to a sweep: the next answer says that they are.
    for (let i = 0; i < 2; i++) await store.sweep({ now: 1 });
    const full = statSync(join(folder, 'parlance.db')).size;
    await ann.remove(conversation.id);
    for (let i = 0; i < 6; i++) await store.sweep({ now: 1 });
    await store.close();
    const left = statSync(join(folder, 'parlance.db')).size;
    assert(full > 4_000_000 && left < 1_000_000, `${full} bytes, then ${left}`);
  });
});
