/**
 * Carries out what a person decided on calls that asked for it. A call is claimed in the store before it is run, so that no
 * second approval, retry or restart ever runs it again.
 */

import type { RunEvent } from '#core/event.ts';
import type { ApprovalItem, FunctionCallItem, Item } from '#core/turn.ts';
import type { Clock, Ids } from '#ports/clock.ts';
import type { Store } from '#ports/store.ts';
import type { ServerTool } from '#ports/tools.ts';
import type { LiveRun, LiveRuns } from './live-runs.ts';
import type { ToolCalls } from './tool-calls.ts';

export interface Approvals {
  /**
   * Begins an answer with the calls that its input decides on, as items of its own, and their outputs. Those that are
   * denied have one too: the model is told.
   */
  carryOut(live: LiveRun, tools: ReadonlyMap<string, ServerTool>): Promise<void>;
}

const CARRIED_OUT_BEFORE =
  'This call was approved and begun before, and whether it was carried out is not known. It was not run again.';

export function createApprovals(parts: {
  store: Store;
  liveRuns: LiveRuns;
  toolCalls: ToolCalls;
  clock: Clock;
  ids: Ids;
}): Approvals {
  const { store, liveRuns, toolCalls, clock, ids } = parts;
  return { carryOut };

  async function carryOut(live: LiveRun, tools: ReadonlyMap<string, ServerTool>): Promise<void> {
    const { conversation, answers } = live.run;
    if (conversation === null || answers === null) return;
    const owner = ownerOf(live);
    const input = await store.findTurn(owner, answers);
    const calls: FunctionCallItem[] = [];
    for (const item of input?.turn.items ?? []) {
      if (item.type !== 'approval' || calls.some(({ decided }) => decided?.call === item.call)) continue;
      const found = await store.findItem(owner, item.call);
      if (found?.conversation.id !== conversation || found.item.type !== 'function_call' || !found.item.asks) continue;
      const call = begin(live, found.item, item);
      const before = item.approved ? await outputOfEarlier(live, conversation, call) : null;
      if (before === null) calls.push(call);
      else liveRuns.publish(live, [{ type: 'item-added', item: before }]);
    }
    await toolCalls.run(live, calls, tools);
  }

  /** The call as an item of this answer: with the arguments that were approved, whatever a client says of them. */
  function begin(live: LiveRun, asked: FunctionCallItem, { call, approved, reason }: ApprovalItem): FunctionCallItem {
    const { asks: _, ...facts } = asked;
    const decided = { call, approved, ...(reason !== '' && { reason }) };
    const item = live.answer.items.length;
    const made = { ...facts, id: ids.uuid(), status: 'in_progress', arguments: '', decided } as const;
    const events: RunEvent[] = [
      { type: 'item-added', item: made },
      { type: 'arguments-delta', item, text: asked.arguments },
      { type: 'item-completed', item },
    ];
    liveRuns.publish(live, events);
    return { ...made, status: 'completed', arguments: asked.arguments };
  }

  /** Claims a call for this run. Where another one has it: what it gave there, as an item of this answer. */
  async function outputOfEarlier(
    live: LiveRun,
    conversation: string,
    { callId, decided }: FunctionCallItem,
  ): Promise<Item | null> {
    const { tenant, id: run } = live.run;
    const by = await store.claimCall({ tenant, conversation, call: decided?.call ?? '', run, now: clock.now() });
    if (by === run) return null;
    const earlier = await store.findRun(ownerOf(live), by);
    const turn = earlier?.turn == null ? null : await store.findTurn(ownerOf(live), earlier.turn);
    const output = turn?.turn.items.find((item) => item.type === 'function_call_output' && item.callId === callId);
    const id = ids.uuid();
    if (output !== undefined) return { ...output, id };
    return { type: 'function_call_output', id, status: 'incomplete', callId, output: CARRIED_OUT_BEFORE };
  }
}

function ownerOf({ run: { tenant, user } }: LiveRun) {
  return { tenant, user, keyless: false, findsKeyless: false };
}
