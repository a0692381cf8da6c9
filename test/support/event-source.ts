/** Reads `text/event-stream` as an EventSource does (HTML Living Standard, "Interpreting an event stream"). */

export interface ServerSentEvent {
  /** The `id:` in force when it was dispatched. */
  id: string;
  /** `message` where the stream names none. */
  event: string;
  data: string;
}

/** All events of a stream that has ended; what a blank line does not close is not an event. Comments are left out. */
export function parseEvents(stream: string): ServerSentEvent[] {
  const events: ServerSentEvent[] = [];
  let id = '';
  let event = '';
  let data: string[] = [];
  const lines = stream.split(/\r\n|\r|\n/);
  for (const line of lines.slice(0, -1)) {
    if (line === '') {
      if (data.length > 0) events.push({ id, event: event === '' ? 'message' : event, data: data.join('\n') });
      event = '';
      data = [];
      continue;
    }
    const colon = line.indexOf(':');
    const field = colon === -1 ? line : line.slice(0, colon);
    const value = colon === -1 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (field === 'data') data.push(value);
    else if (field === 'event') event = value;
    else if (field === 'id') id = value;
  }
  return events;
}

/** The text of the plain `message` events. */
export function messageText(events: readonly ServerSentEvent[]): string {
  return events
    .filter(({ event }) => event === 'message')
    .map(({ data }) => data)
    .join('');
}
