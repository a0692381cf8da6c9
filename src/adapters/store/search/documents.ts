/** What is in the search index: the documents, as the main database tells of them. */

import type { DatabaseSync } from 'node:sqlite';
import { textOf } from '#core/turn.ts';
import { wordsIn } from '#core/words.ts';

/** Rows of the main database one step reads, and the size of items (UTF-16 units) after which it stops. */
const STEP_ROWS = 200;
const STEP_SIZE = 64 * 1024;
/** Documents one step erases: each takes some milliseconds, as every word of it is cut out of the index. */
export const STEP_ERASED = 4;
/** Once so many documents wait to be erased, and they are more than the others, it is cheaper to index those anew. */
const MANY_GONE = 1000;

/** A message in the main database; `body` is null for every other item. */
interface ItemRow extends ConversationRow {
  row: number;
  item: string;
  body: string | null;
  role: string;
  listed: number;
}

interface ConversationRow {
  conversation: string;
  tenant: string;
  user: string;
  title: string | null;
  /** When it was said, or the conversation was last changed. */
  at: number;
}

interface DocumentRow {
  number: number;
  item: number;
  id: string;
}

interface ChangeRow {
  sequence: number;
  conversation: string;
  item: number | null;
}

const CONVERSATION = 'c.id as conversation, c.tenant, c.user, c.title';

/** A conversation as the index knows it. */
interface Known {
  number: number;
  owner: number;
  /** The document of its title. */
  title: number | null;
}

/** How far the items are followed: a row, and the id of the item there. */
interface Place {
  item: number;
  item_id: string;
}

interface State extends Place {
  change: number;
  complete: number;
}

/** What a step found new in the main database, and where that leaves the index. */
interface News {
  state: State;
  changes: (ChangeRow & { row: ConversationRow | undefined })[];
  /** Documents of messages that are no more. */
  gone: number[];
  items: ItemRow[];
  /** There is more than one step takes. */
  more: boolean;
}

export interface Documents {
  /** Reads a step's worth of what is new. Within a transaction of the main database. */
  read(): News;
  /** Puts it into the index. Within a transaction of the index. */
  follow(news: News): void;
  /** Erases some of what is gone, and gives how many; fewer than `STEP_ERASED` when that was all. Within a transaction. */
  erase(): number;
  /** Whether making the index anew is less work than erasing. */
  mostAreGone(): boolean;
  /** Adds the titles of conversations without messages, which no item leads to. */
  addTitles(): void;
}

