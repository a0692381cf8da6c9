/** Responses over a crash, a restart, and the time their log is kept. */

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, it } from 'node:test';
import { ask, behind, follow, get, setUp, stream } from './fixtures.ts';
import { assertOrder, readStream, textOf } from './spec.ts';

/** Long enough to be more than one flush. */
const WORDS = 'abcdefgh '.repeat(200).split(/(?<= )/);

describe('A response over a crash', () => {
  const world = setUp();

  /** Resolves when so many events of one run are in the log. */
  async function untilLogged(events: number): Promise<void> {
    const database = new DatabaseSync(join(world.server.data, 'parlance.db'), { readOnly: true });
    const newest = database.prepare('select max(last) as last from run_events');
    while (Number(newest.get()?.last ?? 0) < events) await new Promise(setImmediate);
    database.close();
  }

  it('is incomplete with its text, is got and followed, and goes on', async () => {
    world.model.next({ text: WORDS, gated: true });
    const index = world.model.calls.length;
    const open = await world.me.open('POST', '/v1/responses', { body: { input: 'Hi', stream: true } });
    const call = await world.model.call(index);
    await call.release(100);
    const seen = await open.until('"sequence_number":103,');
    const { id } = JSON.parse(/data: (.*)/.exec(seen)?.[1] ?? '').response;
    await untilLogged(100);
    await world.server.kill();
    await world.server.start();
    const response = await get(world.me, id);
    assert.deepEqual([response.status, response.incomplete_details], ['incomplete', { reason: 'server_restarted' }]);
    const text = textOf(response);
    assert.equal(text, WORDS.slice(0, 100).join(''));

    const whole = await follow(world.me, id);
    assert.deepEqual(assertOrder(whole.events, { crashed: true }), response);
    assert.ok(seen.startsWith(whole.raw.slice(0, whole.raw.indexOf('"delta"'))), 'it begins as it began');
    for (const after of [0, 3, 103]) {
      const rest = await follow(world.me, id, after);
      assert.ok(rest.events.every(({ sequence_number: number }) => number > after));
      assert.deepEqual(rest.events.at(-1)?.response, response);
    }
    const next = await ask(world.me, { input: 'And?', previous_response_id: id });
    assert.equal(next.status, 'completed');
    assert.equal(world.model.calls.length, index + 2, 'it was not asked for again');
    world.model.next({ text: 'the rest' });
    const { body } = await world.me.request<{ status: string }>('POST', `/v1/responses/${id}/continue`);
    assert.equal(body.status, 'completed');
  });

  it('in the background is made once the server is back, where it still waited', async () => {
    const first = await ask(world.me, { input: 'One' });
    world.model.next({ text: WORDS, gated: true });
    const index = world.model.calls.length;
    const running = await ask(world.me, { input: 'Two', previous_response_id: first.id, background: true });
    const waiting = await ask(world.me, { input: 'Three', previous_response_id: first.id, background: true });
    await world.model.call(index);
    await world.server.kill();
    await world.server.start();
    assert.equal((await get(world.me, running.id)).status, 'incomplete');
    const { events } = await follow(world.me, waiting.id);
    assert.equal(textOf(assertOrder(events)), 'You said: Three');
  });
});

describe('A response over a restart', () => {
  const world = setUp();

  it('is the same stream byte for byte from every event on', async () => {
    world.model.next({ reasoning: ['Hm', ' hm'], text: ['One ', 'two ', 'three'] });
    const { raw, events, response } = await stream(world.me, { input: 'Hi', metadata: { a: 'b' }, background: true });
    await world.server.stop();
    await world.server.start();
    assert.equal((await follow(world.me, response.id)).raw, raw);
    for (const { sequence_number: number } of events.slice(0, -1)) {
      assert.equal((await follow(world.me, response.id, number)).raw, behind(raw, number));
    }
    assert.deepEqual(await get(world.me, response.id), response);
  });

  it('is a snapshot with the same ids when its log is gone', async () => {
    world.model.next({
      reasoning: ['Hm', ' hm'],
      text: ['One ', 'two ', 'three'],
      tools: [{ id: 'c1', name: 'f', arguments: '{}' }],
    });
    const { events, response } = await stream(world.me, { input: 'Hi', tools: [{ type: 'function', name: 'f' }] });
    await world.server.stop();
    const database = new DatabaseSync(join(world.server.data, 'parlance.db'));
    database.exec('delete from run_logs; delete from run_events');
    database.close();
    await world.server.start();
    const whole = await follow(world.me, response.id);
    assert.deepEqual(assertOrder(whole.events), response);
    const ids = (all: typeof events) => all.flatMap(({ item }) => item?.id ?? []);
    assert.deepEqual(ids(whole.events), ids(events));
    for (const after of [0, 5, events.length - 1, 1000]) {
      const rest = await follow(world.me, response.id, after);
      assert.deepEqual(
        rest.events.map((event) => [event.type, event.response]),
        [['response.completed', response]],
        `behind ${after}`,
      );
    }
  });

  it('is finished first where the server is told to stop, and its reader is given the end', async () => {
    world.model.next({ text: ['One ', 'two'], gated: true });
    const index = world.model.calls.length;
    const open = await world.me.open('POST', '/v1/responses', { body: { input: 'Hi', stream: true } });
    const call = await world.model.call(index);
    await call.release(1);
    await open.until('"delta":"One "');
    const stopped = world.server.stop();
    await call.releaseAll();
    assert.equal(textOf(assertOrder(readStream(await open.ended))), 'One two');
    await stopped;
    await world.server.start();
  });
});
