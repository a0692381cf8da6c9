/**
 * The hot path: the bytes of a streamed Chat Completion to model events. Framing follows the rules of "Interpreting an
 * event stream" (WHATWG HTML, 9.2.6); the events do not depend on how the bytes were split on their way.
 *
 * Bytes are looked at as Latin-1 text, one character for each, and become UTF-8 text only where they are the text of an
 * event: line ends and quotes are the same bytes in both, and no character can be cut in two.
 *
 * The fast path rests on this: from one token to the next a server sends the same frame with another text in it. A
 * frame that was read the long way, and does nothing but add text, is kept as a pattern: what stands before the text,
 * and what stands after it. That the text stands just there is proven by putting another one in its place and reading
 * that. A frame that equals the pattern but for the text needs no JSON parser then: the text is all that it says.
 */

import { ModelError, type ModelEvent } from '#ports/model.ts';
import type { Asked } from '../errors.ts';
import type { BodyReader } from './body-reader.ts';
import { createChunkReader, plainDelta } from './chunk.ts';
import { decode, endOfString, type Pattern, parseObject, patternOf } from './frame-pattern.ts';

/** The most of one event, in bytes; a longer one is not a chunk of text any more. */
export const MAX_EVENT = 1024 * 1024;

/** So many patterns that were made and never used tell that the server's frames differ: then no more are made. */
const MAX_USELESS = 16;
/** What may stand between two pieces of one read: the head of an HTTP chunk. */
const MAX_GAP = 16;

const LINE_FEED = 0x0a;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** Reads an event stream. One that ends without a finish reason and `[DONE]` is `broken_off`. */
export function createChatParser(asked: Asked): BodyReader {
  const reader = createChunkReader(asked);
  /** The line that is not complete yet. */
  let rest = '';
  /** The data lines of the event that is not complete yet; null for none. */
  let data: string | null = null;
  let skipLineFeed = false;
  let begun = false;
  let pattern: Pattern | null = null;
  let useless = 0;

  const parser: BodyReader & { done: boolean } = {
    done: false,
    get spoke() {
      return reader.spoke;
    },
    push(pieces, out) {
      try {
        for (let first = 0; first < pieces.length && !reader.done; ) {
          // Pieces of one read stand in one buffer: one string for all of them is cheaper than one for each.
          const last = lastOfSpan(pieces, first);
          const text = textOfSpan(pieces[first] as Buffer, pieces[last] as Buffer);
          const { byteOffset } = pieces[first] as Buffer;
          for (; first <= last && !reader.done; first += 1) {
            const piece = pieces[first] as Buffer;
            const at = piece.byteOffset - byteOffset;
            take(text, at, at + piece.length, out);
          }
        }
        parser.done = reader.done;
      } catch (error) {
        parser.done = true;
        throw error;
      }
    },
    end(out) {
      if (parser.done) return;
      parser.done = true;
      // A last event without its blank line, if it is whole.
      if (rest !== '') takeLine(rest);
      if (data !== null && isWhole(data)) dispatch(data, out);
      reader.end(out);
    },
  };

  /** Takes the piece of `text` from `at` to `end`. */
  function take(text: string, at: number, end: number, out: ModelEvent[]): void {
    if (rest !== '') {
      const piece = text.slice(at, end);
      if (!piece.includes('\n') && !piece.includes('\r')) {
        rest += piece;
        limit(rest);
        return;
      }
      text = rest + piece;
      at = 0;
      end = text.length;
      rest = '';
    }
    /** Where the event's one line began; -1 if it has more lines or began before this piece. */
    let frameAt = -1;
    while (at < end && !reader.done) {
      if (pattern !== null && data === null) {
        const next = takeFrames(text, at, end, pattern, out);
        if (next !== at) {
          at = next;
          skipLineFeed = false;
          useless = 0;
          continue;
        }
      }
      if (skipLineFeed && text.charCodeAt(at) === LINE_FEED) at += 1;
      skipLineFeed = false;
      const lineEnd = endOfLine(text, at, end);
      if (lineEnd === -1) break;
      const lineAt = at;
      at = lineEnd + 1;
      if (text[lineEnd] === '\r') {
        if (at < end && text.charCodeAt(at) === LINE_FEED) at += 1;
        else skipLineFeed = true;
      }
      if (lineEnd > lineAt) {
        frameAt = data === null ? lineAt : -1;
        takeLine(text.slice(lineAt, lineEnd));
      } else if (data !== null) {
        const event = data;
        data = null;
        const chunk = dispatch(event, out);
        if (frameAt !== -1 && useless < MAX_USELESS) learn(text.slice(frameAt, at), chunk);
      }
    }
    if (at < end) {
      rest = text.slice(at, end);
      limit(rest);
    }
  }

  /** Takes as many frames of the pattern as follow each other from `at`; returns where it stopped. */
  function takeFrames(text: string, at: number, end: number, frame: Pattern, out: ModelEvent[]): number {
    const { type, before, after } = frame;
    while (stands(before, text, at)) {
      const from = at + before.length;
      let to = from;
      let escaped = false;
      let ascii = true;
      for (; ; to += 1) {
        const unit = text.charCodeAt(to);
        if (unit === QUOTE) break;
        if (unit === BACKSLASH) {
          escaped = true;
          to += 1;
        } else if (unit >= 0x80) ascii = false;
        // The end of the text, or a character that no JSON string may hold as it is.
        else if (!(unit >= 0x20)) return at;
      }
      if (!stands(after, text, to)) return at;
      let next = to + after.length;
      if (frame.end !== null) {
        next = endOfString(text, next);
        if (next === -1 || !stands(frame.end, text, next)) return at;
        next += frame.end.length;
      }
      if (next > end) return at;
      let value = text.slice(from, to);
      if (!ascii) value = decode(value);
      if (escaped) {
        const parsed = parseString(value);
        if (parsed === null) return at;
        value = parsed;
      }
      if (value !== '') out.push({ type, text: value });
      at = next;
    }
    return at;
  }

  function takeLine(line: string): void {
    limit(line);
    // One byte order mark may come first.
    if (!begun && line.startsWith('\xef\xbb\xbf')) line = line.slice(3);
    begun = true;
    // Comments (`: …`), `event`, `id` and `retry` say nothing here.
    if (!line.startsWith('data') || (line.length > 4 && line[4] !== ':')) return;
    const value = line.slice(line[5] === ' ' ? 6 : 5);
    data = data === null ? value : `${data}\n${value}`;
    limit(data);
  }

  /** Reads one event; returns the chunk it held. */
  function dispatch(event: string, out: ModelEvent[]): unknown {
    const text = event.trim();
    if (text === '') return null;
    if (text === '[DONE]') {
      reader.finish(out);
      return null;
    }
    const chunk = parseObject(event);
    if (chunk === null) throw malformed('something that is not JSON');
    reader.read(chunk, out);
    return chunk;
  }

  function learn(frame: string, chunk: unknown): void {
    const delta = plainDelta(chunk);
    if (delta === null) return;
    useless += 1;
    pattern = patternOf(frame, delta.reasoning ? 'reasoning' : 'text') ?? pattern;
  }

  function limit(text: string): void {
    if (text.length > MAX_EVENT) throw malformed(`an event of over ${MAX_EVENT} bytes`);
  }

  function malformed(what: string): ModelError {
    return new ModelError('malformed', `${asked.name} sent ${what}.`);
  }

  return parser;
}

