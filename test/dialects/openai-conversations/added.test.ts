/** What this server adds to Conversations, over real HTTP: list, search, titles, archive, branches, fork, retries. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  conversation as conversationSchema,
  itemList,
  conversations as listSchema,
} from '../../../src/dialects/openai-conversations/schema.ts';
import type { Answer, Client } from '../../support/server.ts';
import { useServer } from '../../support/use-server.ts';

const { model, server } = await useServer();

interface Conversation {
  id: string;
  title: string | null;
  archived: boolean;
  assistant: string;
  metadata: Record<string, string>;
  head: string | null;
  status: string | null;
  response_id: string | null;
  created_at: number;
  updated_at: number;
  active_at: number;
  match?: { item_id: string | null; snippet: string };
}
interface List<T> {
  object: 'list';
  data: T[];
  first_id: string | null;
  last_id: string | null;
  has_more: boolean;
  complete?: boolean;
}
interface Item {
  id: string;
  type: string;
  role: string;
  status: string;
  content: { text: string }[];
}
interface WireError {
  error: { code: string; message: string; param: string };
}

const user = (content: string) => ({ type: 'message', role: 'user', content });
const assistant = (content: string) => ({ type: 'message', role: 'assistant', content });

describe('openai-conversations, what is added', () => {
  async function ok<T>(answer: Promise<Answer<T>>, status = 200): Promise<T> {
    const { status: given, body, text } = await answer;
    assert.equal(given, status, text);
    return body;
  }

  const create = async (client: Client, body: object = {}) => {
    const made = await ok(client.request<Conversation>('POST', '/v1/conversations', { body }));
    conversationSchema.strict().parse(made);
    return made;
  };
  const get = (client: Client, id: string) => ok(client.request<Conversation>('GET', `/v1/conversations/${id}`));
  const update = (client: Client, id: string, body: object) =>
    ok(client.request<Conversation>('POST', `/v1/conversations/${id}`, { body }));
  async function list(client: Client, query = ''): Promise<List<Conversation>> {
    const body = await ok(client.request<List<Conversation>>('GET', `/v1/conversations${query}`));
    listSchema.strict().parse(body);
    return body;
  }
  async function items(client: Client, id: string): Promise<Item[]> {
    const body = await ok(client.request<List<Item>>('GET', `/v1/conversations/${id}/items?limit=100&order=asc`));
    itemList.parse(body);
    return body.data;
  }
  const add = async (client: Client, id: string, ...sent: object[]) =>
    (await ok(client.request<List<Item>>('POST', `/v1/conversations/${id}/items`, { body: { items: sent } }))).data;
  const lines = async (client: Client, id: string) =>
    (await items(client, id)).map(({ role, content }) => `${role}: ${content[0]?.text}`);
  const ids = ({ data }: List<Conversation>) => data.map(({ id }) => id);

  async function respond(client: Client, body: object): Promise<{ id: string }> {
    return ok(client.request<{ id: string }>('POST', '/v1/responses', { body: { model: 'test-model', ...body } }));
  }

  it('lists newest activity first, in pages, each once, of one’s own', async () => {
    const ann = server.client();
    const made: string[] = [];
    for (let i = 0; i < 7; i++) made.push((await create(ann, { title: `${i}` })).id);
    await add(ann, made[2] as string, user('Up'));
    const order = [2, 6, 5, 4, 3, 1, 0].map((i) => made[i]);
    assert.deepEqual(ids(await list(ann)), order);
    assert.deepEqual(ids(await list(ann, '?order=asc')), order.toReversed());
    const pages: List<Conversation>[] = [];
    for (let after = ''; ; after = `&after=${pages.at(-1)?.last_id}`) {
      pages.push(await list(ann, `?limit=3${after}`));
      if (!pages.at(-1)?.has_more) break;
    }
    assert.deepEqual(
      pages.map(({ data }) => data.length),
      [3, 3, 1],
    );
    assert.deepEqual(pages.flatMap(ids), order);
    assert.deepEqual(ids(await list(ann, `?after=${order[4]}`)), order.slice(5), 'after takes a bare id');
    assert.deepEqual((await list(server.client())).data, []);
  });

  it('skips and doubles nothing while conversations move to the top and new ones come', async () => {
    const ann = server.client();
    const made: string[] = [];
    for (let i = 0; i < 12; i++) made.push((await create(ann)).id);
    const seen: string[] = [];
    for (let after = ''; ; ) {
      const { data, last_id, has_more } = await list(ann, `?limit=3${after}`);
      seen.push(...data.map(({ id }) => id));
      if (!has_more) break;
      after = `&after=${last_id}`;
      // The last one seen, and so the place where the next page begins, moves to the top; and there is a new one.
      await add(ann, data.at(-1)?.id as string, user('Up'));
      await create(ann);
    }
    assert.deepEqual(seen, made.toReversed());
  });

  it('refuses what is no place in the list, and a conversation of somebody else’s as one', async () => {
    const ann = server.client();
    const { id } = await create(server.client());
    for (const after of ['x', 'conv_x', `${id}.`, `${id}.!`, 'msg_0198c7c1-5d00-7000-8000-5717b3fc2c96']) {
      const { status, body } = await ann.request<WireError>('GET', `/v1/conversations?after=${after}`);
      assert.deepEqual([status, body.error.param], [400, 'after'], after);
    }
    assert.equal((await ann.request('GET', `/v1/conversations?after=${id}`)).status, 404);
  });

  it('names, archives, and moves no activity by that', async () => {
    const ann = server.client();
    const { id, active_at } = await create(ann);
    await add(ann, id, user('Hi'));
    const named = await update(ann, id, { title: 'Named' });
    assert.deepEqual([named.title, (await get(ann, id)).title], ['Named', 'Named']);
    assert.equal((await ok(ann.request<{ name: string }>('GET', `/chats/${id.slice(5)}`))).name, 'Named');
    await update(ann, id, { archived: true });
    assert.deepEqual([ids(await list(ann)), ids(await list(ann, '?archived=true'))], [[], [id]]);
    const back = await update(ann, id, { archived: false, title: null, metadata: { a: 'b' }, assistant: 'movies' });
    assert.deepEqual([back.archived, back.title, back.metadata, back.assistant], [false, null, { a: 'b' }, 'movies']);
    assert.ok(back.active_at - active_at < 5);
    for (const [body, param] of [
      [{}, 'metadata'],
      [{ title: '' }, 'title'],
      [{ title: 'x'.repeat(256) }, 'title'],
      [{ title: 7 }, 'title'],
      [{ archived: 'yes' }, 'archived'],
      [{ assistant: 'nobody' }, 'assistant'],
      [{ branch_end: true }, 'branch_end'],
    ] as const) {
      const { status, body: refused } = await ann.request<WireError>('POST', `/v1/conversations/${id}`, { body });
      assert.deepEqual([status, refused.error.param], [400, param], JSON.stringify(body));
    }
    assert.equal((await get(ann, id)).assistant, 'movies');
  });

  it('finds words in messages of every dialect, and in titles, with where they are', async () => {
    const ann = server.client();
    const first = await create(ann, { items: [user('The zebra crosses the street.'), assistant('It does.')] });
    const titled = await create(ann, { title: 'Zebra facts' });
    await ok(ann.request('POST', '/chat', { body: { message: 'A zebra in the other dialect', user_id: ann.user } }));
    await create(server.client(), { items: [user('A zebra of somebody else')] });
    const found = await list(ann, '?query=zebra');
    assert.equal(found.complete, true);
    assert.equal(found.data.length, 3);
    const hit = found.data.find(({ id }) => id === first.id);
    assert.match(hit?.match?.snippet ?? '', /zebra crosses/);
    assert.equal(hit?.match?.item_id, (await items(ann, first.id))[0]?.id);
    assert.equal(found.data.find(({ id }) => id === titled.id)?.match?.item_id, null);
    const page = await list(ann, '?query=zebra&limit=2');
    const rest = await list(ann, `?query=zebra&limit=2&after=${encodeURIComponent(page.last_id ?? '')}`);
    assert.deepEqual([page.has_more, rest.has_more], [true, false]);
    assert.deepEqual([...ids(page), ...ids(rest)], ids(found));
    assert.equal((await list(ann, '?query=zebra&sort=best')).data.length, 3);
    assert.deepEqual((await list(ann, '?query=giraffe')).data, []);
    await ok(ann.request('DELETE', `/v1/conversations/${first.id}/items/${hit?.match?.item_id}`));
    assert.equal((await list(ann, '?query=zebra')).data.length, 2, 'a deleted item is not found');
    await update(ann, titled.id, { archived: true });
    assert.deepEqual(ids(await list(ann, '?query=zebra&archived=true')), [titled.id]);
  });

  it('says how the newest turn stands, and which response it is', async () => {
    const ann = server.client();
    const { id, head, status, response_id } = await create(ann);
    assert.deepEqual([head, status, response_id], [null, null, null]);
    const [hi] = await add(ann, id, user('Hi'));
    const waiting = await get(ann, id);
    assert.deepEqual([waiting.head, waiting.status, waiting.response_id], [hi?.id, 'completed', null]);
    const from = model.calls.length;
    model.next({ text: 'Slowly', gated: true });
    const made = await respond(ann, { conversation: id, input: 'Go on', background: true });
    const call = await model.call(from);
    const running = (await list(ann)).data[0];
    assert.deepEqual([running?.status, running?.response_id], ['in_progress', made.id]);
    assert.notEqual(running?.head, hi?.id);
    assert.equal(running?.head, (await items(ann, id)).at(-1)?.id, 'the last item there is');
    const stream = await ann.open('GET', `/v1/responses/${made.id}?stream=true`);
    await call.releaseAll();
    await stream.ended;
    const done = await get(ann, id);
    assert.deepEqual([done.status, done.response_id], ['completed', made.id]);
    assert.equal(done.head, (await items(ann, id)).at(-1)?.id);
  });

  it('shows another branch by its head, exactly or to its newest end', async () => {
    const ann = server.client();
    const { id } = await create(ann, { items: [user('One'), assistant('1'), user('Two'), assistant('2')] });
    const [one, answer1, two, answer2] = await items(ann, id);
    const times = await get(ann, id);
    const cut = await update(ann, id, { head: answer1?.id });
    assert.deepEqual([cut.head, cut.updated_at, cut.active_at], [answer1?.id, times.updated_at, times.active_at]);
    assert.deepEqual(await lines(ann, id), ['user: One', 'assistant: 1']);
    await add(ann, id, user('Two, otherwise'), assistant('2b'));
    const otherwise = ['user: One', 'assistant: 1', 'user: Two, otherwise', 'assistant: 2b'];
    assert.deepEqual(await lines(ann, id), otherwise);
    assert.deepEqual((await ok(ann.request<Item>('GET', `/v1/conversations/${id}/items/${two?.id}`))).id, two?.id);
    const back = await update(ann, id, { head: two?.id, branch_end: true });
    assert.equal(back.head, answer2?.id);
    assert.deepEqual(await lines(ann, id), ['user: One', 'assistant: 1', 'user: Two', 'assistant: 2']);
    await update(ann, id, { head: one?.id, branch_end: true });
    assert.deepEqual(await lines(ann, id), otherwise, 'the newest end of all');
    model.next({ text: 'Three' });
    await respond(ann, { conversation: id, input: 'And?' });
    const sent = model.calls.at(-1)?.body.messages.map(({ content }) => content);
    assert.deepEqual(sent?.slice(-5), ['One', '1', 'Two, otherwise', '2b', 'And?']);
    const other = await create(ann, { items: [user('Elsewhere')] });
    for (const head of [(await items(ann, other.id))[0]?.id, 'msg_unknown', id]) {
      const { status, body } = await ann.request<WireError>('POST', `/v1/conversations/${id}`, { body: { head } });
      assert.deepEqual([status, body.error.message], [404, 'Item not found'], head);
    }
  });

  it('forks the shown branch, or up to an item, and leaves the old one alone', async () => {
    const ann = server.client();
    const facts = { title: 'Old', metadata: { a: 'b' }, assistant: 'movies' };
    const { id } = await create(ann, { ...facts, items: [user('One'), assistant('1'), user('Two')] });
    model.next({ text: 'Answered' });
    await respond(ann, { conversation: id, input: 'Three' });
    const before = [await get(ann, id), await items(ann, id)];
    const fork = (body?: object) =>
      ok(ann.request<Conversation>('POST', `/v1/conversations/${id}/fork`, body && { body }), 201);
    const whole = await fork();
    assert.notEqual(whole.id, id);
    assert.deepEqual([whole.title, whole.metadata, whole.assistant], Object.values(facts));
    assert.deepEqual(await lines(ann, whole.id), await lines(ann, id));
    const all = (await items(ann, whole.id)).map((item) => item.id);
    assert.ok(
      (await items(ann, id)).every((item) => !all.includes(item.id)),
      'items have ids of their own',
    );
    const part = await fork({ item_id: (await items(ann, id))[1]?.id });
    assert.deepEqual(await lines(ann, part.id), ['user: One', 'assistant: 1']);
    await add(ann, part.id, user('Otherwise'));
    model.next({ text: 'Yes' });
    await respond(ann, { conversation: part.id, input: 'So?' });
    const sent = model.calls.at(-1)?.body.messages.map(({ content }) => content);
    assert.deepEqual(sent?.slice(-4), ['One', '1', 'Otherwise', 'So?']);
    assert.deepEqual([await get(ann, id), await items(ann, id)], before);
    await ok(ann.request('DELETE', `/v1/conversations/${id}`));
    assert.equal((await lines(ann, whole.id)).length, 5, 'it stands without the old one');
    const empty = await create(ann);
    const copy = await ok(ann.request<Conversation>('POST', `/v1/conversations/${empty.id}/fork`), 201);
    assert.deepEqual(await items(ann, copy.id), []);
  });

  it('a fork leaves out what is being written, and keeps what was cut off as that', async () => {
    const ann = server.client();
    const { id } = await create(ann);
    model.next({ text: ['Half', ' a sen', 'tence'], cut: 2 });
    await respond(ann, { conversation: id, input: 'One' });
    const from = model.calls.length;
    model.next({ text: 'Never seen', gated: true });
    const running = await respond(ann, { conversation: id, input: 'Two', background: true });
    await model.call(from);
    const copy = await ok(ann.request<Conversation>('POST', `/v1/conversations/${id}/fork`), 201);
    const copied = await items(ann, copy.id);
    assert.deepEqual(
      copied.map(({ role, status, content }) => [role, status, content[0]?.text]),
      [
        ['user', 'completed', 'One'],
        ['assistant', 'incomplete', 'Half a sen'],
        ['user', 'completed', 'Two'],
      ],
    );
    await ok(ann.request('POST', `/v1/responses/${running.id}/cancel`));
  });

  it('a fork of a branch that is too long says so', async () => {
    const ann = server.client();
    const { id } = await create(ann);
    const long = user('x'.repeat(1024 * 1024));
    for (let i = 0; i < 3; i++) await add(ann, id, long, long, long, long, long, long);
    const { status, body } = await ann.request<WireError>('POST', `/v1/conversations/${id}/fork`);
    assert.deepEqual([status, body.error.param], [400, 'item_id']);
    const page = await ok(ann.request<List<Item>>('GET', `/v1/conversations/${id}/items?limit=100`));
    assert.ok(page.has_more && page.data.length < 8, `a page ends at 4 MiB: ${page.data.length} items`);
  });

  it('makes one conversation of 50 equal requests at once', async () => {
    const ann = server.client();
    const headers = { 'idempotency-key': 'crowd' };
    const body = { title: 'One', items: [user('a'), assistant('b')] };
    const send = () => ann.request('POST', '/v1/conversations', { headers, body });
    const answers = await Promise.all(Array.from({ length: 50 }, send));
    assert.equal(new Set(answers.map(({ status, text }) => `${status} ${text}`)).size, 1);
    assert.equal((await list(ann)).data.length, 1);
  });

  it('does each write once for one Idempotency-Key', async () => {
    const ann = server.client();
    const { id } = await create(ann, { items: [user('One'), assistant('1')] });
    const [one] = await items(ann, id);
    const path = `/v1/conversations/${id}`;
    for (const [i, [method, at, body]] of (
      [
        ['POST', '/v1/conversations', { title: 'Once', items: [user('x'), assistant('y')] }],
        ['POST', path, { title: 'Twice' }],
        ['POST', `${path}/items`, { items: [user('Added'), assistant('once')] }],
        ['POST', `${path}/fork`, { item_id: one?.id }],
        ['DELETE', `${path}/items/${one?.id}`, undefined],
        ['DELETE', path, undefined],
      ] as const
    ).entries()) {
      const headers = { 'idempotency-key': `once-${i}` };
      const send = () => ann.request(method, at, { headers, ...(body && { body }) });
      const first = await send();
      const [before, count] = [
        (await list(ann, '?limit=100')).data.length,
        (await ann.request('GET', `${path}/items`)).text,
      ];
      const again = await send();
      assert.deepEqual([again.status, again.text], [first.status, first.text], `${method} ${at}`);
      assert.ok(first.status < 300, first.text);
      assert.equal((await list(ann, '?limit=100')).data.length, before);
      assert.equal((await ann.request('GET', `${path}/items`)).text, count);
      if (body === undefined) continue;
      const other = await ann.request<WireError>(method, at, {
        headers,
        body: { ...body, title: 'Other', item_id: null, items: [user('o')] },
      });
      assert.deepEqual([other.status, other.body.error.code], [422, 'idempotency_mismatch'], `${method} ${at}`);
    }
  });
});
