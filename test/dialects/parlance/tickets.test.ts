/** Tickets, by DESIGN.md's rules: for one user and path, in time, of event streams and sockets, until their key dies. */

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { systemIds } from '../../../src/adapters/clock/system.ts';
import { ServiceError } from '../../../src/core/errors.ts';
import type { Principal } from '../../../src/core/principal.ts';
import { createTickets } from '../../../src/service/tickets.ts';
import { describeStore } from '../../contract/store/adapters.ts';
import { at, ending, person, uuid } from '../../contract/store/fixtures.ts';
import { messageText, parseEvents } from '../../support/event-source.ts';
import { type Keys, openKeys } from '../../support/keys.ts';
import { type ModelServer, startModelServer } from '../../support/model-server.ts';
import { type Client, startServer, type TestServer } from '../../support/server.ts';
import { closeSockets, openSocket, refusedUpgrade } from '../../support/socket.ts';

interface Ticket {
  ticket: string;
  expires_at: number;
}
interface WireError {
  error: { code: string; message: string; param: string };
}

const EVENTS = { accept: 'text/event-stream' };
const RESUMES = { ...EVENTS, 'last-event-id': '0' };
const MINUTE = 60_000;

describe('tickets over HTTP, where every request needs a key', () => {
  let model: ModelServer;
  let server: TestServer;
  let keys: Keys;
  let nobody: Client;

  before(async () => {
    model = await startModelServer();
    server = await startServer({ model: model.url, env: { PARLANCE_LOCAL: 'off' } });
    keys = await openKeys(server.data);
    nobody = server.visitor();
  });
  after(async () => {
    closeSockets();
    await keys?.close();
    await server.close();
    await model.close();
  });

  async function ticketFor(client: Client, path: string): Promise<string> {
    const { status, body, text } = await client.request<Ticket>('POST', '/v1/tickets', { body: { path } });
    assert.equal(status, 201, text);
    assert.match(body.ticket, /^plt_[0-9a-f]{64}$/);
    assert.ok(Math.abs(body.expires_at - Date.now() / 1000 - 60) < 10);
    return body.ticket;
  }
  const refusal = async (path: string, headers: Record<string, string> = EVENTS) => {
    const { status, body } = await nobody.request<WireError>('GET', path, { headers });
    return [status, body.error?.code];
  };

  it('opens an event stream for its maker, and again with Last-Event-ID', async () => {
    const ann = server.client();
    const path = `/v1/changes?since=0&ticket=${await ticketFor(ann, '/v1/changes')}`;
    const { body } = await ann.request<{ id: string }>('POST', '/chats/create', { body: { name: 'A' } });
    for (const headers of [EVENTS, RESUMES, RESUMES]) {
      const stream = await nobody.open('GET', path, { headers });
      assert.equal(stream.status, 200);
      assert.match(await stream.until('id: 1\ndata: '), new RegExp(body.id));
      stream.cut();
    }
    assert.deepEqual(await refusal(path), [401, 'unauthorized'], 'not without Last-Event-ID');
  });

  it('follows an answer in the old dialect and in Responses', async () => {
    const ann = server.client();
    const { body } = await ann.request<{ id: string }>('POST', '/chats/create', { body: { name: 'A' } });
    const entry = { chat_id: body.id, role: 'Human', message: 'Hi' };
    await ann.request('POST', '/conversations/create', { body: entry });
    const inference = `/conversations/inference/${body.id}`;
    const first = await nobody.open('GET', `${inference}?ticket=${await ticketFor(ann, inference)}`);
    assert.equal(messageText(parseEvents(await first.ended)), 'You said: Hi');
    const shown = await ann.request<{ response_id: string }>('GET', `/v1/conversations/${body.id}`);
    const path = `/v1/responses/${shown.body.response_id}`;
    const ticket = await ticketFor(ann, `${path}?stream=true`);
    const second = await nobody.open('GET', `${path}?stream=true&starting_after=2&ticket=${ticket}`);
    assert.match(await second.ended, /event: response\.completed\ndata: .*You said: Hi/);
  });

  it('opens a socket, once', async () => {
    const ann = server.client();
    const path = `/ws?user_id=${ann.user}&ticket=${await ticketFor(ann, '/ws')}`;
    const socket = await openSocket(server.url, path);
    socket.send({ type: 'message', content: 'Hi' });
    assert.equal((await socket.next()).content, 'You said: Hi');
    assert.equal((await refusedUpgrade(server.url, path)).status, 401);
    assert.equal((await refusedUpgrade(server.url, path, { 'last-event-id': '1' })).status, 401);
    await socket.close();
    const list = await ann.request<unknown[]>('GET', '/conversations');
    assert.equal(list.body.length, 1);
  });

  it('is for its own path, user and method', async () => {
    const ann = server.client();
    const eve = server.client();
    const { body } = await ann.request<{ id: string }>('POST', '/chats/create', { body: { name: 'A' } });
    const ticket = await ticketFor(ann, '/v1/changes');
    assert.deepEqual(await refusal(`/conversations/inference/${body.id}?ticket=${ticket}`), [401, 401]);
    assert.equal((await refusedUpgrade(server.url, `/ws?user_id=${ann.user}&ticket=${ticket}`)).status, 401);
    assert.equal((await nobody.request('GET', `/v1/conversations?ticket=${ticket}`)).status, 401, 'no stream');
    assert.equal((await nobody.request('POST', `/v1/tickets?ticket=${ticket}`, { body: {} })).status, 401);
    assert.deepEqual(await refusal(`/v1/changes?ticket=${ticket}`, { ...EVENTS, 'x-user-id': eve.user }), [
      403,
      'forbidden',
    ]);
    // What was refused has used the ticket for another user up, and nothing else has.
    const own = await ticketFor(ann, '/v1/changes/');
    const evil = { ...EVENTS, origin: 'http://evil.test' };
    assert.deepEqual(await refusal(`/v1/changes?ticket=${own}`, evil), [403, 'forbidden'], 'it forgives no Origin');
    const stream = await nobody.open('GET', `/v1/changes?ticket=${own}`, { headers: EVENTS });
    assert.equal(stream.status, 200);
    stream.cut();
    const foreign = await ticketFor(eve, `/conversations/inference/${body.id}`);
    assert.equal((await nobody.request('GET', `/conversations/inference/${body.id}?ticket=${foreign}`)).status, 404);
  });

  it('is nothing where it is wrong, and a key wins over it', async () => {
    const ann = server.client();
    for (const ticket of ['', 'x', 'plt_', `plt_${'0'.repeat(64)}`, server.ownerKey, 'a&ticket=b']) {
      assert.deepEqual(await refusal(`/v1/changes?ticket=${ticket}`), [401, 'unauthorized'], ticket);
    }
    assert.equal((await ann.request('GET', '/v1/changes?ticket=wrong')).status, 200);
    for (const path of ['', 'x', 'http://x.test/', `/${'x'.repeat(2048)}`]) {
      const { status, body } = await ann.request<WireError>('POST', '/v1/tickets', { body: { path } });
      assert.deepEqual([status, body.error.param], [400, 'path'], path);
    }
  });

  it('dies with its key, and what it opened with it', async () => {
    const key = await keys.create({ user: 'kim' });
    const kim = server.visitor({ authorization: key.secret });
    const used = `/v1/changes?ticket=${await ticketFor(kim, '/v1/changes')}`;
    const unused = `/v1/changes?ticket=${await ticketFor(kim, '/v1/changes')}`;
    const stream = await nobody.open('GET', used, { headers: EVENTS });
    await keys.revoke(key);
    assert.deepEqual(await refusal(unused), [401, 'unauthorized']);
    assert.deepEqual(await refusal(used, RESUMES), [401, 'unauthorized']);
    await stream.ended;
  });

  it('outlives a kill of the server', async () => {
    const ann = server.client();
    const path = `/v1/changes?ticket=${await ticketFor(ann, '/v1/changes')}`;
    (await nobody.open('GET', path, { headers: EVENTS })).cut();
    await server.kill();
    await server.start();
    const again = await nobody.open('GET', path, { headers: RESUMES });
    assert.equal(again.status, 200);
    again.cut();
  });

  it('is the same again for one Idempotency-Key and caller, and another without', async () => {
    const ann = server.client();
    const headers = { 'idempotency-key': 'one' };
    const make = (client: Client, path = '/v1/changes') =>
      client.request<Ticket & WireError>('POST', '/v1/tickets', { body: { path }, headers });
    const [first, again] = [await make(ann), await make(ann)];
    assert.deepEqual([again.status, again.text], [201, first.text]);
    assert.equal((await make(ann, '/ws')).body.error.code, 'idempotency_mismatch');
    assert.notEqual((await make(server.client())).body.ticket, first.body.ticket);
    assert.notEqual(await ticketFor(ann, '/v1/changes'), await ticketFor(ann, '/v1/changes'));
  });
});

