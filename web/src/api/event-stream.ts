/** Server-sent events read from a `fetch` answer, which unlike `EventSource` can carry headers and a body. */

export interface ServerEvent {
  type: string;
  data: string;
  /** The last id that was sent; '' before the first. */
  id: string;
}

/** Yields what one read of the network brought, together. Ends when the answer does; throws when it breaks off. */
export async function* readEventStream(body: ReadableStream<Uint8Array>): AsyncGenerator<ServerEvent[]> {
  const reader = body.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>).getReader();
  const parse = createEventParser();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const events = parse(value);
      if (events.length > 0) yield events;
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

/** Gives the events that are whole after each piece of text, wherever it was cut. */
export function createEventParser(): (piece: string) => ServerEvent[] {
  let rest = '';
  let type = '';
  let data: string[] = [];
  let id = '';
  let told = '';
  let afterReturn = false;

  return (piece) => {
    if (piece === '') return [];
    // "\r\n" may be cut in two: the "\r" has ended the line already.
    const text = rest + (afterReturn && piece.startsWith('\n') ? piece.slice(1) : piece);
    afterReturn = piece.endsWith('\r');
    const lines = text.split(/\r\n|\n|\r/);
    rest = lines.pop() ?? '';
    const events: ServerEvent[] = [];
    for (const line of lines) {
      if (line === '') {
        // A line with nothing but an id moves the place to go on from.
        if (data.length > 0 || id !== told) events.push({ type: type || 'message', data: data.join('\n'), id });
        told = id;
        type = '';
        data = [];
        continue;
      }
      const colon = line.indexOf(':');
      const field = colon === -1 ? line : line.slice(0, colon);
      const value = colon === -1 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1);
      if (field === 'data') data.push(value);
      else if (field === 'event') type = value;
      else if (field === 'id') id = value;
    }
    return events;
  };
}
