/** What somebody chose for this browser. `public/theme.js` reads the theme before anything is drawn. */

import { recall, remember } from './local.ts';
import { createStore, type Store } from './store.ts';

export type Theme = 'system' | 'light' | 'dark';

function kept<T extends string | null>(key: string, read: (value: string | null) => T): Store<T> {
  const store = createStore(read(recall(key)));
  store.follow(() => remember(key, store.get()));
  return store;
}

export const theme = kept<Theme>('theme', (value) => (value === 'light' || value === 'dark' ? value : 'system'));
/** The model and the assistant of the next message; null: the server's own choice. */
export const chosenModel = kept<string | null>('model', (value) => value);
export const chosenAssistant = createStore<string | null>(null);
export const internet = kept<'on' | 'off'>('internet', (value) => (value === 'on' ? 'on' : 'off'));
/** Whether the conversations are shown on a wide screen. */
export const sidebarShown = kept<'yes' | 'no'>('sidebar', (value) => (value === 'no' ? 'no' : 'yes'));

theme.follow(() => {
  const chosen = theme.get();
  if (chosen === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = chosen;
});
