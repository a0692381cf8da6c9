/** The feed of what happens to a user's conversations, in this window, in others and in other clients. */

import { ApiError, backOff, call } from './client.ts';
import { readEventStream } from './event-stream.ts';

export interface Change {
  number: number;
  type: string;
  conversation: string;
}

/**
 * Follows the feed until `signal` says stop, over lost connections.
 *
 * @param onGap called at each connection that goes on from no known number: what happened before it is not told
 */
export async function followChanges(
  signal: AbortSignal,
  told: { onGap(): void; onChanges(changes: Change[]): void; onLine(connected: boolean): void },
): Promise<void> {
  let since: number | null = null;
  let attempt = 0;
  while (!signal.aborted) {
    try {
      const query = since === null ? '' : `?since=${since}`;
      const response = await call(`/v1/changes${query}`, { headers: { accept: 'text/event-stream' }, signal });
      told.onLine(true);
      attempt = 0;
      if (since === null) told.onGap();
      if (response.body === null) return;
      for await (const events of readEventStream(response.body)) {
        for (const { id } of events) if (/^\d+$/.test(id)) since = Number(id);
        const changes = events.flatMap(({ data }) => readChange(data) ?? []);
        if (changes.length > 0) told.onChanges(changes);
      }
    } catch (error) {
      if (signal.aborted) return;
      const status = error instanceof ApiError ? error.status : 0;
      if (status === 401 || status === 403 || status === 404) return;
      // The number is too old: the lists are read anew.
      if (status === 410) since = null;
      else if (status === 0) told.onLine(false);
    }
    await backOff(attempt++, signal);
  }
}

function readChange(data: string): Change | null {
  try {
    const wire = JSON.parse(data) as { number?: number; type?: string; conversation_id?: string };
    if (typeof wire.number !== 'number' || wire.conversation_id === undefined) return null;
    return { number: wire.number, type: wire.type ?? '', conversation: wire.conversation_id };
  } catch {
    return null;
  }
}
