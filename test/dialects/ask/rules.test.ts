import assert from 'node:assert/strict';
import { testRules } from '../rules/all.ts';

testRules({
  name: 'ask',
  access: 'key',
  unknownPath: '/ask/unknown',
  malformedId: 404,
  calls: [
    {
      method: 'POST',
      path: '/ask',
      body: { prompt: 'Hi' },
      texts: { prompt: { required: true } },
      forms: true,
      asks: true,
      status: 200,
    },
    {
      method: 'POST',
      path: '/ask',
      query: 'conversation_id={id}',
      body: { prompt: 'Hi' },
      texts: { prompt: { required: true } },
      forms: true,
      asks: true,
      status: 200,
    },
    { method: 'DELETE', path: '/conversation/{id}', deletes: 'one', status: 204 },
  ],
  /** `{"error": "<text>"}` */
  assertError(body, status, sentence = /./) {
    const { error, ...more } = body as { error: string };
    assert.match(error, sentence);
    assert.deepEqual(more, {});
    if (status === 401) assert.match(error, /access_token is required|unknown, revoked or expired/);
  },
});
