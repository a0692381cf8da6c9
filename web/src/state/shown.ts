/** The conversation on the screen. It follows the address; one that gets its address only now stays. */

import { newId } from '../api/client.ts';
import { type Chat, createChat } from './chat.ts';
import { changed } from './conversations.ts';
import { chosenAssistant } from './preferences.ts';
import { nameAddress, type Route, route } from './route.ts';
import { createStore } from './store.ts';

export const shown = createStore<Chat>(chatFor(route.get()));

function chatFor(to: Route): Chat {
  if (to.page === 'chat') return createChat(to.id, false, () => {});
  return createChat(newId(), true, (id) => {
    chosenAssistant.set(null);
    if (route.get().page === 'new') nameAddress(id);
  });
}

/** Shows what the address says, from now on; until the returned function is called. */
export function startShowing(): () => void {
  const show = (): void => {
    const to = route.get();
    const before = shown.get();
    const same = to.page === 'chat' && before.state.get().id === to.id;
    if (!same) {
      before.close();
      shown.set(chatFor(to));
    }
    shown.get().open();
  };
  const look = (event: Event): void => {
    const { conversation } = (event as CustomEvent<{ conversation: string }>).detail;
    if (conversation === shown.get().state.get().id) shown.get().refresh();
  };
  show();
  const leave = route.follow(show);
  changed.addEventListener('change', look);
  return () => {
    leave();
    changed.removeEventListener('change', look);
    shown.get().close();
  };
}
