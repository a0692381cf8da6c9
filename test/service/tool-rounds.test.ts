import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import type { Item } from '#core/turn.ts';
import type { ToolContext } from '#ports/tools.ts';
import { type Answering, shape, startAnswering, toolOf } from './answering.ts';

const CALLERS = { name: 'weather', description: '', parameters: { type: 'object', properties: {} } };

describe('Rounds of tools of this server', () => {
  let answering: Answering;
  const usage = { input: 10, output: 5, cached: 2, reasoning: 1 };
  before(async () => {
    answering = await startAnswering();
  });
  after(() => answering.close());
  beforeEach(() => {
    answering.tools.length = 0;
    answering.tools.push(
      toolOf('look_up', ({ word }) => ({ text: `${word} is a word`, isError: false })),
      toolOf('fail', () => {
        throw new Error('the disk is on fire');
      }),
    );
    answering.model.calls.length = 0;
    answering.model.answer({ text: 'Never asked for.' });
  });

  it('gives the model what its call gave, and the text goes on in the same answer', async () => {
    const { model } = answering;
    model.next(
      { text: 'Let me look.', tools: [{ name: 'look_up', arguments: '{"word":"tree"}' }], usage },
      { text: 'A tree is a word.', usage },
    );
    const result = await answering.ask('What is a tree?');
    assert.deepEqual(shape(result.items), [
      'text Let me look.',
      'call look_up({"word":"tree"})',
      'gave tree is a word',
      'text \n\nA tree is a word.',
    ]);
    assert.equal(result.status, 'completed');
    assert.equal(result.finish, 'stop');
    assert.deepEqual(result.usage, { inputTokens: 20, outputTokens: 10, cachedInputTokens: 4, reasoningTokens: 2 });
    const [first, second] = model.calls.map(({ body }) => body);
    assert.deepEqual(
      first?.tools?.map((tool) => tool.function.name),
      ['look_up', 'fail'],
    );
    const [, asked, gave] = second?.messages ?? [];
    assert.equal(asked?.content, 'Let me look.');
    assert.equal(asked?.tool_calls?.[0]?.function.name, 'look_up');
    assert.deepEqual(gave, {
      role: 'tool',
      tool_call_id: asked?.tool_calls?.[0]?.id,
      content: 'tree is a word',
    });
    assert.equal((await answering.findRun(result.run))?.attempts.length, 2);
  });

  it('marks a call as its own, with the server whose tool it is', async () => {
    answering.model.next({ tools: [{ name: 'look_up', arguments: '{}' }] }, { text: 'Done.' });
    const { items } = await answering.ask('Go');
    assert.equal(items[0]?.type === 'function_call' && items[0].server, 'test');
  });

  it('runs parallel calls side by side, and asks again when all are there', async () => {
    const both = Promise.withResolvers<void>();
    let begun = 0;
    answering.tools.push(
      toolOf('together', async ({ word }) => {
        if (++begun === 2) both.resolve();
        await both.promise;
        return { text: `${word}`, isError: false };
      }),
    );
    const call = (word: string) => ({ name: 'together', arguments: JSON.stringify({ word }) });
    answering.model.next({ tools: [call('a'), call('b')] }, { text: 'Both.' });
    const { items } = await answering.ask('Go');
    assert.deepEqual(shape(items).slice(2), ['gave a', 'gave b', 'text Both.']);
    const tools = answering.model.calls[1]?.body.messages.filter(({ role }) => role === 'tool');
    assert.deepEqual(
      tools?.map(({ content }) => content),
      ['a', 'b'],
    );
  });

  it('tells the model what went wrong: a tool that fails, one that nobody has, arguments that are none', async () => {
    answering.model.next(
      {
        tools: [
          { name: 'fail', arguments: '{}' },
          { name: 'nothing', arguments: '{}' },
          { name: 'look_up', arguments: '{"word": ' },
          { name: 'look_up', arguments: '[1]' },
        ],
      },
      { text: 'Sorry.' },
    );
    const { items, status } = await answering.ask('Go');
    assert.equal(status, 'completed');
    // Outputs stand in the order in which they came.
    assert.deepEqual(shape(items).slice(4, 8).sort(), [
      'failed The arguments must be a JSON object, and these are not. The tool was not run.',
      'failed The arguments must be a JSON object, and these are not. The tool was not run.',
      'failed There is no tool "nothing". There are: look_up, fail.',
      'failed the disk is on fire',
    ]);
    assert.equal(shape(items)[8], 'text Sorry.');
    assert.deepEqual(answering.errors, []);
  });

  it('never runs a tool that needs approval where nobody can be asked', async () => {
    let ran = false;
    const write = () => {
      ran = true;
      return { text: 'written', isError: false };
    };
    answering.tools.push(toolOf('write', write, { needsApproval: true }));
    answering.model.next({ tools: [{ name: 'write', arguments: '{}' }] }, { text: 'I may not.' });
    const { items } = await answering.ask('Go');
    assert.equal(ran, false);
    assert.match(shape(items)[1] ?? '', /^failed .*approve.*not run/);
  });

  it('a call of the caller’s ends the turn, after the calls of this server beside it', async () => {
    answering.model.next({
      tools: [
        { name: 'weather', arguments: '{}' },
        { name: 'look_up', arguments: '{"word":"sun"}' },
      ],
    });
    const result = await answering.ask('Go', { request: { tools: [CALLERS] } });
    assert.deepEqual(shape(result.items), ['call weather({})', 'call look_up({"word":"sun"})', 'gave sun is a word']);
    assert.equal(result.finish, 'tool_calls');
    assert.equal(answering.model.calls.length, 1);

    // … and the caller's result goes on with both outputs in the model's hands.
    const [call] = result.items;
    const callId = call?.type === 'function_call' ? call.callId : '';
    const output: Item = { type: 'function_call_output', id: '', status: 'completed', callId, output: 'sunny' };
    answering.model.next({ text: 'It is sunny.' });
    await answering.ask('', {
      place: { ref: { by: 'id', id: result.conversation ?? '' } },
      items: [output],
      request: { tools: [CALLERS] },
    });
    const messages = answering.model.calls[1]?.body.messages.slice(1) ?? [];
    assert.equal(messages[0]?.tool_calls?.length, 2);
    assert.deepEqual(
      messages.slice(1).map(({ role, content }) => [role, content]),
      [
        ['tool', 'sun is a word'],
        ['tool', 'sunny'],
      ],
    );
  });

  it('the caller’s tool of the same name wins', async () => {
    const own = { ...CALLERS, name: 'look_up' };
    answering.model.next({ tools: [{ name: 'look_up', arguments: '{}' }] });
    const { items, finish } = await answering.ask('Go', { request: { tools: [own] } });
    assert.deepEqual(shape(items), ['call look_up({})']);
    assert.equal(items[0]?.type === 'function_call' && items[0].server, undefined);
    assert.equal(finish, 'tool_calls');
    assert.deepEqual(
      answering.model.calls[0]?.body.tools?.map((tool) => tool.function.name),
      ['look_up', 'fail'],
    );
  });

  it('a call that the caller forces is forced once', async () => {
    answering.model.next({ tools: [{ name: 'look_up', arguments: '{}' }] }, { text: 'Done.' });
    await answering.ask('Go', { request: { parameters: { tool_choice: 'required', temperature: 0.5 } } });
    assert.deepEqual(
      answering.model.calls.map(({ body }) => [body.tool_choice, body.temperature]),
      [
        ['required', 0.5],
        [undefined, 0.5],
      ],
    );
  });

  it('ids that a model gives twice become two', async () => {
    const call = { id: 'call_0', name: 'look_up', arguments: '{}' };
    answering.model.next({ tools: [call] }, { tools: [call] }, { text: 'Done.' });
    const { items } = await answering.ask('Go');
    const ids = items.flatMap((item) => (item.type === 'function_call' ? [item.callId] : []));
    const outputs = items.flatMap((item) => (item.type === 'function_call_output' ? [item.callId] : []));
    assert.equal(new Set(ids).size, 2);
    assert.deepEqual(outputs, ids);
  });

  it('what a model thought before a call goes back with it, under the name it came with, within the answer', async () => {
    const { model } = answering;
    model.next(
      { reasoning: ['I should ', 'look.'], tools: [{ name: 'look_up', arguments: '{}' }] },
      { text: 'Done.' },
      { text: 'Yes.' },
    );
    const { conversation } = await answering.ask('Go');
    const thought = (call: number) => JSON.stringify(model.calls[call]?.body.messages[1]);
    assert.match(thought(1), /"reasoning_content":"I should look\."/);
    await answering.ask('And?', { place: { ref: { by: 'id', id: conversation ?? '' } } });
    assert.doesNotMatch(thought(2), /I should look/);
  });

  it('a later round is asked again when it failed before its first token', async () => {
    answering.model.next(
      { tools: [{ name: 'look_up', arguments: '{}' }] },
      { status: 503, headers: { 'retry-after': '0' } },
      { text: 'Done.' },
    );
    const { items, status, run } = await answering.ask('Go');
    assert.equal(status, 'completed');
    assert.deepEqual(shape(items).at(-1), 'text Done.');
    const attempts = (await answering.findRun(run))?.attempts ?? [];
    assert.deepEqual(
      attempts.map(({ status: http }) => http),
      [null, 503, null],
    );
    assert.deepEqual(answering.model.calls[1]?.body.messages, answering.model.calls[2]?.body.messages);
  });

  it('a later round that breaks off keeps all, and is not asked again', async () => {
    answering.model.next(
      { tools: [{ name: 'look_up', arguments: '{}' }] },
      { text: ['One', ' two', ' three'], cut: 2 },
    );
    const { items, status, error } = await answering.ask('Go');
    assert.equal(status, 'incomplete');
    assert.equal(error?.code, 'broken_off');
    assert.equal(shape(items).at(-1), 'text One two');
    assert.equal(answering.model.calls.length, 2);
  });

  it('a call that was cut at the allowed length is not run', async () => {
    answering.model.next({ tools: [{ name: 'look_up', arguments: '{"word":"tr' }], finish: 'length' });
    const { items, finish } = await answering.ask('Go');
    assert.deepEqual(shape(items), ['call look_up({"word":"tr)']);
    assert.equal(finish, 'length');
  });

  it('stopped in the middle of a call: the call is aborted, what was said is kept', async () => {
    const begun = Promise.withResolvers<ToolContext>();
    answering.tools.push(
      toolOf('hang', async (_given, context) => {
        begun.resolve(context);
        return new Promise(() => undefined);
      }),
    );
    answering.model.next({ text: 'Wait.', tools: [{ name: 'hang', arguments: '{}' }] });
    const { result, stop } = await answering.begin('Go');
    const { signal, publish } = await begun.promise;
    await stop();
    const { items, status, usage: cost } = await result;
    assert.equal(signal.aborted, true);
    assert.equal(status, 'cancelled');
    assert.deepEqual(shape(items), ['text Wait.', 'call hang({})']);
    assert.notEqual(cost, null);
    // What comes too late is nobody's any more.
    publish([{ type: 'text-delta', item: 0, text: 'late' }]);
    assert.equal(shape(items)[0], 'text Wait.');
  });

  it('the next message is answered with all of it in the model’s hands', async () => {
    answering.model.next({ tools: [{ name: 'look_up', arguments: '{"word":"a"}' }] }, { text: 'It is.' });
    const { conversation } = await answering.ask('First');
    answering.model.next({ text: 'Yes.' });
    await answering.ask('Second', { place: { ref: { by: 'id', id: conversation ?? '' } } });
    assert.deepEqual(
      answering.model.calls[2]?.body.messages.map(({ role }) => role),
      ['user', 'assistant', 'tool', 'assistant', 'user'],
    );
  });
});

