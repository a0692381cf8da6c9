/** Which conversation is shown: it stands in the address, so that it can be bookmarked and sent. */

import type { MouseEvent } from 'react';
import { createStore } from './store.ts';

export type Route = { page: 'new' } | { page: 'chat'; id: string };

const PATTERN = /^\/c\/([^/]+)$/;

function read(): Route {
  const id = PATTERN.exec(location.pathname)?.[1];
  return id === undefined ? { page: 'new' } : { page: 'chat', id: decodeURIComponent(id) };
}

export const route = createStore<Route>(read());

window.addEventListener('popstate', () => route.set(read()));

export function addressOf(id: string): string {
  return `/c/${encodeURIComponent(id)}`;
}

function show(address: string): void {
  if (address === location.pathname) return;
  history.pushState(null, '', address);
  route.set(read());
}

export function goTo(id: string): void {
  show(addressOf(id));
}

export function goToNew(): void {
  show('/');
}

/** For links within the app: those who want another window get it from their browser. */
export function follow(event: MouseEvent<HTMLAnchorElement>): boolean {
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey || event.button !== 0) return false;
  event.preventDefault();
  show(new URL(event.currentTarget.href).pathname);
  return true;
}

/** A conversation that was just made gets its address without a step back to where it had none. */
export function nameAddress(id: string): void {
  history.replaceState(null, '', addressOf(id));
  route.set({ page: 'chat', id });
}
