/** Connections cut at random bytes, and clients that leave for good: the answers go on and are read to the end. */

import { answerText } from '../../bench/tokens.ts';
import { countRows, inspect, runsEnd } from '../inspect.ts';
import { eventsText, readInference, unstamped, wholeEvents } from '../reader.ts';
import { exactly, inLanes, type Result, type Scenario, type Sizes, told } from '../scenario.ts';
import { between, createCaller, makeChat, openStage, readEntries } from '../stage.ts';

const USER = 'reader';
const READERS = 10;
const CUTS_PER_READER = 5;
const TOKENS = 500;
const PROMPT = `bench tokens=${TOKENS} rate=100`;
/** About how long such a stream is. */
const BYTES = TOKENS * 31;

export const cuts: Scenario = {
  title: 'streams cut at random bytes, and picked up again',
  row: 'client goes away, at any byte',
  async run({ cuts: count = 1000 }: Sizes): Promise<Result> {
    const stage = await openStage();
    const { server } = stage;
    const caller = createCaller(server, USER);
    const evidence: string[] = [];
    let made = 0;
    let equal = 0;
    let readers = 0;
    let texts = 0;
    try {
      const answers = Math.ceil(count / (READERS * CUTS_PER_READER));
      const before = (await stage.modelCounts()).requests;
      await inLanes(answers, 5, async () => {
        const chat = await makeChat(caller, PROMPT);
        const reference = readInference(server, { user: USER, chat });
        const resumed = await Promise.all(Array.from({ length: READERS }, () => readInPieces(chat)));
        const whole = wholeEvents((await reference).bytes).events;
        const again = wholeEvents((await readInference(server, { user: USER, chat })).bytes).events;
        if (!whole.includes('event: done')) evidence.push(`The uncut stream of ${chat} has no end`);
        if (unstamped(eventsText(whole)) === answerText(TOKENS)) texts++;
        for (const events of [...resumed, again]) {
          readers++;
          if (events === whole) equal++;
          else
            evidence.push(
              `${chat}: ${events.length} bytes after cuts, ${whole.length} without: ${differ(events, whole)}`,
            );
        }
      });
      const asked = (await stage.modelCounts()).requests - before;
      return {
        figures: [
          exactly('cuts', made, answers * READERS * CUTS_PER_READER),
          exactly('readers, byte-equal to the one that was not cut', equal, readers),
          exactly("answers whose text is the model's", texts, answers),
          exactly('calls of the model', asked, answers),
        ],
        evidence,
      };
    } finally {
      await caller.close();
      await stage.close();
    }

    /** All whole events that a reader has in the end. */
    async function readInPieces(chat: string): Promise<string> {
      let events = '';
      let after = '';
      for (let i = 0; ; i++) {
        const take = between(1, Math.floor(BYTES / (CUTS_PER_READER + 1)));
        const cutting = i < CUTS_PER_READER;
        const piece = await readInference(server, {
          user: USER,
          chat,
          after,
          ...(cutting && { cut: (body) => (body.length >= take ? take : null) }),
        });
        if (cutting && !piece.whole) made++;
        const read = wholeEvents(piece.bytes);
        events += read.events;
        if (read.lastId !== '') after = read.lastId;
        if (piece.whole) return events;
      }
    }
  },
};

const GONE_PROMPT = 'bench tokens=25 rate=50';
const WHOLE = 'bench tokens=25 write=1';

export const gone: Scenario = {
  title: 'clients that leave at the first event and never come back',
  row: 'client goes away, at any byte',
  async run({ clients = 1000 }: Sizes): Promise<Result> {
    const stage = await openStage();
    const { server } = stage;
    const caller = createCaller(server, USER);
    try {
      const chats: string[] = [];
      let left = 0;
      await inLanes(clients, 100, async (i) => {
        // Every tenth is burst, so that its text can be compared word for word.
        const chat = await makeChat(caller, i % 10 === 0 ? WHOLE : GONE_PROMPT);
        const atFirst = (body: Buffer) => (body.includes('\n\n') ? body.length : null);
        const piece = await readInference(server, { user: USER, chat, cut: atFirst });
        if (piece.bytes.includes('id: ')) left++;
        if (i % 10 === 0) chats.push(chat);
      });
      const open = await runsEnd(server.data, 20_000);
      const completed = countRows(server.data, `select count(*) as count from runs where status = 'completed'`);
      let texts = 0;
      for (const chat of chats) {
        if ((await readEntries(caller, chat))?.[1]?.message === answerText(25)) texts++;
      }
      return {
        figures: [
          exactly('clients gone at the first event', left, clients),
          exactly('runs left open', open, 0),
          exactly('answers completed', completed, clients),
          exactly('texts compared and whole', texts, chats.length),
          exactly('streams the model still writes', (await stage.modelCounts()).open, 0),
          told('calls of the model', (await stage.modelCounts()).requests),
        ],
        evidence: inspect(server.data),
      };
    } finally {
      await caller.close();
      await stage.close();
    }
  },
};

function differ(one: string, other: string): string {
  let at = 0;
  while (at < one.length && one[at] === other[at]) at++;
  return `from byte ${at}: ${JSON.stringify(one.slice(at, at + 80))} and ${JSON.stringify(other.slice(at, at + 80))}`;
}
