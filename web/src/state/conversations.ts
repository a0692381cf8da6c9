/** The lists of conversations, kept as the change feed tells. */

import { type Change, followChanges } from '../api/changes.ts';
import { ApiError } from '../api/client.ts';
import {
  type Conversation,
  deleteConversation,
  getConversation,
  listConversations,
  updateConversation,
} from '../api/conversations.ts';
import { text } from '../text.ts';
import { createPending } from './pending.ts';
import { goToNew, route } from './route.ts';
import { createStore } from './store.ts';
import { say } from './toasts.ts';

export interface ListState {
  load: 'loading' | 'ready' | 'failed';
  /** Newest activity first. */
  data: Conversation[];
  /** Where the next page begins; null: all are here. */
  next: string | null;
  loadingMore: boolean;
}

const EMPTY: ListState = { load: 'loading', data: [], next: null, loadingMore: false };

/** What can be taken back for this long. */
const UNDO_MS = 6_000;
/** Changes of one conversation that come together are read once. */
const GATHER_MS = 60;

export const conversations = createStore<ListState>(EMPTY);
export const archive = createStore<ListState>(EMPTY);
/** Whether the server can be reached, as the feed shows. */
export const connected = createStore(true);
/** Told of each conversation that something happened to. */
export const changed = new EventTarget();

let wantsArchive = false;

const removing = createPending<string>({
  waitMs: UNDO_MS,
  act: (id, leaving) =>
    void deleteConversation(id, leaving).catch((error) => {
      if (error instanceof ApiError && error.status === 404) return;
      say({ message: error instanceof ApiError ? error.message : text.failure.generic, tone: 'error' });
      void reload();
    }),
});
window.addEventListener('pagehide', removing.flush);

/** Follows the feed until it is told to stop. */
export function followConversations(): () => void {
  const control = new AbortController();
  void followChanges(control.signal, {
    onGap: () => void reload(),
    onChanges: take,
    onLine: (on) => connected.set(on),
  });
  return () => control.abort();
}

export async function reload(): Promise<void> {
  await Promise.all([load(conversations, false), wantsArchive ? load(archive, true) : null]);
}

export function openArchive(): void {
  wantsArchive = true;
  void load(archive, true);
}

async function load(list: typeof conversations, archived: boolean): Promise<void> {
  try {
    const page = await listConversations(archived, null);
    list.set((now) => {
      // What was read beyond the first page stays where it is.
      const known = new Set(page.data.map(({ id }) => id));
      const last = page.data.at(-1);
      const rest = now.data.filter(
        ({ id, activeAt }) => !known.has(id) && last !== undefined && activeAt < last.activeAt,
      );
      const more = page.next !== null && rest.length > 0;
      return {
        load: 'ready',
        data: more ? [...page.data, ...rest] : page.data,
        next: more ? now.next : page.next,
        loadingMore: false,
      };
    });
  } catch {
    list.set((now) => ({ ...now, load: now.load === 'ready' ? 'ready' : 'failed' }));
  }
}

export async function loadMore(archived: boolean): Promise<void> {
  const list = archived ? archive : conversations;
  const { next, loadingMore } = list.get();
  if (next === null || loadingMore) return;
  list.set((now) => ({ ...now, loadingMore: true }));
  try {
    const page = await listConversations(archived, next);
    list.set((now) => {
      const known = new Set(now.data.map(({ id }) => id));
      return {
        ...now,
        data: [...now.data, ...page.data.filter(({ id }) => !known.has(id))],
        next: page.next,
        loadingMore: false,
      };
    });
  } catch {
    list.set((now) => ({ ...now, loadingMore: false }));
  }
}

// ---- the feed

const gathered = new Set<string>();

function take(changes: Change[]): void {
  if (gathered.size === 0) setTimeout(() => void readGathered(), GATHER_MS);
  for (const { type, conversation } of changes) {
    changed.dispatchEvent(new CustomEvent('change', { detail: { type, conversation } }));
    if (type === 'conversation-deleted') {
      gathered.delete(conversation);
      drop(conversation);
    } else gathered.add(conversation);
  }
}

async function readGathered(): Promise<void> {
  const ids = [...gathered];
  gathered.clear();
  // After a long absence the list is read anew rather than one by one.
  if (ids.length > 20) return reload();
  await Promise.all(
    ids.map(async (id) => {
      try {
        put(await getConversation(id));
      } catch (error) {
        if (error instanceof ApiError && error.status === 404) drop(id);
      }
    }),
  );
}

/** Puts a conversation where its activity says, in the list it belongs to. */
function put(conversation: Conversation): void {
  const into = conversation.archived ? archive : conversations;
  const other = conversation.archived ? conversations : archive;
  remove(other, conversation.id);
  into.set((now) => {
    if (now.load !== 'ready') return now;
    const rest = now.data.filter(({ id }) => id !== conversation.id);
    const at = rest.findIndex(({ activeAt }) => activeAt <= conversation.activeAt);
    if (at === -1 && now.next !== null) return { ...now, data: rest };
    const place = at === -1 ? rest.length : at;
    return { ...now, data: [...rest.slice(0, place), conversation, ...rest.slice(place)] };
  });
}

function drop(id: string): void {
  remove(conversations, id);
  remove(archive, id);
}

function remove(list: typeof conversations, id: string): void {
  list.set((now) =>
    now.data.some((conversation) => conversation.id === id)
      ? { ...now, data: now.data.filter((conversation) => conversation.id !== id) }
      : now,
  );
}

// ---- what people do

export async function rename(conversation: Conversation, title: string): Promise<void> {
  put({ ...conversation, title });
  await change(conversation, { title });
}

export async function setArchived(conversation: Conversation, archived: boolean): Promise<void> {
  put({ ...conversation, archived });
  if (archived) {
    leave(conversation.id);
    say({
      message: text.sidebar.archived(titleOf(conversation)),
      action: { label: text.undo, do: () => void setArchived({ ...conversation, archived: true }, false) },
    });
  }
  await change(conversation, { archived });
}

async function change(before: Conversation, set: { title?: string; archived?: boolean }): Promise<void> {
  try {
    await updateConversation(before.id, set);
  } catch (error) {
    put(before);
    say({ message: error instanceof ApiError ? error.message : text.failure.generic, tone: 'error' });
  }
}

/** Deletes when the time to take it back is over. */
export function removeLater(conversation: Conversation): void {
  const { id } = conversation;
  drop(id);
  leave(id);
  removing.add(id);
  say({
    message: text.sidebar.removed(titleOf(conversation)),
    forMs: UNDO_MS,
    action: {
      label: text.undo,
      do: () => {
        if (removing.undo(id)) put(conversation);
      },
    },
  });
}

function leave(id: string): void {
  const shown = route.get();
  if (shown.page === 'chat' && shown.id === id) goToNew();
}

export function titleOf({ title }: Pick<Conversation, 'title'>): string {
  return title ?? text.untitled;
}

/** The conversation before or behind the shown one in the list. */
export function neighbour(step: 1 | -1): string | null {
  const { data } = conversations.get();
  const shown = route.get();
  const at = shown.page === 'chat' ? data.findIndex(({ id }) => id === shown.id) : -1;
  if (at === -1) return (step === 1 ? data[0] : data.at(-1))?.id ?? null;
  return data[at + step]?.id ?? null;
}
