/** What an answer costs on the wire and in the log, against its length. */

import { countRows } from '../inspect.ts';
import { readInference } from '../reader.ts';
import { atMost, type Result, type Scenario, type Sizes, told } from '../scenario.ts';
import { createCaller, makeChat, openStage } from '../stage.ts';

const USER = 'reader';
/** Ten times the text is ten times the bytes; event numbers grow by a digit. */
const TIMES = 10;
const LIMIT = 11;
const SHAPES: [name: string, tokens: number, pace: string][] = [
  ['in bursts', 1000, 'write=25'],
  ['token by token', 200, 'rate=500'],
];
/** All rows that hold something of a run. */
const LOG = `select sum(length(payload)) as count from run_events
  where run = (select sequence from runs where conversation = ?)`;
const ITEMS = `select sum(length(body)) as count from items
  where turn = (select turn from runs where conversation = ?)`;

export const growth: Scenario = {
  title: 'cost on the wire and on disk against the length of the text',
  row: 'promise 8',
  async run(_: Sizes): Promise<Result> {
    const stage = await openStage();
    const { server } = stage;
    const caller = createCaller(server, USER);
    const cost = async (tokens: number, pace: string) => {
      const chat = await makeChat(caller, `bench tokens=${tokens} ${pace}`);
      const live = await readInference(server, { user: USER, chat });
      const replay = await readInference(server, { user: USER, chat });
      return {
        'on the wire, live': live.bytes.length,
        'on the wire, replayed': replay.bytes.length,
        'in the log': countRows(server.data, LOG, chat),
        'in the history': countRows(server.data, ITEMS, chat),
      };
    };
    try {
      const figures = [];
      for (const [name, tokens, pace] of SHAPES) {
        const one = await cost(tokens, pace);
        const ten = await cost(tokens * TIMES, pace);
        figures.push(told(`${name}, bytes for ${tokens} tokens`, Object.values(one).join(', ')));
        for (const [what, bytes] of Object.entries(one)) {
          figures.push(
            atMost(`${name}: ${what}, 10 × the text`, ten[what as keyof typeof ten] / bytes, LIMIT, '× the bytes'),
          );
        }
      }
      return { figures, evidence: [] };
    } finally {
      await caller.close();
      await stage.close();
    }
  },
};
