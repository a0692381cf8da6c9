import assert from 'node:assert/strict';
import { STATUS_CODES } from 'node:http';
import { testRules } from '../rules/all.ts';

const limits = ['limit=0', 'limit=1001', 'limit=x', 'limit=', 'limit=1.5', 'limit=-1'];

testRules({
  name: 'chats',
  access: 'local',
  unknownPath: '/chats/1/unknown',
  malformedId: 404,
  calls: [
    {
      method: 'POST',
      path: '/chats/create',
      body: { name: 'Chat 1' },
      texts: { name: { required: true, max: 255 } },
      status: 201,
    },
    { method: 'GET', path: '/chats', status: 200, badQueries: [...limits, 'after=x', 'after='] },
    { method: 'GET', path: '/chats/{id}', status: 200 },
    {
      method: 'PUT',
      path: '/chats/update/{id}',
      body: { name: 'Chat 2' },
      texts: { name: { required: false, max: 255 } },
      status: 200,
    },
    {
      method: 'GET',
      path: '/chats/{id}/conversations',
      status: 200,
      badQueries: [...limits, 'before=0', 'before=x', 'before=-1'],
    },
    {
      method: 'POST',
      path: '/conversations/create',
      body: { chat_id: '{id}', role: 'Human', message: 'Hi' },
      texts: { message: { required: true } },
      status: 201,
    },
    { method: 'GET', path: '/conversations/inference/{id}', stream: true, asks: true, status: 200 },
    { method: 'GET', path: '/conversations/inference_internet/{id}', stream: true, asks: true, status: 200 },
    { method: 'DELETE', path: '/chats/delete/{id}', deletes: 'one', status: 200 },
  ],
  /** `{"error": {"code": 404, "reason": "Not Found", "description": "..."}}` */
  assertError(body, status, sentence = /./) {
    const { error, ...more } = body as { error: { code: number; reason: string; description: string } };
    const { code, reason, description, ...others } = error;
    assert.deepEqual({ code, reason, ...others, ...more }, { code: status, reason: STATUS_CODES[status] });
    assert.match(description, sentence);
  },
});
