/** The AI SDK's own provider packages against `/v1`, unmodified: each does all that chat applications do. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createOpenResponses } from '@ai-sdk/open-responses';
import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { APICallError, generateText, type LanguageModel, Output, stepCountIs, streamText, tool } from 'ai';
import { z } from 'zod';
import { useServer } from '../support/use-server.ts';

const { model, server } = await useServer();
const baseURL = `${server.url}/v1`;
const keyed = { baseURL, apiKey: server.ownerKey };

type Headers = Record<string, string>;

/** `kept`: what it asks for is stored, and so written to its end without a reader. */
const providers: { name: string; kept: boolean; provider: (headers: Headers) => LanguageModel }[] = [
  {
    name: '@ai-sdk/openai, Chat Completions',
    kept: false,
    provider: (headers) => createOpenAI({ ...keyed, headers }).chat('test-model'),
  },
  {
    name: '@ai-sdk/openai-compatible',
    kept: false,
    provider: (headers) => {
      const options = { includeUsage: true, supportsStructuredOutputs: true };
      return createOpenAICompatible({ ...keyed, ...options, headers, name: 'parlance' })('test-model');
    },
  },
  {
    name: '@ai-sdk/openai, Responses',
    kept: true,
    provider: (headers) => createOpenAI({ ...keyed, headers }).responses('test-model'),
  },
  {
    name: '@ai-sdk/open-responses',
    kept: true,
    provider: (headers) => {
      const url = `${baseURL}/responses`;
      return createOpenResponses({ name: 'parlance', url, apiKey: server.ownerKey, headers })('test-model');
    },
  },
];

const weather = tool({
  description: 'The weather of a city',
  inputSchema: z.object({ city: z.string() }),
  execute: async ({ city }) => `Rain in ${city}`,
});

for (const { name, kept, provider } of providers) {
  describe(`/v1, by ${name}`, () => {
    const me = server.client();
    const languageModel = provider({ 'x-user-id': me.user });
    const asked = { model: languageModel, maxRetries: 0 };

    it('generates text, with its usage', async () => {
      model.next({ text: 'Hello there', usage: { input: 7, cached: 2, output: 2 } });
      const { text, finishReason, usage, warnings } = await generateText({ ...asked, prompt: 'Hello' });
      assert.deepEqual([text, finishReason, warnings], ['Hello there', 'stop', []]);
      assert.deepEqual([usage.inputTokens, usage.outputTokens], [7, 2]);
      assert.equal(usage.inputTokenDetails.cacheReadTokens, 2);
    });

    it('streams text, with its usage', async () => {
      model.next({ text: ['Hel', 'lo ', '世界'], usage: { input: 3, output: 2 } });
      const stream = streamText({ ...asked, prompt: 'Hello' });
      const parts: string[] = [];
      for await (const part of stream.textStream) parts.push(part);
      assert.deepEqual(parts, ['Hel', 'lo ', '世界']);
      assert.equal(await stream.finishReason, 'stop');
      assert.equal((await stream.usage).outputTokens, 2);
    });

    it('runs tools, and goes on with what they gave', async () => {
      for (const streamed of [false, true]) {
        model.next({ tools: [{ id: 'call_1', name: 'weather', arguments: ['{"city"', ':"Oslo"}'] }] });
        model.next({ text: 'Take an umbrella.' });
        const calls = model.calls.length;
        const options = { ...asked, tools: { weather }, stopWhen: stepCountIs(3), prompt: 'How is the weather?' };
        const text = streamed ? await streamText(options).text : (await generateText(options)).text;
        assert.equal(text, 'Take an umbrella.');
        const { messages } = (await model.call(calls + 1)).body;
        assert.deepEqual(
          messages.map(({ role }) => role),
          ['user', 'assistant', 'tool'],
        );
        assert.match(JSON.stringify(messages.at(-1)?.content), /Rain in Oslo/);
      }
    });

    it('gets objects of a schema', async () => {
      model.next({ text: '{"name":"Ann","age":7}' });
      const calls = model.calls.length;
      const schema = z.object({ name: z.string(), age: z.number() });
      const { output } = await generateText({ ...asked, output: Output.object({ schema }), prompt: 'Somebody' });
      assert.deepEqual(output, { name: 'Ann', age: 7 });
      const { response_format: format } = (await model.call(calls)).body as unknown as {
        response_format: { type: string; json_schema: { schema: { required: string[] } } };
      };
      assert.equal(format.type, 'json_schema');
      assert.deepEqual(format.json_schema.schema.required, ['name', 'age']);
    });

    it('does not take an answer that broke off for a whole one', async () => {
      model.next({ text: 'One two three', cut: 2 });
      const errors: unknown[] = [];
      const stream = streamText({ ...asked, prompt: 'Hello', onError: ({ error }) => void errors.push(error) });
      let text = '';
      for await (const part of stream.textStream) text += part;
      assert.match('One two three', new RegExp(`^${text}`));
      if (errors.length === 0) assert.equal(await stream.finishReason, 'other');
    });

    it('gets errors by their status', async () => {
      model.next({ status: 400, error: { error: { message: 'no such thing' } } });
      await assert.rejects(generateText({ ...asked, prompt: 'Hello' }), (error) => {
        assert(APICallError.isInstance(error));
        assert.equal(error.statusCode, 503);
        assert.match(error.message, /no such thing/);
        return true;
      });
    });

    it('stops reading: what is kept is written to its end, and what is not is cancelled', async () => {
      const calls = model.calls.length;
      model.next({ text: 'One two three', gated: true });
      const abort = new AbortController();
      const stream = streamText({ ...asked, prompt: 'Hello', abortSignal: abort.signal, onError: () => {} });
      const reading = stream.consumeStream();
      const call = await model.call(calls);
      abort.abort();
      await reading;
      if (kept) await call.releaseAll();
      assert.equal(await call.over, kept ? 'end' : 'left');
    });
  });
}

