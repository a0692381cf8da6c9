/** Requests as the body of Chat Completions. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { inNewWords, toChatBody, toMessages } from '../../../src/adapters/model/openai-compatible/chat-request.ts';
import { type Item, messageItem } from '../../../src/core/turn.ts';
import type { ModelTurn } from '../../../src/ports/model.ts';
import { asking } from './calls.ts';

const user = (text: string): ModelTurn => ({ role: 'user', items: [messageItem('u', 'user', text)] });
const assistant = (...items: Item[]): ModelTurn => ({ role: 'assistant', items });
const said = (text: string) => messageItem('a', 'assistant', text);
const call = (callId: string, args = '{}'): Item => ({
  type: 'function_call',
  id: callId,
  status: 'completed',
  callId,
  name: 'f',
  arguments: args,
});
const output = (callId: string, text: string): Item => ({
  type: 'function_call_output',
  id: `o${callId}`,
  status: 'completed',
  callId,
  output: text,
});
const messages = (system: string, ...turns: ModelTurn[]) => toMessages({ system, turns });

describe('chat request', () => {
  it('begins with the system prompt, if there is one', () => {
    assert.deepEqual(messages('Be brief.', user('Hi')), [
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'Hi' },
    ]);
    assert.deepEqual(messages('', user('Hi')), [{ role: 'user', content: 'Hi' }]);
  });

  it('keeps the order of turns and their roles', () => {
    const note: ModelTurn = { role: 'system', items: [messageItem('s', 'system', 'Note')] };
    assert.deepEqual(
      messages('', user('1'), assistant(said('2')), note, user('3')).map(({ role, content }) => [role, content]),
      [
        ['user', '1'],
        ['assistant', '2'],
        ['system', 'Note'],
        ['user', '3'],
      ],
    );
  });

  it('sends images as parts, text alone as a string', () => {
    const turn: ModelTurn = {
      role: 'user',
      items: [
        {
          type: 'message',
          id: 'u',
          role: 'user',
          status: 'completed',
          content: [
            { type: 'text', text: 'What is ' },
            { type: 'image', url: 'data:image/png;base64,AA==', detail: 'low' },
          ],
        },
      ],
    };
    assert.deepEqual(messages('', turn), [
      {
        role: 'user',
        content: [
          { type: 'text', text: 'What is ' },
          { type: 'image_url', image_url: { url: 'data:image/png;base64,AA==', detail: 'low' } },
        ],
      },
    ]);
  });

  it('puts text and calls of the assistant into one message, outputs after it', () => {
    assert.deepEqual(
      messages(
        '',
        user('x'),
        assistant(said('Let me see.'), call('a'), call('b', ''), output('a', '1'), output('b', '2'), said('Done.')),
      ),
      [
        { role: 'user', content: 'x' },
        {
          role: 'assistant',
          content: 'Let me see.',
          tool_calls: [
            { id: 'a', type: 'function', function: { name: 'f', arguments: '{}' } },
            { id: 'b', type: 'function', function: { name: 'f', arguments: '{}' } },
          ],
        },
        { role: 'tool', tool_call_id: 'a', content: '1' },
        { role: 'tool', tool_call_id: 'b', content: '2' },
        { role: 'assistant', content: 'Done.' },
      ],
    );
  });

  it('merges assistant items that follow each other, over turns too', () => {
    assert.deepEqual(messages('', assistant(said('One')), assistant(said('Two'))), [
      { role: 'assistant', content: 'One\n\nTwo' },
    ]);
  });

  it('leaves out reasoning, searches, empty answers, and calls and outputs without each other', () => {
    const thought: Item = { type: 'reasoning', id: 'r', status: 'completed', text: 'hm' };
    const search: Item = {
      type: 'web_search_call',
      id: 'w',
      status: 'completed',
      action: { type: 'search', queries: ['q'] },
      sources: [],
    };
    assert.deepEqual(
      messages('', user('x'), assistant(thought, search, call('lost'), said('')), assistant(output('trimmed', '1'))),
      [{ role: 'user', content: 'x' }],
    );
  });

  it('shows a refusal as what the assistant said', () => {
    const refusal: Item = {
      type: 'message',
      id: 'a',
      role: 'assistant',
      status: 'completed',
      content: [{ type: 'refusal', text: 'No.' }],
    };
    assert.deepEqual(messages('', assistant(refusal)), [{ role: 'assistant', content: 'No.' }]);
  });

  it('passes parameters as given, but never the model, the messages or the stream', () => {
    const parameters = {
      temperature: 0.2,
      logit_bias: { 1: -1 },
      model: 'other',
      messages: [],
      stream: false,
      stream_options: { x: 1 },
    };
    const body = toChatBody('m', asking('x', { parameters }), true);
    assert.deepEqual(body, {
      temperature: 0.2,
      logit_bias: { 1: -1 },
      model: 'm',
      messages: [{ role: 'user', content: 'x' }],
      stream: true,
      stream_options: { include_usage: true },
    });
    assert.equal('stream_options' in toChatBody('m', asking('x', { parameters }), false), false);
  });

  it('limits an answer in the words OpenAI’s newer models take', () => {
    assert.deepEqual(inNewWords({ max_tokens: 5, seed: 1 }), { max_completion_tokens: 5, seed: 1 });
    assert.deepEqual(inNewWords({ max_tokens: 5, max_completion_tokens: 6 }), { max_completion_tokens: 6 });
    assert.deepEqual(inNewWords({ seed: 1 }), { seed: 1 });
  });

  it('sends tools as functions', () => {
    const tool = { name: 'now', description: 'The time', parameters: { type: 'object', properties: {} } };
    assert.deepEqual(toChatBody('m', asking('x', { tools: [tool] }), false).tools, [
      { type: 'function', function: tool },
    ]);
    assert.equal('tools' in toChatBody('m', asking('x'), false), false);
  });
});