describe('tickets in local mode', () => {
  let server: TestServer;
  before(async () => {
    server = await startServer();
  });
  after(() => server.close());

  it('a keyless one acts for whoever it was made for, from this machine alone', async () => {
    const kim = server.visitor({ 'x-user-id': 'kim' });
    const { body } = await kim.request<{ id: string }>('POST', '/chats/create', { body: { name: 'Kim’s' } });
    const made = await kim.request<Ticket>('POST', '/v1/tickets', { body: { path: '/v1/changes' } });
    const path = `/v1/changes?since=0&ticket=${made.body.ticket}`;
    for (const headers of [{ via: '1.1 proxy' }, { 'sec-fetch-site': 'cross-site' }]) {
      assert.equal((await server.visitor().request('GET', path, { headers })).status, 401);
    }
    const again = await kim.request<Ticket>('POST', '/v1/tickets', { body: { path: '/v1/changes' } });
    const stream = await server
      .visitor()
      .open('GET', `/v1/changes?since=0&ticket=${again.body.ticket}`, { headers: EVENTS });
    assert.match(await stream.until('id: 1\ndata: '), new RegExp(body.id));
    stream.cut();
  });
});

describeStore('Tickets in time', (given) => {
  const HOUR = 60 * MINUTE;

  function tickets(now: { ms: number }) {
    const clock = { now: () => now.ms, monotonic: () => now.ms, after: () => () => {} };
    return createTickets({ store: given.store, clock, ids: systemIds });
  }
  async function someone(): Promise<Principal> {
    const owner = person();
    const key = { id: uuid(), tenant: owner.tenant, user: owner.user, kind: 'user', name: null, hint: '' } as const;
    const rest = { scopes: ['read' as const], rates: null, createdAt: 0, expiresAt: null, revokedAt: null };
    await given.store.createKey({ owner, now: 0, once: null, key: { ...key, ...rest }, digest: key.id });
    return { ...owner, scopes: ['read'], keyId: key.id, rates: null };
  }
  const refused = async (promise: Promise<unknown>) => {
    await assert.rejects(promise, (error) => error instanceof ServiceError && error.code === 'unauthorized');
  };
  const shown = (ticket: string, path: string, resumes: boolean) => ({ ticket, path, resumes, local: true });

  it('is used first within 60 s', async () => {
    const now = { ms: 0 };
    const { create, redeem } = tickets(now);
    const ann = await someone();
    const [early, late] = [await create(ann, '/v1/changes', null), await create(ann, '/v1/changes', null)];
    now.ms = MINUTE - 1;
    assert.deepEqual(await redeem(shown(early.secret, '/v1/changes', false)), ann);
    now.ms = MINUTE;
    await refused(redeem(shown(late.secret, '/v1/changes', false)));
    await refused(redeem(shown(late.secret, '/v1/changes', true)));
  });

  for (const [what, pathOf] of [
    ['a conversation', (id: { conversation: string }) => `/conversations/inference/${id.conversation}`],
    ['a response', (id: { answer: string }) => `/v1/responses/resp_${id.answer}`],
  ] as const) {
    it(`of ${what} is used again until 5 minutes after its run`, async () => {
      const now = { ms: 0 };
      const { create, redeem } = tickets(now);
      const ann = await someone();
      const asked = await at(given.store, ann).ask('Hi', { now: 0 });
      const path = pathOf({ conversation: asked.conversation.id, answer: asked.answer.id });
      const { secret } = await create(ann, path, null);
      await redeem(shown(secret, path, false));
      now.ms = HOUR;
      await redeem(shown(secret, `${path}/?ticket=x`, true));
      await refused(redeem(shown(secret, path, false)));
      await given.store.finishRun(ending(asked.run.id, 'completed', { now: HOUR }));
      now.ms = HOUR + 5 * MINUTE - 1;
      await redeem(shown(secret, path, true));
      now.ms = HOUR + 5 * MINUTE;
      await refused(redeem(shown(secret, path, true)));
    });
  }

  it('of no run is used again for 24 hours', async () => {
    const now = { ms: 0 };
    const { create, redeem } = tickets(now);
    const ann = await someone();
    const { secret } = await create(ann, '/v1/changes', null);
    await redeem(shown(secret, '/v1/changes', false));
    now.ms = 24 * HOUR - 1;
    await redeem(shown(secret, '/v1/changes', true));
    now.ms = 24 * HOUR;
    await refused(redeem(shown(secret, '/v1/changes', true)));
  });
});