/** The last of the pieces from `first` on that stand in one buffer, one after the other. */
function lastOfSpan(pieces: readonly Buffer[], first: number): number {
  let last = first;
  for (; last + 1 < pieces.length; last += 1) {
    const piece = pieces[last] as Buffer;
    const next = pieces[last + 1] as Buffer;
    const gap = next.byteOffset - piece.byteOffset - piece.length;
    if (next.buffer !== piece.buffer || gap < 0 || gap > MAX_GAP) break;
  }
  return last;
}

/** All bytes from the first piece to the last, as Latin-1. */
function textOfSpan(first: Buffer, last: Buffer): string {
  if (first === last) return first.toString('latin1');
  return Buffer.from(first.buffer, first.byteOffset, last.byteOffset + last.length - first.byteOffset).toString(
    'latin1',
  );
}

/** The place of the next CR or LF before `end`, -1 for none. */
function endOfLine(text: string, at: number, end: number): number {
  const lineFeed = text.indexOf('\n', at);
  const stop = lineFeed === -1 || lineFeed >= end ? end : lineFeed;
  // Looked for in this line only: a stream with none would be searched to its end at every line.
  for (let place = at; place < stop; place += 1) if (text.charCodeAt(place) === 0x0d) return place;
  return stop === end ? -1 : stop;
}

/** `text.startsWith(part, at)`, five times as fast: V8 compares slices by words and `startsWith` by characters. */
function stands(part: string, text: string, at: number): boolean {
  return text.slice(at, at + part.length) === part;
}

/** The text of a JSON string that has escapes in it; null if it is none. */
function parseString(escaped: string): string | null {
  try {
    return JSON.parse(`"${escaped}"`) as string;
  } catch {
    return null;
  }
}

function isWhole(event: string): boolean {
  return event.trim() === '[DONE]' || parseObject(event) !== null;
}
