/** Conversations, models and assistants as `/v1` gives them. */

import { call, getJson, writeKey } from './client.ts';

export interface Conversation {
  id: string;
  title: string | null;
  archived: boolean;
  assistant: string;
  /** Newest activity, in Unix seconds: what lists are ordered by. */
  activeAt: number;
}

export interface Hit {
  conversation: Conversation;
  /** Where it was found. */
  snippet: string;
  /** The places of the words in it, each from and up to. */
  highlights: [number, number][];
  /** The item the words are in. */
  item: string;
}

export interface Model {
  id: string;
  owner: string;
  /** Whether it looks at images; null where nobody knows. */
  images: boolean | null;
}

export interface Assistant {
  id: string;
  name: string;
  description: string;
  model: string | null;
}

interface WireConversation {
  id: string;
  title: string | null;
  archived: boolean;
  assistant: string;
  created_at: number;
  active_at?: number;
  last_active_at?: number;
  match?: { item_id: string; snippet: string; highlights?: [number, number][] };
}
interface WireList<T> {
  data: T[];
  has_more: boolean;
  last_id: string | null;
}

function toConversation(wire: WireConversation): Conversation {
  const { id, title, archived, assistant } = wire;
  return { id, title, archived, assistant, activeAt: wire.active_at ?? wire.last_active_at ?? wire.created_at };
}

const PAGE = 100;

/** A page of the list, newest activity first. `next` is null at its end. */
export async function listConversations(
  archived: boolean,
  after: string | null,
): Promise<{ data: Conversation[]; next: string | null }> {
  const query = new URLSearchParams({ limit: String(PAGE) });
  if (archived) query.set('archived', 'true');
  if (after !== null) query.set('after', after);
  const list = await getJson<WireList<WireConversation>>(`/v1/conversations?${query}`);
  return { data: list.data.map(toConversation), next: list.has_more ? list.last_id : null };
}

export async function searchConversations(words: string, signal: AbortSignal): Promise<Hit[]> {
  const query = new URLSearchParams({ query: words, limit: '50' });
  const list = await getJson<WireList<WireConversation>>(`/v1/conversations?${query}`, { signal });
  return list.data.map((wire) => ({
    conversation: toConversation(wire),
    snippet: wire.match?.snippet ?? '',
    highlights: wire.match?.highlights ?? [],
    item: wire.match?.item_id ?? '',
  }));
}

export async function getConversation(id: string): Promise<Conversation> {
  return toConversation(await getJson<WireConversation>(`/v1/conversations/${encodeURIComponent(id)}`));
}

export async function updateConversation(id: string, change: { title?: string; archived?: boolean }): Promise<void> {
  await call(`/v1/conversations/${encodeURIComponent(id)}`, { method: 'POST', body: change, headers: writeKey() });
}

/** @param keepalive also when the page is being left */
export async function deleteConversation(id: string, keepalive = false): Promise<void> {
  await call(`/v1/conversations/${encodeURIComponent(id)}`, { method: 'DELETE', headers: writeKey(), keepalive });
}

export async function listModels(): Promise<Model[]> {
  interface WireModel {
    id: string;
    owned_by?: string;
    chat?: boolean;
    images?: boolean;
  }
  const list = await getJson<WireList<WireModel>>('/v1/models');
  return list.data
    .filter(({ chat }) => chat !== false)
    .map(({ id, owned_by, images }) => ({ id, owner: owned_by ?? '', images: images ?? null }));
}

export async function listAssistants(): Promise<Assistant[]> {
  const list = await getJson<WireList<Partial<Assistant> & { id: string }>>('/v1/assistants');
  return list.data.map(({ id, name, description, model }) => ({
    id,
    name: name ?? id,
    description: description ?? '',
    model: model ?? null,
  }));
}
