import assert from 'node:assert/strict';
import { it } from 'node:test';
import { describeStore } from './adapters.ts';
import { DAY, person } from './fixtures.ts';

describeStore('Tickets', (given) => {
  const MINUTE = 60_000;
  const make = async (name: string, owner = person()) => {
    const ticket = { ...owner, keyId: 'k', path: '/p', createdAt: 0, expiresAt: MINUTE };
    await given.store.createTicket({ owner, now: 0, once: null, id: name, digest: name, ticket });
    return ticket;
  };
  const use = (digest: string, now: number, again = false, path = '/p') =>
    given.store.useTicket({ digest, path, again, keepMs: DAY, now });

  it('is used first before it expires, by one of 20 at once', async () => {
    const ticket = await make('a');
    const used = await Promise.all(Array.from({ length: 20 }, () => use('a', MINUTE - 1)));
    assert.deepEqual(
      used.filter((one) => one !== null),
      [{ ticket, first: true }],
    );
    await make('b');
    assert.equal(await use('b', MINUTE), null);
    assert.equal(await use('b', MINUTE, true), null);
  });

  it('is used again where that is allowed, for as long as it is kept, for its own path only', async () => {
    await make('c');
    assert.equal(await use('c', 1, true, '/q'), null);
    assert.equal((await use('c', 1))?.first, true);
    assert.equal(await use('c', 2), null);
    assert.equal((await use('c', DAY - 1, true))?.first, false);
    assert.equal(await use('c', DAY - 1, true, '/q'), null);
    assert.equal(await use('c', DAY, true), null);
    assert.equal(await use('unknown', 1, true), null);
  });

  it('is swept away when it has expired, used or not', async () => {
    await make('d');
    await make('e');
    await use('e', 1);
    while (await given.store.sweep({ now: MINUTE }));
    assert.equal(await use('d', 1), null);
    assert.notEqual(await use('e', 1, true), null);
    while (await given.store.sweep({ now: DAY }));
    assert.equal(await use('e', 1, true), null);
  });
});
