/** Reads the bodies that are no event stream: an answer as one JSON value, and errors. */

import { ModelError } from '#ports/model.ts';
import { type Asked, httpError } from '../errors.ts';
import type { BodyReader } from './body-reader.ts';
import { createChunkReader } from './chunk.ts';

/** The most of an answer that comes as one JSON body, and of an error. */
const MAX_WHOLE = 16 * 1024 * 1024;
const MAX_ERROR = 64 * 1024;

type Headers = Record<string, string | string[] | undefined>;

/** Gathers a body up to a limit; beyond it `full` is called and the rest is dropped. */
function createGatherer(limit: number, full: () => void) {
  const gathered: Buffer[] = [];
  let size = 0;
  return {
    push(pieces: readonly Buffer[]) {
      for (const piece of pieces) {
        size += piece.length;
        if (size > limit) return full();
        gathered.push(piece);
      }
    },
    text: () => Buffer.concat(gathered).toString(),
  };
}

/** Reads an answer that comes as one JSON body. */
export function createWholeReader(asked: Asked): BodyReader {
  const body = createGatherer(MAX_WHOLE, () => {
    throw tooLarge(asked);
  });
  return {
    done: false,
    spoke: false,
    push: (pieces) => body.push(pieces),
    end(out) {
      let answer: { choices?: unknown } | null = null;
      try {
        answer = JSON.parse(body.text()) as { choices?: unknown } | null;
      } catch {}
      const reader = createChunkReader(asked);
      if (answer !== null) reader.read(answer, out);
      if (!Array.isArray(answer?.choices)) {
        const sentence = `${asked.name} sent something that is no chat completion: check ${asked.urlSetting}.`;
        throw new ModelError('malformed', sentence);
      }
      reader.finish(out);
    },
  };
}

export interface ErrorReader extends BodyReader {
  text(): string;
}

/** Reads an error answer; throws what it stands for. */
export function createErrorReader(asked: Asked, status: number, headers: Headers): ErrorReader {
  const fail = () => {
    throw httpError(asked, status, headers, body.text());
  };
  const body = createGatherer(MAX_ERROR, fail);
  return { done: false, spoke: false, push: (pieces) => body.push(pieces), end: fail, text: body.text };
}

export function tooLarge(asked: Asked): ModelError {
  return new ModelError('size_limit', `${asked.name} sent more than is taken.`);
}
