/** Full-text search: what is found, in which order, and whose it is. */

import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { phrasesOf } from '../../../src/core/words.ts';
import type { SearchConversations } from '../../../src/ports/store.ts';
import { describeStore, type Given } from './adapters.ts';
import { at, DAY, ending, newConversation, newTurn, person, refused, text } from './fixtures.ts';

describeStore('Search', (given: Given) => {
  const search = (owner: SearchConversations['owner'], query: string, wanted: Partial<SearchConversations> = {}) =>
    given.store.searchConversations({
      owner,
      phrases: phrasesOf(query),
      order: 'newest',
      archived: false,
      limit: 10,
      after: null,
      now: 1,
      ...wanted,
    });
  const found = async (owner: SearchConversations['owner'], query: string, wanted?: Partial<SearchConversations>) =>
    (await search(owner, query, wanted)).hits.map(({ conversation }) => conversation.id);

  it('finds a message as soon as it is stored, with the words marked', async () => {
    const owner = person();
    const { value } = await at(given.store, owner).say('The quick brown fox');
    const { hits, next, complete } = await search(owner, 'QUICK bro');
    assert.equal(hits.length, 1);
    assert.deepEqual(hits[0]?.conversation, await at(given.store, owner).find(value.conversation.id));
    assert.equal(hits[0]?.item, value.input.items[0]?.id);
    assert.deepEqual(hits[0]?.excerpt, {
      snippet: 'The quick brown fox',
      highlights: [
        [4, 9],
        [10, 15],
      ],
    });
    assert.deepEqual({ next, complete }, { next: null, complete: true });
  });

  it('finds an answer once it is written', async () => {
    const owner = person();
    const { run, conversation } = await at(given.store, owner).ask('A question');
    assert.deepEqual(await found(owner, 'aardvark'), []);
    await given.store.finishRun(ending(run.id, 'completed', { items: [text('An aardvark', 'assistant')] }));
    assert.deepEqual(await found(owner, 'aardvark'), [conversation.id]);
  });

  it('finds a title, under its newest name only', async () => {
    const owner = person();
    const ann = at(given.store, owner);
    const conversation = await ann.create({ title: 'Holidays in Norway' });
    const { hits } = await search(owner, 'norway');
    assert.deepEqual(
      hits.map(({ item, excerpt }) => [item, excerpt.snippet]),
      [[null, 'Holidays in Norway']],
    );
    await given.store.updateConversation({
      owner,
      now: 2,
      once: null,
      ref: { by: 'id', id: conversation.id },
      set: { title: 'Holidays in Sweden' },
    });
    assert.deepEqual(await found(owner, 'norway'), []);
    assert.deepEqual(await found(owner, 'sweden'), [conversation.id]);
  });

  it('wants all words in one message', async () => {
    const owner = person();
    const ann = at(given.store, owner);
    const { conversation } = (await ann.say('red apple')).value;
    await ann.say('green pear', { conversation });
    assert.deepEqual(await found(owner, 'red pear'), []);
    assert.deepEqual(await found(owner, 'apple red '), [conversation.id]);
  });

  const languages: [string, string, string, boolean][] = [
    ['a phrase only as it is written', 'to be or not to be', '"not to be"', true],
    ['no phrase in another order', 'to be or not to be', '"be not"', false],
    ['the beginning of the last word', 'An invoice', 'invo', true],
    ['no beginning of the other words', 'An invoice', 'invo an ', false],
    ['no part from the middle of a word', 'An invoice', 'voice', false],
    ['a word without its accents', 'Crème brûlée', 'creme brulee', true],
    ['a word with accents the text lacks', 'Creme', 'crème', true],
    ['Chinese, from the middle of a sentence', '我住在東京都新宿区', '東京', true],
    ['no Chinese letters that do not follow each other', '東の京', '東京', false],
    ['Thai', 'สวัสดีครับ', 'ครับ', true],
    ['Korean before its ending', '서울에서 만나요', '서울', true],
    ['Greek in capitals', 'ΟΔΥΣΣΕΥΣ', 'οδυσσεύς', true],
    ['a part of an address', 'mail ann@example.org', 'example.org', true],
  ];
  for (const [name, said, query, expected] of languages) {
    it(`finds ${name}`, async () => {
      const owner = person();
      const { conversation } = (await at(given.store, owner).say(said)).value;
      assert.deepEqual(await found(owner, query), expected ? [conversation.id] : []);
    });
  }

  it('finds only the owner’s, of however many users', async () => {
    const tenant = person().tenant;
    const people = Array.from({ length: 20 }, (_, i) => person({ tenant, user: `user-${i}` }));
    const made = await Promise.all(people.map((owner) => at(given.store, owner).say('a common secret')));
    for (const [i, owner] of people.entries()) {
      assert.deepEqual(await found(owner, 'secret'), [made[i]?.value.conversation.id]);
      assert.deepEqual(await found(owner, 'secret', { order: 'best' }), [made[i]?.value.conversation.id]);
    }
    assert.deepEqual(await found(person({ user: 'user-1' }), 'secret'), [], 'of another tenant');
    assert.deepEqual(
      await found({ ...person({ tenant, user: 'local', keyless: true }), findsKeyless: true }, 'secret'),
      [],
    );
  });

  it('finds no unlisted ones, and archived ones when asked for', async () => {
    const owner = person();
    const ann = at(given.store, owner);
    await ann.say('a hidden pearl', { conversation: { create: newConversation({ listed: false }) } });
    const { conversation } = (await ann.say('a pearl')).value;
    assert.deepEqual(await found(owner, 'pearl'), [conversation.id]);
    const ref = { by: 'id', id: conversation.id } as const;
    await given.store.updateConversation({ owner, now: 2, once: null, ref, set: { archived: true } });
    assert.deepEqual(await found(owner, 'pearl'), []);
    assert.deepEqual(await found(owner, 'pearl', { archived: true }), [conversation.id]);
  });

  it('does not find what was deleted', async () => {
    const owner = person();
    const ann = at(given.store, owner);
    const { conversation } = (await ann.say('gone tomorrow')).value;
    const kept = (await ann.say('here tomorrow')).value.conversation;
    await ann.remove(conversation.id);
    assert.deepEqual(await found(owner, 'tomorrow'), [kept.id]);
    await ann.say('back tomorrow', { conversation: kept });
    await given.store.deleteConversations({ owner, now: 1, once: null, limit: 100 });
    assert.deepEqual(await found(owner, 'tomorrow'), []);
  });

  it('does not find an item that was deleted, and still the others of its conversation', async () => {
    const owner = person();
    const ann = at(given.store, owner);
    const { conversation, input } = (await ann.say('a slip of the tongue')).value;
    await ann.say('another slip', { conversation });
    assert.equal((await search(owner, 'tongue')).hits.length, 1);
    const items = [input.items[0]?.id ?? ''];
    const ref = { by: 'id', id: conversation.id } as const;
    await given.store.deleteItems({ owner, now: 2, once: null, ref, turn: input.id, items });
    assert.deepEqual(await found(owner, 'tongue'), []);
    assert.deepEqual(await found(owner, 'slip'), [conversation.id]);
  });

  it('finds it all after a restart', async () => {
    const owner = person();
    const { conversation } = (await at(given.store, owner).say('durable words')).value;
    await given.reopen();
    assert.deepEqual(await found(owner, 'durable'), [conversation.id]);
    const next = (await at(given.store, owner).say('more durable words')).value.conversation;
    assert.deepEqual(await found(owner, 'durable'), [next.id, conversation.id]);
  });

  it('shows a conversation once, by its newest match, the newest first', async () => {
    const owner = person();
    const ann = at(given.store, owner);
    const one = (await ann.say('word one')).value.conversation;
    const two = (await ann.say('word two')).value.conversation;
    await ann.say('word three', { conversation: one });
    const { hits } = await search(owner, 'word');
    assert.deepEqual(
      hits.map(({ conversation, excerpt }) => [conversation.id, excerpt.snippet]),
      [
        [one.id, 'word three'],
        [two.id, 'word two'],
      ],
    );
  });

  it('ranks what matches better first, and of equals the newer', async () => {
    const owner = person();
    const ann = at(given.store, owner);
    const now = 100 * DAY;
    const old = (await ann.say('an apple a day', { now: DAY })).value.conversation;
    const long = (await ann.say(`apple ${'and other things '.repeat(50)}`, { now })).value.conversation;
    const recent = (await ann.say('an apple a day', { now })).value.conversation;
    await ann.say('pears', { now });
    assert.deepEqual(await found(owner, 'apple', { order: 'best', now }), [recent.id, old.id, long.id]);
  });

  for (const order of ['newest', 'best'] as const) {
    it(`gives every conversation once, page by page, while others are written (${order})`, async () => {
      const owner = person();
      const ann = at(given.store, owner);
      const all: string[] = [];
      for (let i = 0; i < 25; i++) all.push((await ann.say(`topic ${'x '.repeat(i)}`)).value.conversation.id);
      const first = all[0] ?? '';
      const seen: string[] = [];
      let after: string | null = null;
      do {
        const page: Awaited<ReturnType<typeof search>> = await search(owner, 'topic', { order, after, limit: 4 });
        assert(page.hits.length === 4 || page.next === null);
        seen.push(...page.hits.map(({ conversation }) => conversation.id));
        after = page.next;
        await ann.say('topic', { conversation: { ref: { by: 'id', id: first } } });
        await ann.say('topic of a new one');
      } while (after !== null);
      assert.deepEqual(seen.toSorted(), all.toSorted());
      if (order === 'newest') assert.deepEqual(seen, all.toReversed());
    });
  }

  it('refuses a cursor that is none, or of another order', async () => {
    const owner = person();
    const ann = at(given.store, owner);
    for (let i = 0; i < 3; i++) await ann.say('topic');
    const { next } = await search(owner, 'topic', { limit: 1 });
    for (const after of ['', 'x', 'newest.1.2.3', `${next}.1`]) {
      await refused(search(owner, 'topic', { after }), 'invalid_request');
    }
    await refused(search(owner, 'topic', { after: next, order: 'best' }), 'invalid_request');
    await refused(search(owner, 'topic', { after: 'newest.1.2.3.4' }), 'cursor_expired');
  });

  it('finds a text by any stretch of it, and survives any query', async () => {
    const owner = person();
    const ann = at(given.store, owner);
    const unit = fc.constantFrom(
      ...'aé"*()^:{}+-,.;\'\\/ \tß東ก서१\u0301AND NOT OR NEAR'.split(''),
      '🎬',
      '½',
      'ﷺ',
      'İ',
    );
    await fc.assert(
      fc.asyncProperty(fc.string({ unit, maxLength: 60 }), fc.nat(60), fc.nat(60), async (said, from, length) => {
        const { conversation } = (await ann.say(newTurn('', { items: [text(said)] }))).value;
        const query = said.slice(from, from + length).replaceAll('"', ' ');
        for (const order of ['newest', 'best'] as const) {
          const phrases = phrasesOf(`"${query}"`);
          if (phrases.length > 0) {
            const hits = await found(owner, `"${query}"`, { order, limit: 1000 });
            // A stretch may begin or end within a word.
            const whole = phrasesOf(`"${said.replaceAll('"', ' ')}"`)[0]?.words.join(' ') ?? '';
            if (` ${whole} `.includes(` ${phrases[0]?.words.join(' ')} `) && order === 'newest') {
              assert(hits.includes(conversation.id), `${JSON.stringify(query)} in ${JSON.stringify(said)}`);
            }
          }
        }
        const any = phrasesOf(said.slice(from));
        if (any.length > 0) await found(owner, said.slice(from));
        await ann.remove(conversation.id);
      }),
      { numRuns: 150 },
    );
  });

  it('takes the longest query there may be', async () => {
    const owner = person();
    const words = Array.from({ length: 250 }, (_, i) => String.fromCodePoint(0x4e00 + i)).join(' ');
    const { conversation } = (await at(given.store, owner).say(words)).value;
    assert.deepEqual(await found(owner, words), [conversation.id]);
    assert.deepEqual(await found(owner, `"${words}"`), [conversation.id]);
  });
});
