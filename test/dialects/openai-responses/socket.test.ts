/** The WebSocket of `/v1/responses`. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { openSocket, type Socket } from '../../support/socket.ts';
import { ask, get, setUp } from './fixtures.ts';
import { assertOrder, assertValid, checkEvent, type StreamedEvent, textOf, type WireResponse } from './spec.ts';

describe('The WebSocket of /v1/responses', () => {
  const world = setUp({ PARLANCE_RATE_PER_MINUTE: '1000' });
  const connect = (user = world.me.user) =>
    openSocket(world.server.url, '/v1/responses', {
      headers: { authorization: world.server.ownerKey, 'x-user-id': user },
    });
  const create = (socket: Socket, fields: object) => socket.send({ type: 'response.create', ...fields });
  const next = async (socket: Socket) => (await socket.next()) as unknown as StreamedEvent & { status?: number };

  /** The events of one response, valid and in order. */
  async function whole(socket: Socket): Promise<WireResponse> {
    const events: StreamedEvent[] = [];
    do events.push(checkEvent(await next(socket)));
    while (!/completed|incomplete|failed$/.test(events.at(-1)?.type ?? '') || events.at(-1)?.response === undefined);
    return assertOrder(events);
  }

  /** An error frame, and nothing of a stream. */
  async function refused(socket: Socket): Promise<{ status: number; code: string }> {
    const frame = await next(socket);
    assertValid('WebSocketErrorEvent', frame);
    return { status: frame.status ?? 0, code: frame.error?.code ?? '' };
  }

  it('makes one response at a time; a second create waits its turn', async () => {
    const socket = await connect();
    world.model.next({ text: ['One ', 'two'], gated: true }, { text: 'Three' });
    const index = world.model.calls.length;
    create(socket, { input: 'First' });
    create(socket, { input: 'Second' });
    await (await world.model.call(index)).release(1);
    assert.equal(world.model.calls.length, index + 1);
    await (await world.model.call(index)).releaseAll();
    const [first, second] = [await whole(socket), await whole(socket)];
    assert.deepEqual([textOf(first), textOf(second)], ['One two', 'Three']);
    assert.deepEqual(await get(world.me, first.id), first);
    await socket.close();
  });

  it('goes on behind what is not kept, on this socket only', async () => {
    const [socket, other] = [await connect(), await connect()];
    create(socket, { input: 'I am Ann', store: false });
    const first = await whole(socket);
    create(other, { input: 'Who?', store: false, previous_response_id: first.id });
    assert.deepEqual(await refused(other), { status: 400, code: 'previous_response_not_found' });
    create(socket, { input: 'Who am I?', store: false, previous_response_id: first.id });
    const second = await whole(socket);
    assert.equal(second.previous_response_id, first.id);
    create(socket, { input: 'And now?', previous_response_id: second.id });
    const third = await whole(socket);
    assert.deepEqual(
      world.model.calls.at(-1)?.body.messages.map(({ content }) => content),
      ['I am Ann', 'You said: I am Ann', 'Who am I?', 'You said: Who am I?', 'And now?'],
    );
    assert.deepEqual(await get(world.me, third.id), third, 'what is kept is kept');
    await Promise.all([socket.close(), other.close()]);
  });

  it('forgets what going on from failed', async () => {
    const socket = await connect();
    create(socket, { input: 'I am Ann', store: false });
    const first = await whole(socket);
    world.model.next({ status: 401, error: 'no' });
    create(socket, { input: 'Who?', store: false, previous_response_id: first.id });
    assert.equal((await whole(socket)).status, 'failed');
    create(socket, { input: 'Who?', store: false, previous_response_id: first.id });
    assert.deepEqual(await refused(socket), { status: 400, code: 'previous_response_not_found' });
    await socket.close();
  });

  it('goes on behind what is kept', async () => {
    const first = await ask(world.me, { input: 'I am Ann' });
    const socket = await connect();
    create(socket, { input: 'Who am I?', previous_response_id: first.id, store: false });
    const second = await whole(socket);
    create(socket, { input: 'And?', previous_response_id: second.id, store: false });
    await whole(socket);
    assert.equal(world.model.calls.at(-1)?.body.messages.length, 5);
    await socket.close();
  });

  it('answers a frame that is none with an error, and stays open', async () => {
    const socket = await connect();
    for (const frame of [
      '',
      '{',
      '[]',
      '7',
      '{}',
      { type: 'response.cancel' },
      { type: 'response.create', input: 7 },
    ]) {
      socket.send(frame);
      assert.deepEqual(await refused(socket), { status: 400, code: 'invalid_request' }, JSON.stringify(frame));
    }
    create(socket, { input: 'Hi' });
    assert.equal((await whole(socket)).status, 'completed');
    await socket.close();
  });

  it('lets at most 20 creates wait', async () => {
    const socket = await connect();
    world.model.next({ text: ['One ', 'two'], gated: true });
    const index = world.model.calls.length;
    create(socket, { input: 'First' });
    const call = await world.model.call(index);
    for (let i = 0; i < 21; i++) create(socket, { input: `Waiting ${i}`, store: false });
    let frame = await next(socket);
    while (frame.type !== 'error') frame = await next(socket);
    assert.deepEqual([frame.status, frame.error?.code], [503, 'overloaded']);
    socket.cut();
    await call.releaseAll();
    await socket.closed;
  });

  it('keeps what is stored when the socket is cut, and cancels what is not', async () => {
    for (const store of [true, false]) {
      world.model.next({ text: ['One ', 'two'], gated: true });
      const index = world.model.calls.length;
      const socket = await connect();
      create(socket, { input: 'Hi', store });
      const created = await next(socket);
      const call = await world.model.call(index);
      await call.release(1);
      socket.cut();
      if (store) await call.releaseAll();
      assert.equal(await call.over, store ? 'end' : 'left');
      const { status } = await world.me.request('GET', `/v1/responses/${created.response?.id}?stream=true`);
      assert.equal(status, store ? 200 : 404);
    }
  });

  it('gives the same response again under the same key', async () => {
    const socket = await connect();
    create(socket, { input: 'Hi', idempotency_key: 'a' });
    const first = await whole(socket);
    create(socket, { input: 'Hi', idempotency_key: 'a' });
    assert.deepEqual(await whole(socket), first);
    create(socket, { input: 'Ho', idempotency_key: 'a' });
    assert.deepEqual(await refused(socket), { status: 422, code: 'idempotency_mismatch' });
    await socket.close();
  });
});

describe('A flooded WebSocket of /v1/responses', () => {
  const world = setUp({ PARLANCE_RATE_PER_MINUTE: '3' });

  it('is told so, and closed after 20 frames in a row that were too many', async () => {
    const headers = { authorization: world.server.ownerKey, 'x-user-id': world.me.user };
    const socket = await openSocket(world.server.url, '/v1/responses', { headers });
    for (let i = 0; i < 40; i++) socket.send('{}');
    assert.equal((await socket.closed).code, 1008);
    const limited = socket.untaken().filter((frame) => frame.includes('rate_limited'));
    assert.equal(limited.length, 20);
  });
});
