import assert from 'node:assert/strict';
import { testRules } from '../rules/all.ts';

const title = { title: { required: true, max: 255 } };
const paging = ['limit=0', 'limit=1001', 'limit=x', 'limit=', 'limit=1.5', 'limit=-1'];

testRules({
  name: 'movie-chat',
  access: 'key',
  unknownPath: '/api/chat/1/unknown',
  malformedId: 404,
  calls: [
    {
      method: 'POST',
      path: '/api/chat',
      body: { title: 'A' },
      bodyOptional: true,
      texts: { title: { ...title.title, required: false } },
      status: 201,
    },
    {
      method: 'GET',
      path: '/api/chat',
      status: 200,
      badQueries: [...paging, 'offset=-1', 'offset=x', 'offset=1.5'],
    },
    { method: 'GET', path: '/api/chat/{id}', status: 200 },
    { method: 'PATCH', path: '/api/chat/{id}', body: { title: 'B' }, texts: title, status: 200 },
    {
      method: 'GET',
      path: '/api/chat/{id}/messages',
      status: 200,
      badQueries: [...paging, 'before=0', 'before=x', 'before=-1'],
    },
    {
      method: 'POST',
      path: '/api/chat/{id}/messages',
      body: { content: 'Hi' },
      texts: { content: { required: true } },
      asks: true,
      status: 201,
    },
    { method: 'DELETE', path: '/api/chat/{id}', deletes: 'one', status: 204 },
    { method: 'DELETE', path: '/api/chat', deletes: 'all', status: 200 },
  ],
  /** `{"detail": "..."}`; with bad input each field's texts beside it. */
  assertError(body, status, sentence = /./) {
    const { detail, ...fields } = body as { detail: string };
    assert.match(detail, sentence);
    if (status !== 400) assert.deepEqual(fields, {});
    for (const texts of Object.values<unknown>(fields)) {
      assert.ok(
        Array.isArray(texts) && texts.length > 0 && texts.every((text) => typeof text === 'string' && text !== ''),
      );
    }
  },
});
