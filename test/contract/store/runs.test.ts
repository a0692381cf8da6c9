import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import type { Run } from '../../../src/core/run.ts';
import { describeStore } from './adapters.ts';
import { at, ending, newAnswer, openRunsOf, person, refused, terminal, text, uuid } from './fixtures.ts';

describeStore('Runs', (given) => {
  it('ends a run with everything it left: items, model, attempts, usage, times', async () => {
    const owner = person();
    const ann = at(given.store, owner);
    const { run, answer, conversation } = await ann.ask('Hello', { now: 10 });
    const usage = { inputTokens: 3, cachedInputTokens: 1, outputTokens: 2, reasoningTokens: 0 };
    const error = { code: 'time_limit', message: 'It took too long.' } as const;
    const end = terminal('incomplete', { finish: 'length', usage, error });
    const attempts = [{ model: 'm', startedAt: 1, endedAt: 2, error, status: 429 }];
    const items = [text('Half', 'assistant'), text('Rest', 'assistant')];
    const unit = ending(run.id, 'incomplete', { end, lastEvent: 7, items, attempts, model: 'm', now: 30 });
    assert.deepEqual(await given.store.finishRun(unit), { next: null });

    const ended = {
      ...run,
      status: 'incomplete',
      model: 'm',
      attempts,
      usage,
      finish: 'length',
      error,
      lastEvent: 7,
      endedAt: 30,
    };
    assert.deepEqual(await given.store.findRun(owner, run.id), ended);
    const turn = { ...answer, status: 'incomplete', items, updatedAt: 30 };
    assert.deepEqual((await ann.read(conversation.id))?.at(-1), turn);
    assert.deepEqual(await ann.find(conversation.id), { ...conversation, updatedAt: 30, activeAt: 30 });
    assert.deepEqual(await openRunsOf(given.store, owner.tenant), []);
  });

  it('leaves the turn completed, incomplete or failed by how the run ended', async () => {
    const owner = person();
    const ann = at(given.store, owner);
    const turns = { completed: 'completed', incomplete: 'incomplete', cancelled: 'incomplete', failed: 'failed' };
    for (const status of ['completed', 'incomplete', 'cancelled', 'failed'] as const) {
      const { run, answer } = await ann.ask('Hello');
      await given.store.finishRun(ending(run.id, status));
      assert.equal((await given.store.findTurn(owner, answer.id))?.turn.status, turns[status]);
      assert.equal((await given.store.findRun(owner, run.id))?.status, status);
    }
  });

  it('gives a call to one run, whoever asks later, until its conversation is deleted', async () => {
    const owner = person();
    const ann = at(given.store, owner);
    const { run, conversation } = await ann.ask('Hello');
    const claim = { tenant: owner.tenant, conversation: conversation.id, call: uuid(), run: run.id, now: 1 };
    const rivals = Array.from({ length: 20 }, () => ({ ...claim, run: uuid() }));
    const claimed = await Promise.all([claim, ...rivals].map((unit) => given.store.claimCall(unit)));
    assert.deepEqual(new Set(claimed), new Set([run.id]));
    assert.equal(await given.store.claimCall(claim), run.id);
    const other = uuid();
    assert.equal(await given.store.claimCall({ ...claim, call: uuid(), run: other }), other);
    const ref = { by: 'id', id: conversation.id } as const;
    await given.store.deleteConversation({ owner, now: 2, once: null, ref });
  });

  it('ends a run once: what comes after changes nothing', async () => {
    const owner = person();
    const ann = at(given.store, owner);
    const { run, conversation } = await ann.ask('Hello');
    await given.store.finishRun(ending(run.id, 'completed'));
    const before = [await given.store.findRun(owner, run.id), await ann.read(conversation.id)];
    const again = await given.store.finishRun(ending(run.id, 'failed', { items: [text('Other')], now: 99 }));
    assert.deepEqual(again, { next: null });
    assert.deepEqual([await given.store.findRun(owner, run.id), await ann.read(conversation.id)], before);
  });

  it('keeps of the request what it is told to', async () => {
    const owner = person();
    const ann = at(given.store, owner);
    const context = [{ role: 'user' as const, items: [text('Long ago')] }];
    const { run } = await ann.ask('Hello', { answer: newAnswer({ context, model: 'm' }) });
    const kept = { ...run.request, context: null };
    await given.store.finishRun(ending(run.id, 'completed', { request: kept }));
    assert.deepEqual((await given.store.findRun(owner, run.id))?.request, kept);
  });

  it('does nothing for a run that is gone', async () => {
    const ann = at(given.store, person());
    const { run, conversation } = await ann.ask('Hello');
    await ann.remove(conversation.id);
    assert.deepEqual(await given.store.finishRun(ending(run.id, 'completed')), { next: null });
    assert.deepEqual(await given.store.finishRun(ending(uuid(), 'completed')), { next: null });
    assert.equal(await ann.find(conversation.id), null);
    assert.deepEqual(await given.store.readEvents({ run: run.id, after: 0, limit: 10 }), []);
  });

  it('starts the queued runs one after the other, in the order of acceptance and not of their times', async () => {
    const owner = person();
    const ann = at(given.store, owner);
    const first = await ann.ask('One', { now: 300 });
    const { conversation } = first;
    const second = await ann.ask('Two', { conversation, now: 200 });
    const third = await ann.ask('Three', { conversation, now: 100 });
    const { next } = await given.store.finishRun(ending(first.run.id, 'completed', { now: 400 }));
    assert.deepEqual(next, { ...second.run, status: 'started', startedAt: 400 });
    assert.deepEqual(await given.store.findRun(owner, second.run.id), next);
    const turn = (await given.store.findTurn(owner, second.answer.id))?.turn;
    assert.deepEqual([turn?.status, turn?.updatedAt], ['in_progress', 400]);
    const after = await given.store.finishRun(ending(second.run.id, 'failed'));
    assert.equal(after.next?.id, third.run.id);
    assert.deepEqual(await given.store.finishRun(ending(third.run.id, 'completed')), { next: null });
  });

  it('leaves the queued run queued where it is told not to start it', async () => {
    const owner = person();
    const ann = at(given.store, owner);
    const first = await ann.ask('One');
    const second = await ann.ask('Two', { conversation: first.conversation });
    const end = ending(first.run.id, 'completed', { startNext: false });
    assert.deepEqual(await given.store.finishRun(end), { next: null });
    assert.equal((await given.store.findRun(owner, second.run.id))?.status, 'queued');
  });

  it('ends a queued run that is stopped, without starting it or anything else', async () => {
    const owner = person();
    const ann = at(given.store, owner);
    const first = await ann.ask('One');
    const { conversation } = first;
    const second = await ann.ask('Two', { conversation });
    const third = await ann.ask('Three', { conversation });
    assert.deepEqual(await given.store.finishRun(ending(second.run.id, 'cancelled')), { next: null });
    const stopped = await given.store.findRun(owner, second.run.id);
    assert.deepEqual([stopped?.status, stopped?.startedAt], ['cancelled', null]);
    assert.equal((await given.store.findTurn(owner, second.answer.id))?.turn.status, 'incomplete');
    const { next } = await given.store.finishRun(ending(first.run.id, 'completed'));
    assert.equal(next?.id, third.run.id);
  });

  it('starts the oldest queued run of a conversation only while none is started', async () => {
    const owner = person();
    const ann = at(given.store, owner);
    const first = await ann.ask('One');
    const { conversation } = first;
    await ann.ask('Two', { conversation });
    assert.equal(await given.store.startNextRun({ conversation: conversation.id, now: 5 }), null);
    assert.equal(await given.store.startNextRun({ conversation: uuid(), now: 5 }), null);
  });

  it('gives all open runs in the order of acceptance', async () => {
    const owner = person();
    const ann = at(given.store, owner);
    const first = await ann.ask('One', { now: 9 });
    const other = await ann.ask('Elsewhere', { now: 8 });
    const second = await ann.ask('Two', { conversation: first.conversation, now: 7 });
    await given.store.finishRun(ending(other.run.id, 'completed'));
    const third = await ann.ask('Elsewhere', { now: 6 });
    assert.deepEqual(await openRunsOf(given.store, owner.tenant), [first.run, second.run, third.run]);
  });

  it('runs a title beside the answers: no queue, no activity, no turn', async () => {
    const owner = person();
    const ann = at(given.store, owner);
    const { run, conversation } = await ann.ask('One', { now: 10 });
    const title = { conversation: conversation.id, run: uuid(), request: run.request, now: 20 };
    assert.equal(await given.store.startTitleRun(title), true);
    const started = await given.store.findRun(owner, title.run);
    assert.deepEqual([started?.kind, started?.status, started?.turn], ['title', 'started', null]);
    const queued = await ann.ask('Two', { conversation, now: 25 });
    const finished = ending(title.run, 'completed', { tail: null, items: [], now: 30 });
    assert.deepEqual(await given.store.finishRun(finished), { next: null });
    assert.equal((await given.store.findRun(owner, title.run))?.status, 'completed');
    assert.equal((await ann.find(conversation.id))?.activeAt, 25);
    assert.equal((await given.store.findRun(owner, queued.run.id))?.status, 'queued');
    await given.store.startTitleRun({ ...title, run: uuid() });
    await given.store.finishRun(ending(run.id, 'completed'));
    const next = await given.store.finishRun(ending(queued.run.id, 'completed'));
    assert.deepEqual(next, { next: null });
    const { run: free } = await ann.ask('Three', { conversation });
    assert.equal(free.status, 'started');
  });

  it('starts no title run for a conversation that is gone', async () => {
    const { request } = newAnswer({ assistant: 'default' });
    const unit = { conversation: uuid(), run: uuid(), request: { ...request, assistant: 'default' }, now: 1 };
    assert.equal(await given.store.startTitleRun(unit), false);
  });

  it('keeps what a run of no conversation cost, for its user alone', async () => {
    const owner = person();
    const { run: made } = await at(given.store, owner).ask('Hello');
    const usage = { inputTokens: 3, cachedInputTokens: 0, outputTokens: 2, reasoningTokens: 0 };
    const run = {
      ...made,
      id: uuid(),
      conversation: null,
      turn: null,
      answers: null,
      status: 'completed' as const,
      finish: 'stop' as const,
      model: 'm',
      usage,
      endedAt: 9,
    };
    await given.store.recordRun({ run });
    assert.deepEqual(await given.store.findRun(owner, run.id), run);
    assert.equal(await given.store.findRun({ ...owner, user: 'bob' }, run.id), null);
    assert.deepEqual(
      (await openRunsOf(given.store, owner.tenant)).map(({ id }) => id),
      [made.id],
    );
  });

  it('gives the newest run of a turn, and none of an input', async () => {
    const owner = person();
    const { run, input, answer } = await at(given.store, owner).ask('One');
    assert.deepEqual(await given.store.findRunOfTurn(owner, answer.id), run);
    assert.equal(await given.store.findRunOfTurn(owner, input.id), null);
    assert.equal(await given.store.findRunOfTurn(owner, uuid()), null);
  });

  it('writes one answer at a time and in order, whatever is asked, ended, stopped and refused in between', async () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('ask' as const), onBusy: fc.constantFrom('queue' as const, 'reject' as const) }),
      fc.record({ kind: fc.constant('end' as const), which: fc.nat(5) }),
      fc.record({ kind: fc.constant('start' as const) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 15 }), async (steps) => {
        const owner = person();
        const ann = at(given.store, owner);
        const conversation = await ann.create();
        let open: string[] = [];
        const begun: string[] = [];
        const accepted: string[] = [];
        const begin = (run: Run | null) => run !== null && begun.push(run.id);
        for (const it of steps) {
          if (it.kind === 'ask') {
            const asked = ann.ask('?', { conversation, onBusy: it.onBusy });
            if (open.length > 0 && it.onBusy === 'reject') {
              await refused(asked, 'conflict');
              continue;
            }
            const { run } = await asked;
            assert.equal(run.status, open.length === 0 ? 'started' : 'queued');
            if (run.status === 'started') begin(run);
            accepted.push(run.id);
            open.push(run.id);
          } else if (it.kind === 'end' && open.length > 0) {
            const run = open[it.which % open.length] ?? '';
            const first = open[0];
            open = open.filter((id) => id !== run);
            const { next } = await given.store.finishRun(ending(run, 'completed'));
            assert.equal(next?.id ?? null, run === first ? (open[0] ?? null) : null);
            begin(next);
          } else if (it.kind === 'start') {
            assert.equal(await given.store.startNextRun({ conversation: conversation.id, now: 1 }), null);
          }
          const runs = await openRunsOf(given.store, owner.tenant);
          assert.deepEqual(
            runs.map(({ id, status }) => [id, status]),
            open.map((id, i) => [id, i === 0 ? 'started' : 'queued']),
          );
        }
        assert.deepEqual(
          begun,
          accepted.filter((id) => begun.includes(id)),
        );
      }),
      { numRuns: 40 },
    );
  });
});
