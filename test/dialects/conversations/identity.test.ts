/** Dialect 2: who is asking. In local mode a name is enough; outside it a key decides whose names count. */

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { type Keys, openKeys } from '../../support/keys.ts';
import { type ModelServer, startModelServer } from '../../support/model-server.ts';
import { type Answer, startServer, type TestServer } from '../../support/server.ts';
import { closeSockets, openSocket, refusedUpgrade } from '../../support/socket.ts';

interface Answered {
  conversation_id: string;
}
interface Conversation {
  id: string;
  user_id: string;
}

const NOT_FOUND = '{"detail":"Resource not found"}';

let model: ModelServer;
before(async () => {
  model = await startModelServer();
});
after(async () => {
  closeSockets();
  await model.close();
});

function isError(answer: Answer, status: number, says: RegExp, what?: string): void {
  assert.equal(answer.status, status, `${what}: ${answer.text}`);
  assert.deepEqual(Object.keys(answer.body as object), ['detail'], what);
  assert.match((answer.body as { detail: string }).detail, says, what);
}

/** Names of users that no other test has. */
let names = 0;
const fresh = () => `someone-${++names}`;

describe('in local mode', () => {
  let server: TestServer;
  let keys: Keys;
  before(async () => {
    server = await startServer({ model: model.url });
    keys = await openKeys(server.data);
  });
  after(async () => {
    await keys.close();
    await server.close();
  });

  const listOf = async (user: string) => {
    const { body } = await server.visitor().request<Conversation[]>('GET', `/conversations?user_id=${user}`);
    return body;
  };

  it('a user is named by the header, the body or the query', async () => {
    const user = fresh();
    const nobody = server.visitor();
    const body = { message: 'Hi' };
    await nobody.request('POST', '/chat', { body, headers: { 'x-user-id': user } });
    await nobody.request('POST', '/chat', { body: { ...body, user_id: user } });
    await nobody.request('POST', `/chat?user_id=${user}`, { body });
    const all = await listOf(user);
    assert.equal(all.length, 3);
    for (const { user_id } of all) assert.equal(user_id, user);
    const byHeader = await nobody.request('GET', '/conversations', { headers: { 'x-user-id': user } });
    assert.deepEqual(byHeader.body, all);
  });

  it('a name beyond ASCII is the same user in each place', async () => {
    const user = `Jürgen 👋 ${fresh()}`;
    const nobody = server.visitor();
    const header = Buffer.from(user).toString('latin1');
    // As bytes: Node would send the head of a request with a text once more encoded.
    const body = Buffer.from(JSON.stringify({ message: 'Hi', user_id: user }));
    const answer = await nobody.request('POST', '/chat', { body, headers: { 'x-user-id': header } });
    assert.equal(answer.status, 200, answer.text);
    assert.equal((await listOf(encodeURIComponent(user))).length, 1);
  });

  it('all places that are given must agree', async () => {
    const [one, two] = [fresh(), fresh()];
    const nobody = server.visitor();
    const asked = model.calls.length;
    const both = { body: { message: 'Hi', user_id: one }, headers: { 'x-user-id': one } };
    assert.equal((await nobody.request('POST', `/chat?user_id=${one}`, both)).status, 200);
    const header = { 'x-user-id': two };
    const wrong = [
      await nobody.request('POST', '/chat', { body: { message: 'Hi', user_id: one }, headers: header }),
      await nobody.request('POST', `/chat?user_id=${two}`, { body: { message: 'Hi', user_id: one } }),
      await nobody.request('POST', `/chat?user_id=${one}`, { body: { message: 'Hi' }, headers: header }),
      await nobody.request('GET', `/conversations?user_id=${one}`, { headers: header }),
      await nobody.request('GET', `/conversations?user_id=${one}&user_id=${two}`),
      await nobody.request('GET', `/conversations/1?user_id=${one}`, { headers: header }),
      await nobody.request('DELETE', `/conversations/1?user_id=${one}`, { headers: header }),
    ];
    for (const answer of wrong) isError(answer, 400, /different users/);
    const refused = await refusedUpgrade(server.url, `/ws?user_id=${one}`, header);
    assert.equal(refused.status, 400);
    assert.match(refused.text, /^\{"detail":".*different users/);
    assert.equal(model.calls.length, asked + 1);
    assert.deepEqual(await listOf(two), []);
    assert.equal((await listOf(one)).length, 1);
  });

  it('POST /chat, GET /conversations and /ws want a user', async () => {
    const nobody = server.visitor();
    const asked = model.calls.length;
    isError(await nobody.request('POST', '/chat', { body: { message: 'Hi' } }), 400, /user_id is required/);
    isError(await nobody.request('GET', '/conversations'), 400, /user_id is required/);
    const refused = await refusedUpgrade(server.url, '/ws');
    assert.equal(refused.status, 400);
    assert.match(refused.text, /^\{"detail":"user_id is required/);
    assert.equal(model.calls.length, asked);
  });

  it('a user’s name has 1 to 255 characters of text', async () => {
    const nobody = server.visitor();
    const message = 'Hi';
    for (const user_id of ['', 'x'.repeat(256), 'a\0b', '\ud800', 5, null, [], {}, true]) {
      const answer = await nobody.request('POST', '/chat', { body: { message, user_id } });
      isError(answer, 400, /user_id|U\+0000|surrogate/, JSON.stringify(user_id));
    }
    for (const query of ['user_id=', `user_id=${'x'.repeat(256)}`, 'user_id=a%00b']) {
      isError(await nobody.request('GET', `/conversations?${query}`), 400, /user_id|U\+0000/, query);
    }
    const user_id = 'x'.repeat(255);
    assert.equal((await nobody.request('POST', '/chat', { body: { message, user_id } })).status, 200);
  });

  it('a call by id that names nobody acts as the owner of the machine, who finds every keyless user’s', async () => {
    const nobody = server.visitor();
    const user_id = fresh();
    const { body } = await nobody.request<Answered>('POST', '/chat', { body: { message: 'Hi', user_id } });
    const path = `/conversations/${body.conversation_id}`;
    const found = await nobody.request<Conversation>('GET', path);
    assert.deepEqual([found.status, found.body.user_id], [200, user_id]);
    isError(await nobody.request('GET', `${path}?user_id=${fresh()}`), 404, /^Resource not found$/, 'another user');
    isError(await nobody.request('DELETE', `${path}?user_id=${fresh()}`), 404, /^Resource not found$/, 'another user');
    assert.equal((await nobody.request('DELETE', path)).status, 200);
    assert.deepEqual(await listOf(user_id), []);
  });

  it('the owner of the machine does not find what was made with a key, and a key does not find what was made without', async () => {
    const alice = server.client();
    const nobody = server.visitor();
    const { body: hers } = await alice.request<Answered>('POST', '/chat', { body: { message: 'Hi' } });
    const { body: open } = await nobody.request<Answered>('POST', '/chat', {
      body: { message: 'Hi', user_id: fresh() },
    });
    for (const method of ['GET', 'DELETE']) {
      const keyless = await nobody.request(method, `/conversations/${hers.conversation_id}`);
      assert.deepEqual([keyless.status, keyless.text], [404, NOT_FOUND], method);
      const owner = server.visitor({ authorization: server.ownerKey });
      for (const client of [alice, owner]) {
        const keyed = await client.request(method, `/conversations/${open.conversation_id}`);
        assert.deepEqual([keyed.status, keyed.text], [404, NOT_FOUND], method);
      }
    }
  });

  it('a shown key counts, right or wrong', async () => {
    const { secret: key } = await keys.create({ user: 'alice' });
    const body = { message: 'Hi' };
    for (const authorization of [`plk_${'0'.repeat(64)}`, 'sk-1', 'Basic YTpi', 'Bearer x', `Bearer ${key} x`]) {
      const client = server.visitor({ authorization });
      isError(await client.request('POST', '/chat', { body: { ...body, user_id: 'alice' } }), 401, /key/);
      isError(await client.request('GET', '/conversations?user_id=alice'), 401, /key/);
      const refused = await refusedUpgrade(server.url, '/ws?user_id=alice', { authorization });
      assert.equal(refused.status, 401);
    }
    const alice = server.visitor({ authorization: key });
    isError(await alice.request('POST', '/chat', { body: { ...body, user_id: 'bob' } }), 403, /own user/);
    assert.equal((await alice.request('POST', '/chat', { body: { ...body, user_id: 'alice' } })).status, 200);
    assert.equal((await alice.request('POST', '/chat', { body })).status, 200);
    assert.equal((await listOf('alice')).length, 2);
  });
});

describe('outside local mode', () => {
  let server: TestServer;
  let keys: Keys;
  let userKey: string;
  let serviceKey: string;
  before(async () => {
    server = await startServer({ model: model.url, env: { PARLANCE_LOCAL: 'off' } });
    keys = await openKeys(server.data);
    userKey = (await keys.create({ user: 'alice' })).secret;
    serviceKey = (await keys.create({ user: 'service', kind: 'service' })).secret;
  });
  after(async () => {
    await keys.close();
    await server.close();
  });

  it('a missing key is 401 before anything else is looked at', async () => {
    const nobody = server.visitor({ 'x-user-id': 'alice' });
    const asked = model.calls.length;
    const calls: [string, string, string?][] = [
      ['POST', '/chat', '{"message":"Hi","user_id":"alice"}'],
      ['POST', '/chat', '{broken'],
      ['POST', '/chat?user_id=bob'],
      ['GET', '/conversations?user_id=alice'],
      ['GET', '/conversations?limit=x'],
      ['GET', '/conversations/1'],
      ['DELETE', '/conversations/1'],
      ['GET', '/ws'],
      ['PUT', '/chat'],
      ['GET', '/conversations/1/2/3'],
    ];
    for (const [method, path, body] of calls) {
      const answer = await nobody.request(method, path, { body });
      isError(answer, 401, /key is required/, `${method} ${path}`);
    }
    const refused = await refusedUpgrade(server.url, '/ws?user_id=alice');
    assert.equal(refused.status, 401);
    assert.match(refused.text, /^\{"detail":".*key is required/);
    assert.equal(model.calls.length, asked);
  });

  it('a user key acts for its own user, named or not, and for no other', async () => {
    for (const authorization of [userKey, `Bearer ${userKey}`, `bearer ${userKey}`]) {
      const alice = server.visitor({ authorization });
      for (const body of [{ message: 'Hi' }, { message: 'Hi', user_id: 'alice' }]) {
        assert.equal((await alice.request('POST', '/chat', { body })).status, 200);
      }
      const { body: list } = await alice.request<Conversation[]>('GET', '/conversations');
      for (const { user_id } of list) assert.equal(user_id, 'alice');
      const asked = model.calls.length;
      const wrong = [
        await alice.request('POST', '/chat', { body: { message: 'Hi', user_id: 'bob' } }),
        await alice.request('POST', '/chat', { body: { message: 'Hi' }, headers: { 'x-user-id': 'bob' } }),
        await alice.request('GET', '/conversations?user_id=bob'),
        await alice.request('GET', `/conversations/${list[0]?.id}?user_id=bob`),
        await alice.request('DELETE', `/conversations/${list[0]?.id}`, { headers: { 'x-user-id': 'bob' } }),
      ];
      for (const answer of wrong) isError(answer, 403, /own user/);
      assert.equal((await refusedUpgrade(server.url, '/ws?user_id=bob', { authorization })).status, 403);
      assert.equal(model.calls.length, asked);
    }
  });

  it('a service key acts for the user it names, else for its own', async () => {
    const authorization = serviceKey;
    const service = server.visitor({ authorization });
    await service.request('POST', '/chat', { body: { message: 'own' } });
    await service.request('POST', '/chat', { body: { message: 'Hi', user_id: 'carol' } });
    await service.request('POST', '/chat', { body: { message: 'Hi' }, headers: { 'x-user-id': 'carol' } });
    const own = await service.request<Conversation[]>('GET', '/conversations');
    assert.deepEqual(
      own.body.map(({ user_id }) => user_id),
      ['service'],
    );
    const carols = await service.request<Conversation[]>('GET', '/conversations?user_id=carol');
    assert.deepEqual(
      carols.body.map(({ user_id }) => user_id),
      ['carol', 'carol'],
    );
    const path = `/conversations/${carols.body[0]?.id}`;
    isError(await service.request('GET', path), 404, /^Resource not found$/, 'as the service');
    assert.equal((await service.request('GET', `${path}?user_id=carol`)).status, 200);
    isError(
      await service.request('POST', '/chat', { body: { message: 'Hi', user_id: 'a' }, headers: { 'x-user-id': 'b' } }),
      400,
      /different users/,
    );
  });

  it('a socket with a key alone is its own user’s', async () => {
    const socket = await openSocket(server.url, '/ws', { headers: { authorization: userKey } });
    socket.send({ type: 'message', content: 'by socket' });
    const { conversation_id } = await socket.next();
    const alice = server.visitor({ authorization: userKey });
    assert.equal((await alice.request('GET', `/conversations/${conversation_id}`)).status, 200);
    await socket.close();
  });

  it('an expired key is 401', async () => {
    const { secret: authorization } = await keys.createExpired({ user: 'dave' });
    isError(await server.visitor({ authorization }).request('GET', '/conversations'), 401, /expired/);
    assert.equal((await refusedUpgrade(server.url, '/ws', { authorization })).status, 401);
  });

  it('a revoked key is 401', async () => {
    const key = await keys.create({ user: 'dave' });
    const authorization = key.secret;
    const dave = server.visitor({ authorization });
    assert.equal((await dave.request('GET', '/conversations')).status, 200);
    await keys.revoke(key);
    isError(await dave.request('GET', '/conversations'), 401, /revoked/);
    assert.equal((await refusedUpgrade(server.url, '/ws', { authorization })).status, 401);
  });

  it('a key that may only read reads, and that is all', async () => {
    const { secret: authorization } = await keys.create({ user: 'erin', scopes: ['read'] });
    const erin = server.visitor({ authorization });
    assert.equal((await erin.request('GET', '/conversations')).status, 200);
    isError(await erin.request('POST', '/chat', { body: { message: 'Hi' } }), 403, /"write"/);
    isError(await erin.request('DELETE', '/conversations/1'), 403, /"write"/);
    assert.equal((await refusedUpgrade(server.url, '/ws', { authorization })).status, 403);
  });
});
