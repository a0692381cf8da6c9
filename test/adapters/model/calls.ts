/** What the tests of the model clients ask with, and how they take the answer. */

import type { ConnectionSettings } from '../../../src/adapters/model/connections.ts';
import { messageItem } from '../../../src/core/turn.ts';
import type { ModelError, ModelEvent, ModelRequest } from '../../../src/ports/model.ts';

export const settings: ConnectionSettings = {
  proxy: { http: null, https: null, noProxy: null },
  connectTimeoutMs: 10_000,
};

export const never = new AbortController().signal;

/** A request with one user message. */
export function asking(text: string, more: Partial<ModelRequest> = {}): ModelRequest {
  return {
    system: '',
    turns: [{ role: 'user', items: [messageItem('1', 'user', text)] }],
    tools: [],
    parameters: {},
    ...more,
  };
}

/** All of an answer: its events, its text, and what it failed with. */
export async function answerOf(stream: AsyncIterable<ModelEvent[]>) {
  const events: ModelEvent[] = [];
  let error: ModelError | null = null;
  try {
    for await (const batch of stream) events.push(...batch);
  } catch (thrown) {
    error = thrown as ModelError;
  }
  return { events, error, text: textIn(events) };
}

export function textIn(events: readonly ModelEvent[], type: 'text' | 'reasoning' = 'text'): string {
  return events.map((event) => (event.type === type ? event.text : '')).join('');
}