describe('/v1, by @ai-sdk/openai-compatible', () => {
  it('shows what a model reasoned', async () => {
    model.next({ reasoning: ['hm, ', 'so'], text: 'Yes' });
    const languageModel = createOpenAICompatible({ ...keyed, name: 'parlance' })('test-model');
    const { text, reasoningText } = await generateText({ model: languageModel, maxRetries: 0, prompt: 'Hello' });
    assert.deepEqual([text, reasoningText], ['Yes', 'hm, so']);
  });

  it('keeps a conversation that its header names', async () => {
    const me = server.client();
    const headers = { 'x-user-id': me.user, 'x-conversation-id': 'of-the-client' };
    const languageModel = createOpenAICompatible({ ...keyed, headers, name: 'parlance' })('test-model');
    model.answer({ text: 'Yes' });
    const calls = model.calls.length;
    await generateText({ model: languageModel, maxRetries: 0, prompt: 'One' });
    await streamText({ model: languageModel, maxRetries: 0, prompt: 'Two' }).text;
    const { messages } = (await model.call(calls + 1)).body;
    assert.deepEqual(
      messages.map(({ content }) => content),
      ['One', 'Yes', 'Two'],
    );
  });
});

describe('/v1, by @ai-sdk/openai, Responses', () => {
  it('continues a conversation of any API', async () => {
    const me = server.client();
    const { body: chat } = await me.request<{ id: string }>('POST', '/chats/create', { body: { name: 'Mine' } });
    const languageModel = createOpenAI({ ...keyed, headers: { 'x-user-id': me.user } }).responses('test-model');
    const providerOptions = { openai: { conversation: `conv_${chat.id}` } };
    model.answer({ text: 'Yes' });
    const calls = model.calls.length;
    for (const prompt of ['One', 'Two']) {
      await generateText({ model: languageModel, maxRetries: 0, prompt, providerOptions });
    }
    const { messages } = (await model.call(calls + 1)).body;
    assert.deepEqual(
      messages.map(({ content }) => content),
      ['One', 'Yes', 'Two'],
    );
    const { body: entries } = await me.request<unknown[]>('GET', `/chats/${chat.id}/conversations`);
    assert.equal(entries.length, 4);
  });
});
