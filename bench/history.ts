/** A data folder as years of use leave it: many conversations of one user, their messages interleaved in time. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { openSqliteStore } from '../src/adapters/store/sqlite.ts';
import { formatUuidV7 } from '../src/core/ids.ts';
import { DEFAULT_TENANT, LOCAL_USER } from '../src/core/principal.ts';
import { messageItem } from '../src/core/turn.ts';

export interface History {
  messages: number;
  conversations: number;
}

const VOCABULARY = 20_000;
const WORDS_IN_MESSAGE = 50;
const BATCH = 10_000;
const DAY_MS = 24 * 60 * 60 * 1000;

/** Words of different lengths; the smaller its rank, the more often one is written (Zipf's law). */
export function wordOfRank(rank: number): string {
  const syllables = ['ka', 'lo', 'mi', 'ten', 'su', 'ra', 'vel', 'no', 'pi', 'dor'];
  let word = '';
  for (let rest = rank + 10; rest > 0; rest = Math.floor(rest / 10)) word += syllables[rest % 10];
  return word;
}

/** The same numbers each time (xorshift), in [0, 1). */
function createRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

const words = Array.from({ length: VOCABULARY }, (_, rank) => wordOfRank(rank));

/** Of some fifty words, drawn by Zipf's law. */
export function messageText(random: () => number): string {
  const count = 1 + Math.floor(random() * 2 * WORDS_IN_MESSAGE);
  let text = '';
  for (let i = 0; i < count; i++) text += `${words[Math.floor(VOCABULARY ** random()) - 1]} `;
  return text;
}

/** Fills a new data folder, about 30,000 messages a second, and gives the ids of the conversations. */
export async function buildHistory(folder: string, { messages, conversations }: History): Promise<string[]> {
  mkdirSync(folder, { recursive: true });
  await (await openSqliteStore({ folder, exclusive: true, now: Date.now })).close();
  const database = new DatabaseSync(join(folder, 'parlance.db'));
  database.exec('pragma synchronous = off; pragma cache_size = -200000');
  try {
    return insertHistory(database, { messages, conversations });
  } finally {
    database.close();
  }
}

function insertHistory(database: DatabaseSync, { messages, conversations }: History): string[] {
  const random = createRandom(1);
  const begin = Date.now() - 365 * DAY_MS;
  let made = 0;
  const timeOf = (n: number) => begin + Math.floor((n * 365 * DAY_MS) / (messages + conversations));
  const uuid = () => {
    made++;
    const bytes = Uint8Array.from({ length: 8 }, () => random() * 256);
    return formatUuidV7(timeOf(Math.min(made, messages)), made % 4096, bytes);
  };
  const insertConversation = database.prepare(`
    insert into conversations (id, tenant, user, number, title, assistant, listed, archived, head_depth,
      created_at, updated_at, active_at, metadata)
    values (?, '${DEFAULT_TENANT}', '${LOCAL_USER}', ?, ?, 'default', 1, 0, 0, ${begin}, ${begin}, ${begin}, '{}')`);
  const updateHead = database.prepare(
    'update conversations set head = ?, head_depth = ?, updated_at = ?, active_at = ? where id = ?',
  );
  const insertTurn = database.prepare(`
    insert into turns (conversation, id, tenant, parent, depth, role, status, tokens, created_at, updated_at)
    values (?, ?, '${DEFAULT_TENANT}', ?, ?, ?, 'completed', 60, ?, ?)`);
  const insertItem = database.prepare(`
    insert into items (tenant, turn, position, id, type, body) values ('${DEFAULT_TENANT}', ?, 0, ?, 'message', ?)`);
  const all = Array.from({ length: conversations }, () => ({
    id: uuid(),
    head: null as string | null,
    depth: 0,
    at: 0,
  }));
  database.exec('begin');
  for (const [i, { id }] of all.entries()) insertConversation.run(id, i + 1, `Chat about ${words[i % VOCABULARY]}`);
  for (let n = 0; n < messages; n++) {
    const conversation = all[Math.floor(random() * conversations)] as (typeof all)[number];
    const role = conversation.depth % 2 === 0 ? 'user' : 'assistant';
    const at = timeOf(n);
    const turn = uuid();
    const item = messageItem(uuid(), role, messageText(random));
    insertTurn.run(conversation.id, turn, conversation.head, conversation.depth + 1, role, at, at);
    insertItem.run(turn, item.id, JSON.stringify(item));
    Object.assign(conversation, { head: turn, depth: conversation.depth + 1, at });
    if (n % BATCH === BATCH - 1) {
      database.exec('commit');
      database.exec('begin');
    }
  }
  for (const { id, head, depth, at } of all) updateHead.run(head, depth, at, at, id);
  database.exec('commit');
  database.exec(`update tenants set next_number = ${conversations + 1} where id = '${DEFAULT_TENANT}'`);
  return all.map(({ id }) => id);
}
