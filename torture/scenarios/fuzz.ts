/** Broken streams of a model server, straight into the client's parser. */

import { createChatParser } from '../../src/adapters/model/openai-compatible/chat-parser.ts';
import { ModelError, type ModelEvent } from '../../src/ports/model.ts';
import { exactly, type Result, type Scenario, type Sizes, told } from '../scenario.ts';
import { between } from '../stage.ts';

const ASKED = { name: 'fuzz', address: 'host', keySetting: 'KEY', urlSetting: 'URL', apiKey: null };

const frame = (value: unknown) => `data: ${JSON.stringify(value)}\n\n`;
const delta = (content: unknown, finish: string | null = null) =>
  frame({ id: 'c', object: 'chat.completion.chunk', choices: [{ index: 0, delta: content, finish_reason: finish }] });

/** What streams are made of: good, bad and never seen. */
const FRAMES = [
  delta({ role: 'assistant', content: '' }),
  delta({ content: 'Hello' }),
  delta({ content: ' "wörld" \\ 👋\n' }),
  delta({ reasoning_content: 'hm' }),
  delta({ tool_calls: [{ index: 0, id: 'a', type: 'function', function: { name: 'f', arguments: '{"a":' } }] }),
  delta({ tool_calls: [{ index: 0, function: { arguments: '1}' } }] }),
  delta({}, 'stop'),
  delta({}, 'length'),
  delta({ content: null }, 'no_such_reason'),
  frame({ choices: [], usage: { prompt_tokens: 1, completion_tokens: -5, total_tokens: 'x' } }),
  frame({ error: { message: 'overloaded', code: 529 } }),
  frame([]),
  frame({ choices: [{ delta: { content: { text: 1 } } }, null, 7] }),
  'data: [DONE]\n\n',
  'data: not json\n\n',
  ': a comment\r\n\r\n',
  'event: error\ndata: {"message":"no"}\n\n',
  'data:\n\n',
  'id: 1\rretry: x\r\r',
  '<html>502</html>',
  '\ufeff',
];

export const fuzz: Scenario = {
  title: 'fuzzed streams of a model server',
  row: 'model server answers … malformed SSE, garbage JSON',
  async run({ streams = 100_000 }: Sizes): Promise<Result> {
    const outcomes = { whole: 0, refused: 0 };
    const evidence: string[] = [];
    let crashes = 0;
    let unequal = 0;
    for (let i = 0; i < streams; i++) {
      const body = mutate(Buffer.from(Array.from({ length: between(0, 12) }, pick).join('')));
      try {
        const whole = read([body]);
        const pieces = read(split(body));
        if (whole.error === null) outcomes.whole++;
        else outcomes.refused++;
        if (JSON.stringify(whole) !== JSON.stringify(pieces)) {
          unequal++;
          if (evidence.length < 10)
            evidence.push(`Not the same when it is cut: ${JSON.stringify(body.toString('latin1'))}`);
        }
      } catch (error) {
        crashes++;
        if (evidence.length < 10) evidence.push(`${error} on ${JSON.stringify(body.toString('latin1'))}`);
      }
      // The watchdog of a busy machine, and Ctrl-C, get their turn.
      if (i % 1000 === 0) await new Promise(setImmediate);
    }
    return {
      figures: [
        exactly('streams', outcomes.whole + outcomes.refused + crashes, streams),
        exactly('crashes', crashes, 0),
        exactly('streams that mean something else when they are cut', unequal, 0),
        told('read as whole', outcomes.whole),
        told('refused with a reason', outcomes.refused),
      ],
      evidence,
    };
  },
};

const pick = () => FRAMES[between(0, FRAMES.length - 1)] ?? '';

/** Some bytes changed, left out, put in or doubled; every fourth stream stays as it is. */
function mutate(body: Buffer): Buffer {
  let bytes = [...body];
  for (let i = between(0, 3); i > 0 && bytes.length > 0; i--) {
    const at = between(0, bytes.length - 1);
    const length = between(1, 12);
    const kind = between(0, 3);
    if (kind === 0) bytes[at] = between(0, 255);
    else if (kind === 1) bytes.splice(at, length);
    else if (kind === 2) bytes.splice(at, 0, ...Array.from({ length }, () => between(0, 255)));
    else bytes = [...bytes.slice(0, at + length), ...bytes.slice(at)];
  }
  return Buffer.from(bytes);
}

function split(body: Buffer): Buffer[] {
  const pieces: Buffer[] = [];
  for (let at = 0; at < body.length; ) {
    const length = between(1, 40);
    pieces.push(Buffer.from(body.subarray(at, at + length)));
    at += length;
  }
  return pieces;
}

interface Outcome {
  events: ModelEvent[];
  error: string | null;
}

function read(pieces: Buffer[]): Outcome {
  const parser = createChatParser(ASKED);
  const events: ModelEvent[] = [];
  try {
    for (const piece of pieces) if (!parser.done) parser.push([piece], events);
    parser.end(events);
    return { events, error: null };
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    return { events, error: error.code };
  }
}