describe('Limits of tools of this server', () => {
  it('rounds: the model has to answer with what it has, and ends as incomplete if it does not', async () => {
    const answering = await startAnswering({ rounds: 2 });
    answering.tools.push(toolOf('more', () => ({ text: 'more', isError: false })));
    const again = { tools: [{ name: 'more', arguments: '{}' }] };
    answering.model.next(again, again, { text: 'Enough.' });
    const good = await answering.ask('Go');
    assert.equal(good.status, 'completed');
    assert.deepEqual(
      answering.model.calls.map(({ body }) => body.tool_choice),
      [undefined, undefined, 'none'],
    );
    answering.model.answer(again);
    const { status, error, items } = await answering.ask('Go on');
    assert.equal(status, 'incomplete');
    assert.equal(error?.code, 'tool_limit');
    assert.equal(items.filter(({ type }) => type === 'function_call_output').length, 2);
    assert.equal(answering.model.calls.length, 6);
    await answering.close();
  });

  it('calls of one round', async () => {
    const answering = await startAnswering();
    let most = 0;
    let now = 0;
    answering.tools.push(
      toolOf('count', async () => {
        most = Math.max(most, ++now);
        await new Promise(setImmediate);
        now--;
        return { text: 'ok', isError: false };
      }),
    );
    answering.model.next({ tools: Array.from({ length: 40 }, () => ({ name: 'count', arguments: '{}' })) }, {});
    const { items } = await answering.ask('Go');
    const outputs = items.filter((item) => item.type === 'function_call_output');
    assert.equal(outputs.filter(({ status }) => status === 'completed').length, 32);
    assert.equal(outputs.filter(({ status }) => status === 'incomplete').length, 8);
    assert.equal(most, 8);
    await answering.close();
  });

  it('time: a tool that never comes back ends in an error for the model', async () => {
    const answering = await startAnswering({ timeout: 50 });
    answering.tools.push(toolOf('hang', () => new Promise(() => undefined)));
    answering.model.next({ tools: [{ name: 'hang', arguments: '{}' }] }, { text: 'It hangs.' });
    const { items, status } = await answering.ask('Go');
    assert.equal(status, 'completed');
    assert.match(shape(items)[1] ?? '', /^failed The tool gave no result within 0.05 seconds/);
    await answering.close();
  });

  it('time of the whole answer', async () => {
    const answering = await startAnswering({ run: 300 });
    answering.tools.push(toolOf('hang', () => new Promise(() => undefined)));
    answering.model.next({ tools: [{ name: 'hang', arguments: '{}' }] });
    const { status, error } = await answering.ask('Go');
    assert.equal(status, 'incomplete');
    assert.equal(error?.code, 'time_limit');
    await answering.close();
  });

  it('size: a result is cut, and the model is told', async () => {
    const answering = await startAnswering({ maxResult: 1000 });
    answering.tools.push(toolOf('flood', () => ({ text: '\ud83d\ude00'.repeat(5_000_000), isError: false })));
    answering.model.next({ tools: [{ name: 'flood', arguments: '{}' }] }, { text: 'Much.' });
    const { items } = await answering.ask('Go');
    const output = items[1]?.type === 'function_call_output' ? items[1].output : '';
    assert.match(output, /\[Cut: the first 1000 of 10000000 characters\.\]$/);
    assert.ok(output.length < 1100 && output.isWellFormed());
    await answering.close();
  });

  it('the model’s window: older results are cut before newer ones, and stay whole in the store', async () => {
    const answering = await startAnswering();
    answering.model.models[0] = { id: 'test-model', max_model_len: 8192 };
    answering.tools.push(toolOf('long', ({ word }) => ({ text: `${word}`.repeat(8000), isError: false })));
    const call = (word: string) => ({ tools: [{ name: 'long', arguments: JSON.stringify({ word }) }] });
    answering.model.next(call('a'), call('b'), { text: 'Done.' });
    const { items } = await answering.ask('Go');
    const sizes = items.flatMap((item) => (item.type === 'function_call_output' ? [item.output.length] : []));
    assert.deepEqual(sizes, [8000, 8000]);
    const sent = answering.model.calls[2]?.body.messages.filter(({ role }) => role === 'tool') ?? [];
    const lengths = sent.map(({ content }) => String(content).length);
    assert.equal(lengths[1], 8000);
    assert.ok((lengths[0] ?? 0) < 8000);
    await answering.close();
  });
});
