/**
 * A process that has a data folder open, for tests that end it: `node sqlite-child.ts <folder> <what>`.
 *
 * - `hold` opens the folder as its one server, writes `open` and waits;
 * - `write` does the same and then stores messages of 8 writers as fast as it can, a line for each that is acknowledged:
 *   `<conversation> <turn> <depth>`, or `full` for each that is refused because the disk is full;
 * - `search` searches for `common` for ever, a line for each answer: `complete` or `partial`;
 * - `key` makes a key beside whoever has the folder, and ends.
 */

import { writeSync } from 'node:fs';
import { openSqliteStore } from '../../../src/adapters/store/sqlite.ts';
import { ServiceError } from '../../../src/core/errors.ts';
import { phrasesOf } from '../../../src/core/words.ts';
import { at, newTurn, person, text, uuid } from './fixtures.ts';

const [folder = '', what] = process.argv.slice(2);
const store = await openSqliteStore({ folder, exclusive: what !== 'key', now: Date.now });

if (what === 'key') {
  const key = {
    id: uuid(),
    tenant: 'default',
    user: 'beside',
    kind: 'user' as const,
    name: null,
    hint: 'abcd',
    scopes: ['read' as const],
    rates: null,
    createdAt: 1,
    expiresAt: null,
    revokedAt: null,
  };
  const owner = { tenant: key.tenant, user: key.user, keyless: false, findsKeyless: false };
  await store.createKey({ owner, now: 1, once: null, key, digest: key.id });
  say(key.id);
  await store.close();
} else {
  say('open');
  if (what === 'search') for (;;) say((await search()).complete ? 'complete' : 'partial');
  if (what === 'write') await Promise.all(Array.from({ length: 8 }, (_, writer) => write(`writer-${writer}`)));
}

function search() {
  const owner = person({ tenant: 'default' });
  const phrases = phrasesOf('common');
  const rest = { order: 'newest' as const, archived: false, limit: 1, after: null, now: 1 };
  return store.searchConversations({ owner, phrases, ...rest });
}

/** At once and whole, before anything else happens: the reader may be slow, but what it reads was acknowledged. */
function say(line: string): void {
  let rest = Buffer.from(`${line}\n`);
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(1, rest));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
}

async function write(user: string): Promise<never> {
  const ann = at(store, person({ tenant: 'default', user }));
  const conversation = await ann.create();
  for (let i = 0; ; i++) {
    try {
      const input = newTurn('', { items: [text(`${user} ${i} `.repeat(200))] });
      const { value } = await ann.say(input, { conversation });
      say(`${conversation.id} ${value.input.id} ${value.input.depth}`);
    } catch (error) {
      if (!(error instanceof ServiceError && error.code === 'storage_full')) throw error;
      say('full');
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}
