/**
 * Searching the index. What it finds counts only where the main database has it now, under its owner: so nothing that was
 * deleted a moment ago is found, and nothing of anybody else.
 */

import type { DatabaseSync } from 'node:sqlite';
import { textOf } from '#core/turn.ts';
import { type Excerpt, excerpt, type Phrase } from '#core/words.ts';
import type { SearchConversations, SearchHit } from '#ports/store.ts';
import { CONVERSATIONS, type ConversationRow, toConversation } from '../conversation-rows.ts';
import { ownerWord } from './documents.ts';

/** Of so many matches, the newest ones, a search shows the newest or the best: so it takes no longer in a larger index. */
const MOST = { newest: 100_000, best: 5_000 };

/** BM25 (Robertson and Zaragoza, "The Probabilistic Relevance Framework", 2009): how soon more of a word adds nothing,
 * and how much a long text counts less. */
const K1 = 1.2;
const B = 0.75;
/** A match of today counts twice as much as one of long ago, and with this age half-way between. */
const HALF_LIFE_MS = 30 * 24 * 60 * 60 * 1000;

/** Where a page ended. A page that follows sees the index as the first one did: what was added since is not in it. */
export interface SearchCursor {
  /** The index; it may have been made anew. */
  built: number;
  /** The newest document the first page saw, and when that was. */
  newest: number;
  now: number;
  /** The last document shown (`newest`), or how many matches were looked at (`best`). */
  place: number;
}

/** A search as it goes to the thread. */
export interface Search extends Pick<SearchConversations, 'phrases' | 'order' | 'archived' | 'limit' | 'now'> {
  tenant: string;
  user: string;
  after: SearchCursor | null;
}

export interface Found {
  hits: SearchHit[];
  next: SearchCursor | null;
  complete: boolean;
}

interface Match {
  number: number;
  conversation: number;
  item: number | null;
  id: string | null;
  at: number;
  /** Its words; left out where they are not ranked. */
  text: string;
}

/** Null where the cursor is of an index that was made anew since. */
export function find(index: DatabaseSync, main: DatabaseSync, search: Search): Found | null {
  const state = index.prepare('select built, complete from state').get() as unknown as {
    built: number;
    complete: number;
  };
  if (search.after !== null && search.after.built !== state.built) return null;
  const newest = Number(index.prepare('select max(number) as newest from documents').get()?.newest ?? 0);
  const first = { newest: newest + 1, best: 0 };
  const from = search.after ?? { built: state.built, newest, now: search.now, place: first[search.order] };
  const check = openCheck(index, main, search);
  const seen = new Set<number>();
  const hits: SearchHit[] = [];
  let next = from;
  let looked = 0;
  for (const match of matches[search.order](index, search, from)) {
    looked++;
    if (seen.has(match.conversation)) continue;
    const isShown = search.order === 'newest' ? match.number >= from.place : looked <= from.place;
    const hit = isShown ? 'nothing here' : check(match);
    if (hit === null) continue;
    seen.add(match.conversation);
    if (typeof hit === 'string') continue;
    if (hits.length === search.limit) return { hits, next, complete: state.complete === 1 };
    hits.push(hit);
    next = { ...from, place: search.order === 'newest' ? match.number : looked };
  }
  return { hits, next: null, complete: state.complete === 1 };
}

/** Matches one by one, in the order asked for. */
const matches = { newest: newestMatches, best: bestMatches };

function newestMatches(index: DatabaseSync, search: Search, { newest }: SearchCursor): Iterable<Match> {
  const owner = ownerNumber(index, search);
  if (owner === null) return [];
  const text = search.order === 'best' ? 'd.text' : `'' as text`;
  const select = index.prepare(`
    select d.number, d.conversation, d.item, d.id, d.at, ${text}
    from words cross join documents d on d.number = words.rowid
    where words match ? and words.rowid <= ? and d.number not in (select document from gone)
    order by words.rowid desc limit ${MOST[search.order]}`);
  return select.iterate(matchOf(owner, search.phrases), newest) as Iterable<Match>;
}

