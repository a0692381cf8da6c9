/** What the document and DIALECTS.md, section 4, say of `/ask`; the rules for every dialect are in rules.test.ts. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { assertGolden } from '../../support/golden.ts';
import type { Answer, Client, RequestOptions } from '../../support/server.ts';
import { useServer } from '../../support/use-server.ts';

interface Response {
  response: { message: string; conversation_id: string };
}

const FORM = { 'content-type': 'application/x-www-form-urlencoded' };
const MULTIPART = { 'content-type': 'multipart/form-data; boundary=here' };
const UNKNOWN = '0198c7c1-5d00-7000-8000-5717b3fc2c96';

const { model, server } = await useServer();

describe('Ask', () => {
  test('gives the response, in a new conversation', async () => {
    const client = server.client();
    model.next({ text: 'Hello, how can I assist you?' });
    const { status, text, body } = await ask(client, { body: { prompt: 'Hello' } });
    assert.equal(status, 200);
    assertGolden(text, '{"response":{"message":"Hello, how can I assist you?","conversation_id":"<uuid>"}}');
    assert.deepEqual(model.calls.at(-1)?.body.messages, [{ role: 'user', content: 'Hello' }]);
    const { body: chats } = await client.request<{ id: string }[]>('GET', '/chats');
    assert.deepEqual(
      chats.map(({ id }) => id),
      [body.response.conversation_id],
    );
  });

  const ways: [what: string, options: (prompt: string, id: string) => RequestOptions & { query?: string }][] = [
    ['JSON', (prompt, id) => ({ body: { prompt, conversation_id: id } })],
    ['JSON, the conversation in the query', (prompt, id) => ({ body: { prompt }, query: `?conversation_id=${id}` })],
    [
      'JSON, the conversation in both',
      (prompt, id) => ({ body: { prompt, conversation_id: id }, query: `?conversation_id=${id}` }),
    ],
    ['a form', (prompt, id) => ({ headers: FORM, body: String(new URLSearchParams({ prompt, conversation_id: id })) })],
    [
      'a form, the conversation in the query',
      (prompt, id) => ({
        headers: FORM,
        body: String(new URLSearchParams({ prompt })),
        query: `?conversation_id=${id}`,
      }),
    ],
    ['a multipart form', (prompt, id) => ({ headers: MULTIPART, body: multipart({ prompt, conversation_id: id }) })],
    [
      'a multipart form, the conversation in the query',
      (prompt, id) => ({ headers: MULTIPART, body: multipart({ prompt }), query: `?conversation_id=${id}` }),
    ],
  ];
  for (const [what, options] of ways) {
    test(`takes ${what}, and goes on with the conversation`, async () => {
      const client = server.client();
      model.next({ text: 'One.' }, { text: 'Two.' });
      const { body: first } = await ask(client, { body: { prompt: 'First' } });
      const id = first.response.conversation_id;
      const prompt = 'Größe & 😀 = "{%+}"\n\tnext line';
      const { query, ...rest } = options(prompt, id);
      const { status, text, body } = await ask(client, rest, query);
      assert.equal(status, 200, text);
      assert.deepEqual(body, { response: { message: 'Two.', conversation_id: id } });
      assert.deepEqual(model.calls.at(-1)?.body.messages, [
        { role: 'user', content: 'First' },
        { role: 'assistant', content: 'One.' },
        { role: 'user', content: prompt },
      ]);
    });
  }

  const none: [what: string, options: RequestOptions, query?: string][] = [
    ['null', { body: { prompt: 'Hi', conversation_id: null } }],
    ['an empty text', { body: { prompt: 'Hi', conversation_id: '' } }],
    ['an empty form field', { headers: FORM, body: 'prompt=Hi&conversation_id=' }],
    ['an empty query', { body: { prompt: 'Hi' } }, '?conversation_id='],
  ];
  for (const [what, options, query] of none) {
    test(`takes ${what} as no conversation_id: a new conversation starts`, async () => {
      const client = server.client();
      const [one, two] = [await ask(client, options, query), await ask(client, options, query)];
      assert.equal(one.status, 200, one.text);
      assert.notEqual(one.body.response.conversation_id, two.body.response.conversation_id);
    });
  }

  test('takes the number of a conversation, as a text and as a number', async () => {
    const client = server.client();
    const { body: made } = await client.request<{ data: { id: number } }>('POST', '/api/chat_sessions', {
      body: { title: 'A' },
    });
    const [chat] = (await client.request<{ id: string }[]>('GET', '/chats')).body;
    for (const conversation_id of [made.data.id, String(made.data.id)]) {
      const { body } = await ask(client, { body: { prompt: 'Hi', conversation_id } });
      assert.equal(body.response.conversation_id, chat?.id);
    }
  });

  const wrong: [what: string, options: RequestOptions, query: string, status: number, error: string | RegExp][] = [
    ['no body', {}, '', 400, 'prompt is required'],
    ['an empty object', { body: {} }, '', 400, 'prompt is required'],
    ['an empty form', { headers: FORM, body: 'x=' }, '', 400, 'prompt is required'],
    ['an empty multipart form', { headers: MULTIPART, body: multipart({ x: '' }) }, '', 400, 'prompt is required'],
    ['a prompt in the query alone', {}, '?prompt=Hi', 400, 'prompt is required'],
    ['an empty prompt in a form', { headers: FORM, body: 'prompt=' }, '', 400, /prompt/],
    ['two prompts in a form', { headers: FORM, body: 'prompt=a&prompt=b' }, '', 400, /prompt/],
    [
      'JSON sent as a form',
      { headers: FORM, body: '{"prompt":"Hi"}' },
      '',
      400,
      /-H 'Content-Type: application\/json'/,
    ],
    ['JSON with & and = sent as a form', { headers: FORM, body: '{"prompt":"a=b&c"}' }, '', 400, /-H 'Content-Type/],
    ['a file as prompt', { headers: MULTIPART, body: file() }, '', 400, /prompt/],
    ['half a multipart form', { headers: MULTIPART, body: '--here\r\nContent-Disp' }, '', 400, /multipart/],
    [
      'a multipart form without a boundary',
      { headers: { 'content-type': 'multipart/form-data' }, body: 'x' },
      '',
      400,
      /multipart/,
    ],
    ['NUL in a form', { headers: FORM, body: 'prompt=a%00b' }, '', 400, /U\+0000/],
    [
      'bytes that are not UTF-8 in a form',
      { headers: FORM, body: Buffer.from('prompt=\xff', 'latin1') },
      '',
      400,
      /UTF-8/,
    ],
    [
      'two different conversations',
      { body: { prompt: 'Hi', conversation_id: UNKNOWN } },
      '?conversation_id=7',
      400,
      /conversation_id/,
    ],
    [
      'two conversations in the query',
      { body: { prompt: 'Hi' } },
      '?conversation_id=7&conversation_id=8',
      400,
      /conversation_id/,
    ],
    ['true as conversation_id', { body: { prompt: 'Hi', conversation_id: true } }, '', 400, /conversation_id/],
    ['an unknown conversation', { body: { prompt: 'Hi', conversation_id: UNKNOWN } }, '', 404, /not found/],
    [
      'an unknown conversation in a form',
      { headers: FORM, body: `prompt=Hi&conversation_id=${UNKNOWN}` },
      '',
      404,
      /not found/,
    ],
    [
      'an unknown conversation in the query',
      { body: { prompt: 'Hi' } },
      `?conversation_id=${UNKNOWN}`,
      404,
      /not found/,
    ],
  ];
  for (const [what, options, query, status, error] of wrong) {
    test(`with ${what} is ${status}, and asks nobody`, async () => {
      const client = server.client();
      const asked = model.calls.length;
      const answer = (await ask(client, options, query)) as Answer as Answer<{ error: string }>;
      assert.equal(answer.status, status, answer.text);
      if (typeof error === 'string') assert.equal(answer.text, JSON.stringify({ error }));
      else assert.match(answer.body.error, error);
      assert.equal((await client.request('GET', '/chats')).text, '[]');
      assert.equal(model.calls.length, asked);
    });
  }

  test('without a header is the documented 401, word for word; with a wrong one it is another', async () => {
    const none = await server.visitor().request('POST', '/ask', { body: { prompt: 'Hi' } });
    assert.equal(none.status, 401);
    assert.equal(none.text, '{"error":"access_token is required"}');
    const wrong = await server.visitor({ authorization: 'x' }).request('POST', '/ask', { body: { prompt: 'Hi' } });
    assert.equal(wrong.status, 401);
    assert.notEqual(wrong.text, none.text);
  });

  test("a form's boundary and order do not matter to an Idempotency-Key, its encoding neither", async () => {
    const client = server.client();
    const asked = model.calls.length;
    const key = { 'idempotency-key': 'a' };
    const there = '----WebKitFormBoundary7MA4YWxkTrZu0gW';
    const bodies: RequestOptions[] = [
      { headers: { ...MULTIPART, ...key }, body: multipart({ prompt: 'Hi', conversation_id: '' }) },
      {
        headers: { 'content-type': `multipart/form-data; boundary=${there}`, ...key },
        body: multipart({ conversation_id: '', prompt: 'Hi' }, there),
      },
      { headers: { ...FORM, ...key }, body: 'conversation_id=&prompt=H%69' },
    ];
    const texts: string[] = [];
    for (const options of bodies) texts.push((await ask(client, options)).text);
    assert.equal(new Set(texts).size, 1, texts.join('\n'));
    assert.equal(model.calls.length - asked, 1);
  });
});

describe('Delete Conversation', () => {
  test('is 204 without a body, and the conversation is gone from every dialect', async () => {
    const client = server.client();
    const { body } = await ask(client, { body: { prompt: 'Hi' } });
    const id = body.response.conversation_id;
    const { status, text, headers } = await client.request('DELETE', `/conversation/${id}`);
    assert.equal(status, 204);
    assert.equal(text, '');
    assert.equal(headers['content-type'], undefined);
    assert.equal((await client.request('GET', '/chats')).text, '[]');
    for (const path of [`/chats/${id}`, `/api/chat/${id}`, `/api/chat_sessions/${id}`, `/conversations/${id}`]) {
      assert.equal((await client.request('GET', path)).status, 404, path);
    }
    assert.equal((await ask(client, { body: { prompt: 'Hi', conversation_id: id } })).status, 404);
  });

  test('aborts an answer that is being written, and whoever waits for it gets 404', async () => {
    const client = server.client();
    const { body } = await ask(client, { body: { prompt: 'Hi' } });
    const id = body.response.conversation_id;
    const index = model.calls.length;
    model.next({ text: ['One', ' two'], stall: 1 });
    const waiting = ask(client, { body: { prompt: 'Long', conversation_id: id } });
    const call = await model.call(index);
    assert.equal((await client.request('DELETE', `/conversation/${id}`)).status, 204);
    const answer = await waiting;
    assert.equal(answer.status, 404, answer.text);
    assert.equal(await call.over, 'left');
    assert.equal((await client.request('GET', '/chats')).text, '[]');
  });
});

function ask(client: Client, options: RequestOptions, query = ''): Promise<Answer<Response>> {
  return client.request<Response>('POST', `/ask${query}`, options);
}

function multipart(fields: Record<string, string>, boundary = 'here'): string {
  const parts = Object.entries(fields).map(
    ([name, value]) => `--${boundary}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`,
  );
  return `${parts.join('')}--${boundary}--\r\n`;
}

function file(): string {
  const head = 'Content-Disposition: form-data; name="prompt"; filename="a.txt"\r\nContent-Type: text/plain';
  return `--here\r\n${head}\r\n\r\nHi\r\n--here--\r\n`;
}