export function openDocuments(index: DatabaseSync, main: DatabaseSync): Documents {
  const selectState = index.prepare('select item, item_id, change, complete from state');
  const updateState = index.prepare('update state set item = ?, item_id = ?, change = ?, complete = ?');
  const selectOwner = index.prepare('select number from owners where tenant = ? and user = ?');
  const insertOwner = index.prepare('insert into owners (tenant, user) values (?, ?)');
  const selectKnown = index.prepare('select number, owner, title from conversations where id = ?');
  const insertKnown = index.prepare('insert into conversations (id, owner) values (?, ?)');
  const updateTitle = index.prepare('update conversations set title = ? where number = ?');
  const deleteKnown = index.prepare('delete from conversations where number = ?');
  const insertDocument = index.prepare(
    'insert into documents (conversation, item, id, at, scope, text) values (?, ?, ?, ?, ?, ?)',
  );
  const insertWords = index.prepare('insert into words (rowid, scope, text) values (?, ?, ?)');
  const selectWords = index.prepare('select text from documents where number = ?');
  const selectByItem = index.prepare('select number from documents where item = ?');
  const selectItemsDown = index.prepare(
    'select number, item, id from documents where item is not null order by item desc',
  );
  const insertGone = index.prepare('insert or ignore into gone values (?)');
  const insertGoneOf = index.prepare('insert or ignore into gone select number from documents where conversation = ?');
  const freeItem = index.prepare('update documents set item = null where number = ?');
  const freeItemsOf = index.prepare('update documents set item = null where conversation = ?');
  const selectGone = index.prepare(`select document from gone limit ${STEP_ERASED}`);
  const eraseWords = index.prepare(
    "insert into words (words, rowid, scope, text) select 'delete', number, scope, text from documents where number = ?",
  );
  const eraseDocument = index.prepare('delete from documents where number = ?');
  const eraseGone = index.prepare('delete from gone where document = ?');
  const countGone = index.prepare('select count(*) as count from gone');
  const countDocuments = index.prepare('select count(*) as count from documents');

  const selectChanges = main.prepare(`
    select sequence, conversation, item from search_changes where sequence > ? order by sequence limit ${STEP_ROWS}`);
  const selectItem = main.prepare('select id from items where "row" = ?');
  const selectItems = main.prepare(`
    select i."row", i.id as item, case when i.type = 'message' then i.body end as body,
      t.role, t.created_at as at, c.listed, ${CONVERSATION}
    from items i join turns t on t.id = i.turn join conversations c on c.id = t.conversation
    where i."row" > ? order by i."row" limit ${STEP_ROWS}`);
  const selectConversation = main.prepare(`
    select ${CONVERSATION}, c.updated_at as at from conversations c where c.id = ? and c.listed = 1`);
  const selectEmpty = main.prepare(`
    select ${CONVERSATION}, c.updated_at as at from conversations c
    where c.listed = 1 and c.head is null and c.title is not null order by c.id`);

  /** Counting takes as long as there are documents. */
  let counted = false;

  return { read, follow, erase, mostAreGone, addTitles };

  /** In a snapshot, and a short one: the writer cannot begin its log anew while somebody reads in it. */
  function read(): News {
    const state = selectState.get() as unknown as State;
    const changes = (selectChanges.all(state.change) as unknown as ChangeRow[]).map((change) => ({
      ...change,
      row:
        change.item === null ? (selectConversation.get(change.conversation) as ConversationRow | undefined) : undefined,
    }));
    const news: News = { state, changes, gone: [], items: [], more: changes.length === STEP_ROWS };
    // The rows of items are given again after the newest were deleted, and all that is told of that comes first.
    if (news.more) return news;
    const from = isStillThere(state) ? state : lastStillThere(news.gone);
    let size = 0;
    for (const row of selectItems.iterate(from.item) as Iterable<ItemRow>) {
      news.items.push(row);
      size += row.body?.length ?? 0;
      if (size > STEP_SIZE) break;
    }
    news.more = news.items.length === STEP_ROWS || size > STEP_SIZE;
    const last = news.items.at(-1);
    const { item, item_id } = last === undefined ? from : { item: last.row, item_id: last.item };
    news.state = { ...state, item, item_id, complete: news.more ? state.complete : 1 };
    return news;
  }

  function follow({ state, changes, gone, items }: News): void {
    for (const { conversation, item, row } of changes) {
      if (item !== null) dropItem(item);
      else if (row !== undefined) know(row);
      else dropConversation(conversation);
    }
    for (const document of gone) drop(document);
    for (const row of items) {
      if (row.body === null || row.listed === 0 || row.role === 'system') continue;
      const words = wordsOf(textOf([JSON.parse(row.body)]));
      if (words !== '') add(know(row), { item: row.row, id: row.item, at: row.at, words });
    }
    updateState.run(state.item, state.item_id, changes.at(-1)?.sequence ?? state.change, state.complete);
  }

  function dropConversation(id: string): void {
    const known = selectKnown.get(id) as Known | undefined;
    if (known === undefined) return;
    counted = false;
    insertGoneOf.run(known.number);
    freeItemsOf.run(known.number);
    deleteKnown.run(known.number);
  }

  function dropItem(item: number): void {
    const document = selectByItem.get(item) as { number: number } | undefined;
    if (document !== undefined) drop(document.number);
  }

  function drop(document: number): void {
    insertGone.run(document);
    freeItem.run(document);
  }

  function isStillThere({ item, item_id }: Place): boolean {
    return item === 0 || selectItem.get(item)?.id === item_id;
  }

  /** The newest message that was not deleted. What the index has beyond it is gone: its rows may be given again. */
  function lastStillThere(gone: number[]): Place {
    for (const { number, item, id } of selectItemsDown.iterate() as Iterable<DocumentRow>) {
      if (isStillThere({ item, item_id: id })) return { item, item_id: id };
      gone.push(number);
    }
    return { item: 0, item_id: '' };
  }

  /** Makes the conversation known, with its title as it is now. */
  function know(row: ConversationRow): Known {
    const known = (selectKnown.get(row.conversation) as Known | undefined) ?? makeKnown(row);
    const words = wordsOf(row.title ?? '');
    if (words === (known.title === null ? '' : selectWords.get(known.title)?.text)) return known;
    if (known.title !== null) drop(known.title);
    known.title = words === '' ? null : add(known, { item: null, id: null, at: row.at, words });
    updateTitle.run(known.title, known.number);
    return known;
  }

  function makeKnown({ conversation, tenant, user }: ConversationRow): Known {
    const owner = selectOwner.get(tenant, user)?.number ?? insertOwner.run(tenant, user).lastInsertRowid;
    const number = insertKnown.run(conversation, owner).lastInsertRowid;
    return { number: Number(number), owner: Number(owner), title: null };
  }

  /** Gives its number. */
  function add(
    { owner, number: conversation }: Known,
    document: { item: number | null; id: string | null; at: number; words: string },
  ): number {
    const { item, id, at, words } = document;
    const scope = ownerWord(owner);
    const number = Number(insertDocument.run(conversation, item, id, at, scope, words).lastInsertRowid);
    insertWords.run(number, scope, words);
    return number;
  }

  function addTitles(): void {
    for (const row of selectEmpty.iterate() as Iterable<ConversationRow>) know(row);
  }

  function erase(): number {
    const gone = selectGone.all() as { document: number }[];
    for (const { document } of gone) {
      eraseWords.run(document);
      eraseDocument.run(document);
      eraseGone.run(document);
    }
    return gone.length;
  }

  function mostAreGone(): boolean {
    if (counted) return false;
    counted = true;
    const gone = Number(countGone.get()?.count);
    return gone > MANY_GONE && 2 * gone > Number(countDocuments.get()?.count);
  }
}

/** The word by which the documents of an owner are found. */
export function ownerWord(number: number): string {
  return `u${number}`;
}

function wordsOf(text: string): string {
  return Array.from(wordsIn(text), ({ word }) => word).join(' ');
}