/** FTS5's own `bm25` counts all documents of every word first, and then ranks all that match. */
function bestMatches(index: DatabaseSync, search: Search, from: SearchCursor): Match[] {
  const found = Array.from(newestMatches(index, search, from));
  const weights = search.phrases.map((phrase) => weightOf(index, search, phrase));
  const length = found.reduce((sum, { text }) => sum + text.length, 0) / found.length;
  const scored = found.map((match) => {
    const recency = 1 + 0.5 ** (Math.max(0, from.now - match.at) / HALF_LIFE_MS);
    const fullness = K1 * (1 - B + (B * match.text.length) / length);
    const score = search.phrases.reduce((sum, phrase, i) => {
      const count = countOf(phrase, match.text);
      return sum + ((weights[i] ?? 0) * count) / (count + fullness);
    }, 0);
    return { match, score: recency * score };
  });
  scored.sort((a, b) => b.score - a.score || b.match.number - a.match.number);
  return scored.map(({ match }) => match);
}

/** The rarer a phrase, the more it counts; of several only, as one alone is in all matches. */
function weightOf(index: DatabaseSync, search: Search, phrase: Phrase): number {
  const owner = ownerNumber(index, search);
  if (search.phrases.length === 1 || owner === null) return 1;
  const count = index.prepare(
    `select count(*) as count from (select 1 from words where words match ? limit ${MOST.best})`,
  );
  return Math.log(1 + (2 * MOST.best) / (1 + Number(count.get(matchOf(owner, [phrase]))?.count)));
}

function countOf({ words, prefix }: Phrase, text: string): number {
  const wanted = ` ${words.join(' ')}${prefix ? '' : ' '}`;
  const spaced = ` ${text} `;
  let count = 0;
  // The space behind a word is also the one before the next.
  for (let at = spaced.indexOf(wanted); at >= 0; at = spaced.indexOf(wanted, at + wanted.length - 1)) count++;
  return count;
}

function ownerNumber(index: DatabaseSync, { tenant, user }: Search): number | null {
  const owner = index.prepare('select number from owners where tenant = ? and user = ?').get(tenant, user);
  return owner === undefined ? null : Number(owner.number);
}

/** A query of FTS5. The words have letters, digits and their marks only, so in quotes there is nothing to escape. */
function matchOf(owner: number, phrases: readonly Phrase[]): string {
  const texts = phrases.map(({ words, prefix }) => `"${words.join(' ')}"${prefix ? ' *' : ''}`);
  return `scope : "${ownerWord(owner)}" AND text : (${texts.join(' AND ')})`;
}

/**
 * Looks whether a match is in the main database and the owner's. `nothing here`: nor is anything else of its
 * conversation; null: this match is not.
 */
function openCheck(index: DatabaseSync, main: DatabaseSync, search: Search) {
  const selectId = index.prepare('select id from conversations where number = ?');
  const selectConversation = main.prepare(`
    ${CONVERSATIONS} where c.id = ? and c.tenant = ? and c."user" = ? and c.listed = 1 and c.archived = ?`);
  const selectBody = main.prepare('select body from items where "row" = ? and id = ?');

  return (match: Match): SearchHit | 'nothing here' | null => {
    const id = selectId.get(match.conversation)?.id;
    if (id === undefined) return 'nothing here';
    const { tenant, user, archived } = search;
    const row = selectConversation.get(String(id), tenant, user, archived ? 1 : 0) as ConversationRow | undefined;
    if (row === undefined) return 'nothing here';
    const found = excerptOf(match, row);
    return found === null ? null : { conversation: toConversation(row), item: match.id, excerpt: found };
  };

  function excerptOf({ item, id }: Match, { title }: ConversationRow): Excerpt | null {
    if (item === null || id === null) return excerpt(title ?? '', search.phrases);
    const body = selectBody.get(item, id)?.body;
    return body === undefined ? null : excerpt(textOf([JSON.parse(String(body))]), search.phrases);
  }
}
