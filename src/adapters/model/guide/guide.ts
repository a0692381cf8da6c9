/**
 * The guide: what answers where no language model was ever configured or found. It is built in and openly no language
 * model, but answers like one: word by word, with usage, tool calls and failures on request (DESIGN.md, Models).
 */

import { fileURLToPath } from 'node:url';
import { estimateTextTokens, estimateTokens } from '#core/context.ts';
import type { FinishReason } from '#core/run.ts';
import type { Clock } from '#ports/clock.ts';
import type { ModelEvent, ModelInfo, ModelRequest } from '#ports/model.ts';
import type { ModelProvider } from '../provider.ts';
import { answer } from './answer.ts';
import { type Documents, readDocuments } from './documents.ts';

const GUIDE: ModelInfo = {
  id: 'guide',
  provider: 'guide',
  window: 32_768,
  chat: true,
  local: true,
  images: false,
  tools: false,
};

const PROJECT = fileURLToPath(new URL('../../../..', import.meta.url));
const MS_PER_WORD = 20;
/** Longer texts are written faster, so that an answer that asks for no time of its own takes at most this long. */
const MAX_MS = 20_000;
/** The most words that come together. */
const MAX_BATCH = 256;
/** A word with the white space behind it; a long one in pieces of whole characters. */
const WORDS = /\S{1,40}[\uDC00-\uDFFF]?\s*|\s+/g;

/**
 * @param options.clock paces the words
 * @param options.root the folder of `README.md` and `docs/`; read once, at the first question
 * @param options.msPerWord the pace, in milliseconds; 0 writes an answer at once, `/long` too
 */
export function createGuide(options: { clock: Clock; root?: string; msPerWord?: number }): ModelProvider {
  const { clock, root = PROJECT, msPerWord = MS_PER_WORD } = options;
  let documents: Promise<Documents> | undefined;

  return { name: 'guide', list: async () => [GUIDE], stream };

  async function* stream(_model: string, request: ModelRequest, signal: AbortSignal): AsyncGenerator<ModelEvent[]> {
    documents ??= readDocuments(root);
    const reply = answer(request, await documents);
    const words = reply.text.match(WORDS) ?? [];
    const natural = Math.min(msPerWord, MAX_MS / Math.max(1, words.length));
    const pace = reply.seconds === null || msPerWord === 0 ? natural : (reply.seconds * 1000) / words.length;
    for await (const batch of paced(clock, words, pace, signal)) yield batch.map((text) => ({ type: 'text', text }));
    if (reply.end === 'silence') await aborted(signal, () => () => undefined);
    if (reply.end instanceof Error) throw reply.end;

    let finish: FinishReason = 'stop';
    if (reply.tool !== null) {
      finish = 'tool_calls';
      yield [{ type: 'tool-call', call: 0, id: `call_${request.turns.length}`, name: reply.tool.name }];
      const pieces = reply.tool.arguments.match(/[\s\S]{1,12}/g) ?? [];
      for await (const batch of paced(clock, pieces, natural, signal)) {
        yield batch.map((text) => ({ type: 'tool-arguments', call: 0, text }));
      }
    }
    const inputTokens = request.turns.reduce(
      (sum, { items }) => sum + estimateTokens(items),
      estimateTextTokens(request.system),
    );
    const outputTokens = estimateTextTokens(reply.text + (reply.tool?.arguments ?? ''));
    yield [
      { type: 'usage', usage: { inputTokens, cachedInputTokens: 0, outputTokens, reasoningTokens: 0 } },
      { type: 'finish', reason: finish },
    ];
  }
}

/** Gives what is due by now: one every `pace` milliseconds, more at once where the clock ran ahead. Throws when aborted. */
async function* paced(
  clock: Clock,
  pieces: readonly string[],
  pace: number,
  signal: AbortSignal,
): AsyncGenerator<string[]> {
  const begun = clock.monotonic();
  let given = 0;
  while (given < pieces.length) {
    signal.throwIfAborted();
    const due = pace === 0 ? pieces.length : Math.floor((clock.monotonic() - begun) / pace) + 1;
    const until = Math.min(due, given + MAX_BATCH, pieces.length);
    if (until > given) yield pieces.slice(given, until);
    given = Math.max(given, until);
    const ahead = begun + given * pace - clock.monotonic();
    if (ahead > 0) await aborted(signal, (done) => clock.after(Math.ceil(ahead), done));
  }
}

/** Rejects when `signal` is aborted, resolves when `start` calls its argument; `start` gives what cancels it. */
function aborted(signal: AbortSignal, start: (done: () => void) => () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const cancel = start(() => {
      signal.removeEventListener('abort', fall);
      resolve();
    });
    function fall(): void {
      cancel();
      reject(signal.reason);
    }
    signal.addEventListener('abort', fall, { once: true });
  });
}
