/** Dialect 2, `/ws`: messages in, responses out; deltas, resume and stop; what is refused, and what closes the socket. */

import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { type Keys, openKeys } from '../../support/keys.ts';
import { echo, type ModelServer, startModelServer, words } from '../../support/model-server.ts';
import { type Client, startServer, type TestServer } from '../../support/server.ts';
import { closeSockets, type Frame, openSocket, refusedUpgrade, type Socket } from '../../support/socket.ts';

interface Conversation {
  id: string;
  messages: { id: string; content: string; role: string }[];
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const UNKNOWN = '0198c7c1-5d00-7000-8000-5717b3fc2c96';
const TEXT = 'One two three four five six seven.';

let model: ModelServer;
let server: TestServer;
let keys: Keys;
/** A keyless user of this test alone, and a client that reads what is stored for them. */
let user: string;
let alice: Client;
let users = 0;
before(async () => {
  model = await startModelServer();
  server = await startServer({ model: model.url });
  keys = await openKeys(server.data);
});
beforeEach(() => {
  model.answer(echo);
  user = `keyless-${++users}`;
  alice = server.visitor({ 'x-user-id': user });
});
afterEach(closeSockets);
after(async () => {
  await keys.close();
  await Promise.all([server.close(), model.close()]);
});

const connect = (query = ''): Promise<Socket> => openSocket(server.url, `/ws?user_id=${user}${query}`);
const message = (content: string, more: object = {}) => ({ type: 'message', content, ...more });
const joined = (frames: readonly Frame[]) =>
  frames
    .filter(({ type }) => type === 'delta')
    .map(({ content }) => content)
    .join('');

/** The conversation as it is stored. */
async function stored(id: string | undefined): Promise<string[]> {
  const { body } = await alice.request<Conversation>('GET', `/conversations/${id}`);
  return body.messages.map(({ role, content }) => `${role}: ${content}`);
}

async function count(): Promise<number> {
  return (await alice.request<Conversation[]>('GET', '/conversations')).body.length;
}

/** Asks for an answer that waits after so many tokens; the socket has got these. */
async function begin(socket: Socket, tokens: number, text = TEXT) {
  const from = model.calls.length;
  model.next({ text, gated: true });
  socket.send(message('Count.'));
  const call = await model.call(from);
  await call.release(tokens);
  const taken: Frame[] = [];
  while (joined(taken) !== words(text).slice(0, tokens).join('')) taken.push(await socket.next());
  const { message_id = '', conversation_id = '', seq = 0 } = taken.at(-1) ?? {};
  return { call, taken, message_id, conversation_id, seq };
}

describe('a message', () => {
  it('gets one response with the documented fields and the ids', async () => {
    const socket = await connect();
    socket.send('{"type": "message", "content": "Hi"}');
    const response = await socket.next();
    assert.deepEqual(Object.keys(response), ['type', 'content', 'conversation_id', 'message_id']);
    assert.deepEqual([response.type, response.content], ['response', 'You said: Hi']);
    assert.match(response.conversation_id ?? '', UUID);
    const { body } = await alice.request<Conversation>('GET', `/conversations/${response.conversation_id}`);
    assert.equal(body.messages[1]?.id, response.message_id);
    await socket.close();
    assert.deepEqual(socket.untaken(), [], 'exactly one');
  });

  it('goes on with the conversation that the first one made', async () => {
    const socket = await connect();
    const responses: Frame[] = [];
    for (const content of ['1', '2', '3']) {
      socket.send(message(content));
      responses.push(await socket.next());
    }
    assert.equal(new Set(responses.map(({ conversation_id }) => conversation_id)).size, 1);
    assert.deepEqual(
      model.calls.at(-1)?.body.messages.map(({ content }) => content),
      ['1', 'You said: 1', '2', 'You said: 2', '3'],
    );
  });

  it('sent together with others waits its turn: one conversation, responses in order', async () => {
    const socket = await connect();
    const contents = Array.from({ length: 8 }, (_, i) => `m${i}`);
    for (const content of contents) socket.send(message(content));
    const responses: Frame[] = [];
    while (responses.length < contents.length) responses.push(await socket.next());
    assert.deepEqual(
      responses.map(({ content }) => content),
      contents.map((content) => `You said: ${content}`),
    );
    const [{ conversation_id } = {}] = responses;
    assert.ok(responses.every((response) => response.conversation_id === conversation_id));
    assert.equal(await count(), 1);
    const asked = model.calls.at(-1)?.body.messages.map(({ content }) => content);
    assert.deepEqual(asked, contents.flatMap((content) => [content, `You said: ${content}`]).slice(0, -1));
  });

  it('may name its conversation, in every form; the socket’s own stays', async () => {
    const socket = await connect();
    socket.send(message('own'));
    const own = (await socket.next()).conversation_id;
    const { body } = await alice.request<{ conversation_id: string }>('POST', '/chat', { body: { message: 'other' } });
    const other = body.conversation_id;
    const number = await numberOf(other);
    for (const conversation_id of [other, `conv_${other}`, number, String(number)]) {
      socket.send(message('+', { conversation_id }));
      assert.equal((await socket.next()).conversation_id, other, `as ${conversation_id}`);
    }
    for (const more of [{}, { conversation_id: null }]) {
      socket.send(message('own again', more));
      assert.equal((await socket.next()).conversation_id, own);
    }
  });

  it('has a conversation of its own on each socket', async () => {
    const sockets = await Promise.all([connect(), connect()]);
    for (const socket of sockets) socket.send(message('Hi'));
    const [one, two] = await Promise.all(sockets.map((socket) => socket.next()));
    assert.notEqual(one?.conversation_id, two?.conversation_id);
  });

  it('to a conversation that was deleted gets one error, then begins a new one', async () => {
    const socket = await connect();
    socket.send(message('1'));
    const first = await socket.next();
    await alice.request('DELETE', `/conversations/${first.conversation_id}`);
    socket.send(message('2'));
    assert.deepEqual(await socket.next(), { type: 'error', detail: 'Resource not found' });
    socket.send(message('3'));
    const third = await socket.next();
    assert.equal(third.content, 'You said: 3');
    assert.notEqual(third.conversation_id, first.conversation_id);
  });

  it('is answered on /ws/ too, and by a key alone', async () => {
    const { secret } = await keys.create({ user: 'holder' });
    const socket = await openSocket(server.url, '/ws/', { headers: { authorization: `Bearer ${secret}` } });
    socket.send(message('Hi'));
    assert.equal((await socket.next()).content, 'You said: Hi');
  });
});

describe('a failed answer', () => {
  it('is an error with the ids of the message, and the socket stays', async () => {
    const socket = await connect();
    model.next({ status: 401 });
    socket.send(message('1'));
    const failed = await socket.next();
    assert.deepEqual(Object.keys(failed), ['type', 'detail', 'conversation_id', 'message_id']);
    assert.equal(failed.type, 'error');
    socket.send(message('2'));
    const answered = await socket.next();
    assert.deepEqual([answered.content, answered.conversation_id], ['You said: 2', failed.conversation_id]);
  });

  it('that breaks off is an error, never a shorter response; what was written is kept', async () => {
    const socket = await connect('&stream=true');
    model.next({ text: TEXT, cut: 2 });
    socket.send(message('1'));
    const frames = await socket.until('error');
    assert.equal(joined(frames), 'One two');
    assert.match(frames.at(-1)?.detail ?? '', /kept/);
    assert.deepEqual(await stored(frames[0]?.conversation_id), ['user: 1', 'assistant: One two']);
  });

  it('of a conversation deleted meanwhile is the documented 404', async () => {
    const socket = await connect('&stream=true');
    const { call, conversation_id, message_id } = await begin(socket, 1);
    await alice.request('DELETE', `/conversations/${conversation_id}`);
    assert.deepEqual(await socket.next(), {
      type: 'error',
      detail: 'Resource not found',
      conversation_id,
      message_id,
    });
    assert.equal(await call.over, 'left');
  });
});

describe('?stream=true', () => {
  it('sends deltas with growing seq, then the response', async () => {
    const socket = await connect('&stream=true');
    model.next({ text: TEXT });
    socket.send(message('Count.'));
    const frames = await socket.until('response');
    const response = frames.at(-1);
    assert.deepEqual(Object.keys(response ?? {}), ['type', 'content', 'conversation_id', 'message_id']);
    assert.equal(response?.content, TEXT);
    assert.equal(joined(frames), TEXT);
    const deltas = frames.slice(0, -1);
    for (const delta of deltas) {
      assert.deepEqual(Object.keys(delta), ['type', 'content', 'seq', 'conversation_id', 'message_id']);
      assert.equal(delta.type, 'delta');
      assert.equal(delta.message_id, response?.message_id);
      assert.equal(delta.conversation_id, response?.conversation_id);
    }
    const seqs = deltas.map(({ seq }) => seq ?? -1);
    assert.deepEqual(
      seqs,
      [...new Set(seqs)].toSorted((a, b) => a - b),
    );
    await socket.close();
    assert.deepEqual(socket.untaken(), []);
  });

  it('names the answer before its first token, by an empty delta', async () => {
    const socket = await connect('&stream=true');
    model.next({ text: TEXT, stall: 'headers' });
    socket.send(message('Count.'));
    const opening = await socket.next();
    assert.deepEqual([opening.type, opening.content, opening.seq], ['delta', '', 0]);
    assert.match(opening.message_id ?? '', UUID);
    socket.send({ type: 'stop', message_id: opening.message_id });
    const response = await socket.next();
    assert.deepEqual([response.type, response.content], ['response', '']);
  });

  it('sends each delta when the model does', async () => {
    const socket = await connect('&stream=true');
    const { call } = await begin(socket, 1);
    for (const word of words(TEXT).slice(1)) {
      await call.release();
      assert.equal((await socket.next()).content, word);
    }
    await call.releaseAll();
    assert.equal((await socket.next()).type, 'response');
  });

  it('false sends none', async () => {
    const socket = await connect('&stream=false');
    socket.send(message('Hi'));
    assert.equal((await socket.next()).type, 'response');
  });
});

describe('resume', () => {
  it('picks a running answer up on a new socket, from any seq on', async () => {
    const first = await connect('&stream=true');
    const { call, taken, message_id, seq } = await begin(first, 3);
    first.cut();
    const [second, third] = await Promise.all([connect('&stream=true'), connect()]);
    second.send({ type: 'resume', message_id, after: seq });
    third.send({ type: 'resume', message_id });
    await call.releaseAll();
    const [rest, all] = await Promise.all([second.until('response'), third.until('response')]);
    assert.equal(joined(taken) + joined(rest), TEXT);
    assert.equal(joined(all), TEXT);
    assert.ok((rest[0]?.seq ?? 0) > seq);
    assert.deepEqual(rest.at(-1), all.at(-1));
    assert.equal(rest.at(-1)?.content, TEXT);
  });

  it('replays a finished answer: the same deltas, and the response', async () => {
    const socket = await connect('&stream=true');
    model.next({ text: TEXT });
    socket.send(message('Count.'));
    const frames = (await socket.until('response')).filter(({ seq }) => seq !== 0);
    const asked = model.calls.length;
    for (let at = 0; at < frames.length; at++) {
      const after = frames[at - 1]?.seq ?? 0;
      socket.send({ type: 'resume', message_id: frames[0]?.message_id, after });
      assert.deepEqual(await socket.until('response'), frames.slice(at), `after ${after}`);
    }
    socket.send({ type: 'resume', message_id: frames[0]?.message_id, after: 1_000_000 });
    assert.deepEqual(await socket.until('response'), frames.slice(-1), 'beyond the end');
    assert.equal(model.calls.length, asked);
  });

  it('picks up a message that waits for its turn', async () => {
    const [asker, watcher] = await Promise.all([connect('&stream=true'), connect()]);
    const { call } = await begin(asker, 1);
    asker.send(message('2'));
    const { message_id } = await asker.next();
    watcher.send({ type: 'resume', message_id });
    await call.releaseAll();
    const frames = await watcher.until('response');
    assert.deepEqual([joined(frames), frames.at(-1)?.content], ['You said: 2', 'You said: 2']);
    assert.ok(frames.every((frame) => frame.message_id === message_id));
  });

  it('follows a hundred answers at once, and refuses one more', async () => {
    const [asker, watcher] = await Promise.all([connect('&stream=true'), connect()]);
    const { call, message_id } = await begin(asker, 1);
    for (let i = 0; i <= 100; i++) watcher.send({ type: 'resume', message_id });
    const refused = (await watcher.until('error')).at(-1);
    assert.match(refused?.detail ?? '', /^100 answers are waited for or followed on this socket/);
    await call.releaseAll();
    for (let i = 0; i < 100; i++) assert.equal((await watcher.until('response')).at(-1)?.content, TEXT);
    watcher.send({ type: 'resume', message_id });
    assert.equal((await watcher.until('response')).at(-1)?.content, TEXT, 'there is room again');
  });

  it('replays an entry made by hand', async () => {
    const { body: chat } = await alice.request<{ id: string }>('POST', '/chats/create', { body: { name: 'c' } });
    const entry = { chat_id: chat.id, role: 'Assistant', message: 'By hand.' };
    const { body } = await alice.request<{ id: string }>('POST', '/conversations/create', { body: entry });
    const socket = await connect();
    socket.send({ type: 'resume', message_id: body.id });
    const frames = await socket.until('response');
    assert.deepEqual([joined(frames), frames.at(-1)?.content], ['By hand.', 'By hand.']);
  });

  it('of a failed answer gives its error', async () => {
    const socket = await connect();
    model.next({ status: 401 });
    socket.send(message('1'));
    const failed = await socket.next();
    socket.send({ type: 'resume', message_id: failed.message_id });
    assert.deepEqual(await socket.next(), failed);
  });
});

describe('stop', () => {
  it('keeps the partial text, and the message still gets its response', async () => {
    const socket = await connect('&stream=true');
    const { call, message_id, conversation_id } = await begin(socket, 2);
    socket.send({ type: 'stop', message_id });
    assert.deepEqual(await socket.next(), { type: 'response', content: 'One two', conversation_id, message_id });
    assert.equal(await call.over, 'left');
    assert.deepEqual(await stored(conversation_id), ['user: Count.', 'assistant: One two']);
    socket.send(message('And now?'));
    assert.equal((await socket.until('response')).at(-1)?.content, 'You said: And now?');
    assert.equal(model.calls.at(-1)?.body.messages[1]?.content, 'One two');
  });

  it('works from another socket, and every follower gets the response', async () => {
    const [asker, watcher] = await Promise.all([connect('&stream=true'), connect()]);
    const { message_id } = await begin(asker, 1);
    watcher.send({ type: 'resume', message_id });
    assert.equal((await watcher.next()).content, 'One');
    watcher.send({ type: 'stop', message_id });
    for (const socket of [asker, watcher]) assert.equal((await socket.next()).content, 'One');
  });

  it('of a waiting message answers it with nothing, and lets the next one go', async () => {
    const socket = await connect('&stream=true');
    const { call } = await begin(socket, 1);
    socket.send(message('stopped before it began'));
    const waiting = (await socket.next()).message_id;
    socket.send(message('3'));
    await socket.next();
    socket.send({ type: 'stop', message_id: waiting });
    const stopped = await socket.next();
    assert.deepEqual([stopped.type, stopped.message_id, stopped.content], ['response', waiting, '']);
    await call.releaseAll();
    const rest = [...(await socket.until('response')), ...(await socket.until('response'))];
    assert.equal(rest.at(-1)?.content, 'You said: 3');
    assert.ok(model.calls.every(({ body }) => body.messages.at(-1)?.content !== 'stopped before it began'));
  });

  it('of an ended answer changes nothing', async () => {
    const socket = await connect();
    socket.send(message('Hi'));
    const response = await socket.next();
    socket.send({ type: 'stop', message_id: response.message_id });
    socket.send({ type: 'resume', message_id: response.message_id, after: 1_000_000 });
    assert.deepEqual(await socket.next(), response);
  });
});

describe('idempotency_key', () => {
  it('gives the same answer again, on any socket, and asks the model once', async () => {
    const [one, two] = await Promise.all([connect('&stream=true'), connect('&stream=true')]);
    const frame = message('Count.', { idempotency_key: 'k' });
    model.next({ text: TEXT });
    const asked = model.calls.length;
    one.send(frame);
    const frames = await one.until('response');
    one.send(frame);
    two.send(frame);
    assert.deepEqual(await one.until('response'), frames);
    assert.deepEqual(await two.until('response'), frames);
    assert.equal(model.calls.length, asked + 1);
    assert.equal((await stored(frames[0]?.conversation_id)).length, 2);
    two.send(message('next'));
    assert.equal((await two.until('response')).at(-1)?.conversation_id, frames[0]?.conversation_id, 'own from then on');
  });

  it('with another message is an error', async () => {
    const socket = await connect();
    socket.send(message('1', { idempotency_key: 'k' }));
    const { conversation_id } = await socket.next();
    socket.send(message('2', { idempotency_key: 'k' }));
    const refused = await socket.next();
    assert.deepEqual(Object.keys(refused), ['type', 'detail']);
    assert.match(refused.detail ?? '', /Idempotency-Key/);
    assert.equal((await stored(conversation_id)).length, 2);
  });

  it('must be 1 to 255 characters', async () => {
    const socket = await connect();
    for (const idempotency_key of ['', 'x'.repeat(256), 'a\n']) {
      socket.send(message('1', { idempotency_key }));
      assert.match((await socket.next()).detail ?? '', /Idempotency-Key/);
    }
    assert.equal(await count(), 0);
  });
});

describe('a bad frame', () => {
  const frames: [string, RegExp][] = [
    ['', /not JSON/],
    ['Hi', /not JSON/],
    ['{"type":"message","content":"Hi"', /not JSON/],
    ['['.repeat(100_000), /not JSON/],
    ['null', /Send \{"type": "message"/],
    ['[]', /Send \{"type": "message"/],
    ['"message"', /Send \{"type": "message"/],
    ['{}', /^type: Send \{"type": "message"/],
    ['{"type":"response","content":"Hi"}', /^type: /],
    ['{"type":5,"content":"Hi"}', /^type: /],
    ['{"content":"Hi"}', /^type: /],
    ['{"type":"message"}', /content is required/],
    ['{"type":"message","content":""}', /content: must not be empty/],
    ['{"type":"message","content":null}', /^content/],
    ['{"type":"message","content":5}', /^content/],
    ['{"type":"message","content":["Hi"]}', /^content/],
    ['{"type":"message","content":"a\\u0000b"}', /U\+0000/],
    ['{"type":"message","content":"\\ud83d"}', /surrogate/],
    ['{"type":"message","content":"Hi","conversation_id":true}', /^conversation_id/],
    ['{"type":"message","content":"Hi","conversation_id":{}}', /^conversation_id/],
    ['{"type":"message","content":"Hi","idempotency_key":5}', /^idempotency_key/],
    ['{"type":"resume"}', /message_id is required/],
    ['{"type":"resume","message_id":5}', /^message_id/],
    [`{"type":"resume","message_id":"${UNKNOWN}","after":-1}`, /^after/],
    [`{"type":"resume","message_id":"${UNKNOWN}","after":"1"}`, /^after/],
    [`{"type":"resume","message_id":"${UNKNOWN}","after":1.5}`, /^after/],
    ['{"type":"stop"}', /message_id is required/],
    ['{"type":"stop","message_id":null}', /^message_id/],
  ];
  for (const [frame, says] of frames) {
    it(`${frame.slice(0, 70)} is an error, stores nothing, and the socket stays`, async () => {
      const asked = model.calls.length;
      const socket = await connect();
      socket.send(frame);
      const refused = await socket.next();
      assert.deepEqual(Object.keys(refused), ['type', 'detail']);
      assert.equal(refused.type, 'error');
      assert.match(refused.detail ?? '', says);
      assert.equal(await count(), 0);
      assert.equal(model.calls.length, asked);
      socket.send(message('Hi'));
      assert.equal((await socket.next()).content, 'You said: Hi');
    });
  }

  it('a foreign, unknown or malformed id gets one and the same error', async () => {
    const { secret } = await keys.create({ user: 'victim' });
    const victim = await openSocket(server.url, '/ws', { headers: { authorization: secret } });
    victim.send(message('mine'));
    const { message_id, conversation_id } = await victim.next();
    const socket = await connect();
    const own = message('own');
    socket.send(own);
    const { message_id: answer } = await socket.next();
    const { body } = await alice.request<Conversation[]>('GET', '/conversations');
    const input = body[0]?.messages[0]?.id;
    assert.notEqual(input, answer);
    const asked = model.calls.length;
    for (const id of [UNKNOWN, conversation_id, `conv_${conversation_id}`, 'x', '', 999_999]) {
      socket.send(message('Hi', { conversation_id: id }));
      assert.deepEqual(await socket.next(), { type: 'error', detail: 'Resource not found' }, `conversation ${id}`);
    }
    for (const id of [UNKNOWN, message_id, input, 'x', '', '\0', `${message_id}\0`]) {
      for (const type of ['resume', 'stop']) {
        socket.send({ type, message_id: id });
        assert.deepEqual(await socket.next(), { type: 'error', detail: 'Resource not found' }, `${type} ${id}`);
      }
    }
    assert.equal(model.calls.length, asked);
    assert.equal(await count(), 1);
  });
});

it('a socket may wait for 100 answers; one more is an error, and the others wait on', async () => {
  const socket = await connect('&stream=true');
  const { call, conversation_id } = await begin(socket, 1);
  for (let i = 1; i <= 100; i++) socket.send(message(`${i}`, { conversation_id }));
  // The running one and 99 others are accepted, each with its opening delta; the last is refused at once.
  const frames: Frame[] = [];
  while (frames.length < 100) frames.push(await socket.next());
  assert.equal(frames.filter(({ type, seq }) => type === 'delta' && seq === 0).length, 99);
  assert.match(frames.find(({ type }) => type === 'error')?.detail ?? '', /100 answers/);
  await alice.request('DELETE', `/conversations/${conversation_id}`);
  assert.equal(await call.over, 'left');
});

describe('what closes a socket', () => {
  it('a frame over 1 MiB: 1009', async () => {
    const socket = await connect();
    const head = '{"type":"message","content":"';
    model.next({ text: 'long' });
    socket.send(`${head}${'x'.repeat(1024 * 1024 - head.length - 2)}"}`);
    assert.equal((await socket.next()).content, 'long', 'a frame of exactly 1 MiB is taken');
    socket.send('x'.repeat(1024 * 1024 + 1));
    assert.equal((await socket.closed).code, 1009);
    assert.equal(await count(), 1);
  });

  it('a binary frame: 1003', async () => {
    const socket = await connect();
    socket.send(Buffer.from('{"type":"message","content":"Hi"}'));
    assert.equal((await socket.closed).code, 1003);
    assert.equal(await count(), 0);
  });

  it('a text frame that is not UTF-8: 1007', async () => {
    const socket = await connect();
    socket.ws.send(Buffer.from('{"type":"message","content":"\xff"}', 'latin1'), { binary: false });
    assert.equal((await socket.closed).code, 1007);
    assert.equal(await count(), 0);
  });

  it('its key is revoked: 1008 within 5 s, an event stream ends too, and the answer goes on', async () => {
    const key = await keys.create({ user: 'leaver' });
    const { secret } = await keys.create({ user: 'leaver' });
    const headers = { authorization: key.secret };
    const socket = await openSocket(server.url, '/ws?stream=true', { headers });
    const from = model.calls.length;
    model.next({ text: TEXT, gated: true });
    socket.send(message('Count.'));
    const call = await model.call(from);
    const { conversation_id } = await socket.next();
    const path = `/conversations/inference/${conversation_id}`;
    const stream = await server.visitor(headers).open('GET', path);
    const leaver = server.visitor({ authorization: secret });
    const kept = await leaver.open('GET', path);
    const revoked = performance.now();
    await keys.revoke(key);
    assert.equal((await socket.closed).code, 1008);
    assert.equal(await stream.ended, '');
    assert.ok(performance.now() - revoked < 5_500, `after ${performance.now() - revoked} ms`);
    await call.releaseAll();
    assert.match(await kept.ended, /event: done/, 'the stream of another key of the same user stays');
    const { body } = await leaver.request<Conversation>('GET', `/conversations/${conversation_id}`);
    assert.equal(body.messages.at(-1)?.content, TEXT);
  });

  it('nothing else: a ping is answered, and an empty ping too', async () => {
    const socket = await connect();
    for (const data of ['', 'are you there?']) {
      const pong = new Promise<string>((resolve) => socket.ws.once('pong', (text: Buffer) => resolve(text.toString())));
      socket.ws.ping(data);
      assert.equal(await pong, data);
    }
  });
});

describe('an upgrade is refused before it happens', () => {
  it('without a user: 400', async () => {
    const { status, text, headers } = await refusedUpgrade(server.url, '/ws');
    assert.equal(status, 400);
    assert.equal(headers['content-type'], 'application/json; charset=utf-8');
    assert.match(text, /^\{"detail":"user_id is required/);
  });

  it('from a foreign Origin: 403, which names the setting', async () => {
    for (const origin of ['http://evil.example', 'null', 'http://localhost:1', 'https://127.0.0.1']) {
      const refused = await refusedUpgrade(server.url, `/ws?user_id=${user}`, { origin });
      assert.equal(refused.status, 403, origin);
      assert.match(refused.text, /^\{"detail":"Origin .*PARLANCE_ORIGINS/);
    }
    assert.equal(await count(), 0);
  });

  it('but not from its own Origin, nor from a foreign one with a valid key', async () => {
    const own = await openSocket(server.url, `/ws?user_id=${user}`, { headers: { origin: server.url } });
    own.send(message('Hi'));
    assert.equal((await own.next()).type, 'response');
    const headers = { origin: 'http://evil.example', authorization: server.ownerKey };
    await (await openSocket(server.url, '/ws', { headers })).close();
  });

  it('from a proxy or another site: 401, for then it is not local', async () => {
    for (const header of [{ 'sec-fetch-site': 'cross-site' }, { 'x-forwarded-for': '10.0.0.1' }, { via: '1.1 x' }]) {
      const refused = await refusedUpgrade(server.url, `/ws?user_id=${user}`, header as Record<string, string>);
      assert.equal(refused.status, 401, JSON.stringify(header));
    }
  });
});

describe('a client that goes away', () => {
  it('stops nothing: the answer is complete later', async () => {
    const socket = await connect('&stream=true');
    const { call, conversation_id } = await begin(socket, 1);
    socket.cut();
    await call.releaseAll();
    assert.equal(await call.over, 'end');
    const { text } = await alice.request('GET', `/conversations/inference/${conversation_id}`);
    assert.match(text, /event: done/);
    assert.deepEqual(await stored(conversation_id), ['user: Count.', `assistant: ${TEXT}`]);
  });

  it('leaves its waiting messages to be answered in order', async () => {
    const socket = await connect('&stream=true');
    const { call, conversation_id } = await begin(socket, 1);
    for (const content of ['2', '3']) {
      socket.send(message(content));
      await socket.next();
    }
    socket.cut();
    const from = model.calls.length;
    await call.releaseAll();
    await (await model.call(from + 1)).over;
    await alice.request('GET', `/conversations/inference/${conversation_id}`);
    const expected = ['user: Count.', `assistant: ${TEXT}`, 'user: 2', 'assistant: You said: 2', 'user: 3'];
    assert.deepEqual(await stored(conversation_id), [...expected, 'assistant: You said: 3']);
  });
});

async function numberOf(id: string): Promise<number> {
  const headers = { authorization: server.ownerKey, 'x-user-id': user };
  const { body } = await server.visitor(headers).request<{ id: number }[]>('GET', '/api/chat');
  for (const chat of body) {
    const { body: same } = await alice.request<Conversation>('GET', `/conversations/${chat.id}`);
    if (same.id === id) return chat.id;
  }
  throw new Error(`No chat has the number of ${id}`);
}
