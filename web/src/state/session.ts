/** Who is asking, and what the server is. */

import { ApiError, actAs, backOff, call, getJson, isPassing, whenSignedOut } from '../api/client.ts';
import { type Assistant, listAssistants, listModels, type Model } from '../api/conversations.ts';
import { recall, remember } from './local.ts';
import { createStore } from './store.ts';

export interface ServerModels {
  default: string | null;
  /** The default is the built-in guide, which is no language model. */
  guide: boolean;
  problem: string | null;
  not_found: { name: string; address: string }[];
}

interface WireSession {
  access: 'local' | 'session' | 'key' | null;
  user: string | null;
  scopes: string[];
  server: { version: string; models: ServerModels } | null;
}

export type SessionState =
  | { state: 'asking' }
  | { state: 'unreachable' }
  | { state: 'nobody'; expired: boolean }
  | {
      state: 'known';
      local: boolean;
      user: string;
      scopes: string[];
      version: string;
      models: ServerModels;
    };

export interface Offered {
  models: Model[];
  assistants: Assistant[];
}

export const session = createStore<SessionState>({ state: 'asking' });
export const offered = createStore<Offered>({ models: [], assistants: [] });
/** The owner's key, where somebody gave it: kept as long as the tab is open. */
export const ownerKey = createStore<string | null>(readTab('owner-key'));

/** Asks the server; goes on asking while it cannot be reached. */
export async function askSession(): Promise<void> {
  whenSignedOut(() => session.set((now) => (now.state === 'known' ? { state: 'nobody', expired: true } : now)));
  for (let attempt = 0; ; attempt++) {
    try {
      take(await getJson<WireSession>('/v1/session'));
      return;
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) {
        session.set({ state: 'nobody', expired: false });
        return;
      }
      if (attempt > 1 || !isPassing(error)) session.set({ state: 'unreachable' });
      await backOff(attempt, new AbortController().signal);
    }
  }
}

function take(wire: WireSession): void {
  if (wire.user === null || wire.server === null) {
    session.set({ state: 'nobody', expired: false });
    return;
  }
  const local = wire.access === 'local';
  const user = (local ? recall('user') : null) ?? wire.user;
  if (isSomebodyElse(user)) return;
  actAs(local && user !== wire.user ? user : null);
  const { version, models } = wire.server;
  session.set({ state: 'known', local, user, scopes: wire.scopes, version, models });
}

let lastUser: string | null = null;

/** What is shown and was begun here is only for whom it was: somebody else gets a new page. */
function isSomebodyElse(user: string): boolean {
  const isShown = lastUser !== null && lastUser !== user;
  lastUser = user;
  if (recall('last-user') !== user) {
    remember('drafts', null);
    remember('last-user', user);
  }
  if (isShown) location.assign('/');
  return isShown;
}

/** Throws `ApiError`. */
export async function signIn(key: string): Promise<void> {
  const response = await call('/v1/session', { method: 'POST', body: { key }, key: null });
  take((await response.json()) as WireSession);
}

export async function signOut(): Promise<void> {
  await call('/v1/session', { method: 'DELETE' });
  forgetOwnerKey();
  session.set({ state: 'nobody', expired: false });
}

/** In local mode: whose conversations are shown from now on. */
export function beUser(user: string): void {
  remember('user', user);
  location.assign('/');
}

export async function readOffered(): Promise<void> {
  const [models, assistants] = await Promise.allSettled([listModels(), listAssistants()]);
  offered.set((now) => ({
    models: models.status === 'fulfilled' ? models.value : now.models,
    assistants: assistants.status === 'fulfilled' ? assistants.value : now.assistants,
  }));
}

export function keepOwnerKey(key: string): void {
  writeTab('owner-key', key);
  ownerKey.set(key);
}

function forgetOwnerKey(): void {
  writeTab('owner-key', null);
  ownerKey.set(null);
}

function readTab(name: string): string | null {
  try {
    return sessionStorage.getItem(`parlance.${name}`);
  } catch {
    return null;
  }
}

function writeTab(name: string, value: string | null): void {
  try {
    if (value === null) sessionStorage.removeItem(`parlance.${name}`);
    else sessionStorage.setItem(`parlance.${name}`, value);
  } catch {
    // It lasts as long as the page then.
  }
}
