import assert from 'node:assert/strict';
import { STATUS_CODES } from 'node:http';
import { testRules } from '../rules/all.ts';

const texts = { title: { required: true, max: 100 } };
const limits = ['limit=0', 'limit=1001', 'limit=x', 'limit=', 'limit=1.5', 'limit=-1'];

testRules({
  name: 'chat-sessions',
  access: 'key',
  unknownPath: '/api/chat_sessions/1/unknown',
  malformedId: 400,
  calls: [
    { method: 'POST', path: '/api/chat_sessions', body: { title: 'new chat' }, texts, status: 200 },
    {
      method: 'GET',
      path: '/api/chat_sessions',
      status: 200,
      badQueries: [...limits, 'offset=-1', 'offset=x', 'offset=1.5'],
    },
    { method: 'GET', path: '/api/chat_sessions/{id}', status: 200 },
    { method: 'PUT', path: '/api/chat_sessions/{id}', body: { title: 'new chat updated' }, texts, status: 200 },
    { method: 'PUT', path: '/api/contacts/{id}', body: { title: 'new chat updated' }, texts, status: 200 },
    {
      method: 'GET',
      path: '/api/chat_sessions/{id}/chat',
      status: 200,
      badQueries: [...limits, 'before=0', 'before=x', 'before=-1'],
    },
    {
      method: 'POST',
      path: '/api/chat_sessions/{id}/chat',
      body: { message: 'Hi' },
      texts: { message: { required: true } },
      asks: true,
      status: 200,
    },
    { method: 'DELETE', path: '/api/chat_sessions/{id}', deletes: 'one', status: 200 },
    { method: 'DELETE', path: '/api/chat_session/{id}', deletes: 'one', status: 200 },
  ],
  /** `{"errors": "<the status in words>", "details"*: "..."}` */
  assertError(body, status, sentence = /./) {
    const { errors, details, ...more } = body as { errors: string; details: string };
    assert.equal(errors, STATUS_CODES[status]);
    assert.match(details, sentence);
    assert.deepEqual(more, {});
  },
});
