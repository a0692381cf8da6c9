/** The page: the conversations beside the chosen one, and what lies over both. */

import { Menu as MenuIcon, MessageSquarePlus, PanelLeftOpen, WifiOff } from 'lucide-react';
import { lazy, Suspense, useEffect, useRef, useState, useSyncExternalStore } from 'react';
import { ChatView } from './chat/chat-view.tsx';
import { Sidebar } from './sidebar/sidebar.tsx';
import { SignIn } from './sign-in.tsx';
import { connected, conversations, followConversations, neighbour, titleOf } from './state/conversations.ts';
import { sidebarShown } from './state/preferences.ts';
import { goTo, goToNew, route } from './state/route.ts';
import { askSession, readOffered, session } from './state/session.ts';
import { shown, startShowing } from './state/shown.ts';
import { useStore } from './state/store.ts';
import { text } from './text.ts';
import { Button, cx, IconButton, Spinner } from './ui/controls.tsx';
import { Toasts } from './ui/toasts.tsx';

const Settings = lazy(() => import('./settings/settings.tsx'));

export function App() {
  const state = useStore(session);
  useEffect(() => void askSession(), []);
  if (state.state === 'known') return <Signed key={state.user} />;
  if (state.state === 'nobody') return <SignIn expired={state.expired} />;
  return (
    <main className="grid h-full place-items-center p-6 text-center">
      {state.state === 'asking' ? (
        <Spinner className="[&>span]:size-6" />
      ) : (
        <div role="alert">
          <h1 className="mb-4 font-serif text-2xl">{text.connection.lost}</h1>
          <Button onClick={() => location.reload()}>{text.retry}</Button>
        </div>
      )}
    </main>
  );
}

type Page = 'settings' | 'keyboard' | null;

function Signed() {
  const chat = useStore(shown);
  const wide = useStore(sidebarShown) === 'yes';
  const narrow = useNarrow();
  const [drawer, setDrawer] = useState(false);
  const [page, setPage] = useState<Page>(null);
  const searchField = useRef<HTMLInputElement>(null);

  useEffect(() => {
    void readOffered();
    const leave = [followConversations(), startShowing()];
    return () => {
      for (const end of leave) end();
    };
  }, []);
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      const act = shortcutOf(event, {
        showSearch: () => {
          sidebarShown.set('yes');
          if (isNarrow()) setDrawer(true);
          requestAnimationFrame(() => searchField.current?.focus());
        },
        toggle: () => (isNarrow() ? setDrawer((now) => !now) : sidebarShown.set(wide ? 'no' : 'yes')),
        setPage,
      });
      if (act === null) return;
      event.preventDefault();
      act();
    };
    window.addEventListener('keydown', onKey);
    return () => window.removeEventListener('keydown', onKey);
  }, [wide]);

  const sidebar = (
    <Sidebar
      searchField={searchField}
      onHide={() => (isNarrow() ? setDrawer(false) : sidebarShown.set('no'))}
      onSettings={() => setPage('settings')}
      onLeave={() => setDrawer(false)}
    />
  );
  return (
    <div className="flex h-full">
      <button
        type="button"
        onClick={() => document.querySelector<HTMLTextAreaElement>('main textarea')?.focus()}
        className="fixed start-2 -top-20 z-50 rounded-full bg-accent px-4 py-2 text-on-accent focus:top-2"
      >
        {text.skip}
      </button>
      {wide && !narrow && (
        <aside aria-label={text.sidebar.label} className="w-[18.5rem] shrink-0 border-e border-line bg-sunken">
          {sidebar}
        </aside>
      )}
      {drawer && narrow && <Drawer onClose={() => setDrawer(false)}>{sidebar}</Drawer>}
      <main id="main" className="flex min-w-0 flex-1 flex-col">
        <TopBar
          open={wide && !narrow}
          narrow={narrow}
          onOpen={() => (isNarrow() ? setDrawer(true) : sidebarShown.set('yes'))}
        />
        <ConnectionBar />
        <div className="min-h-0 flex-1">
          <ChatView key={keyOf(chat)} chat={chat} />
        </div>
      </main>
      <Suspense>{page !== null && <Settings page={page} onClose={() => setPage(null)} />}</Suspense>
      <Toasts />
    </div>
  );
}

const keys = new WeakMap<object, number>();
let count = 0;

/** A number of each chat's own: its id changes once, when the server gives it one. */
function keyOf(chat: object): number {
  const known = keys.get(chat) ?? ++count;
  keys.set(chat, known);
  return known;
}

const wideScreen = matchMedia('(min-width: 48rem)');

function isNarrow(): boolean {
  return !wideScreen.matches;
}

/** On a narrow screen the conversations lie over the chosen one instead of beside it. */
function useNarrow(): boolean {
  return useSyncExternalStore((told) => {
    wideScreen.addEventListener('change', told);
    return () => wideScreen.removeEventListener('change', told);
  }, isNarrow);
}

function TopBar({ open, narrow, onOpen }: { open: boolean; narrow: boolean; onOpen: () => void }) {
  const at = useStore(route);
  const conversation = useStore(conversations, ({ data }) =>
    at.page === 'chat' ? data.find(({ id }) => id === at.id) : undefined,
  );
  const title = conversation === undefined ? text.untitled : titleOf(conversation);
  useEffect(() => {
    document.title = conversation === undefined ? text.name : `${title} – ${text.name}`;
  }, [conversation, title]);
  return (
    <header className="flex h-13 shrink-0 items-center gap-1 px-2 pt-[env(safe-area-inset-top)] sm:px-3">
      {!open && (
        <IconButton label={text.sidebar.open} onClick={onOpen}>
          {narrow ? <MenuIcon /> : <PanelLeftOpen />}
        </IconButton>
      )}
      <h1 className={cx('min-w-0 flex-1 truncate px-2 text-sm font-medium', at.page === 'new' && 'opacity-0')}>
        {title}
      </h1>
      {!open && (
        <IconButton label={text.sidebar.newChat} onClick={goToNew}>
          <MessageSquarePlus />
        </IconButton>
      )}
    </header>
  );
}

/** On a phone the conversations lie over the chosen one. */
function Drawer({ children, onClose }: { children: React.ReactNode; onClose: () => void }) {
  const box = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    box.current?.showModal();
  }, []);
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: a dialog closes with Escape by itself; the click is one beside it
    <dialog
      ref={box}
      aria-label={text.sidebar.label}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onClick={(event) => {
        if (event.target === box.current) onClose();
      }}
      className="m-0 h-dvh max-h-none w-[min(20rem,86vw)] max-w-none animate-[appear_0.15s_ease-out] border-e border-line bg-sunken p-0"
    >
      {children}
    </dialog>
  );
}

const LATE_MS = 1500;

/** Says that the connection is lost, once it is worth saying. */
function ConnectionBar() {
  const reachable = useStore(connected);
  const [online, setOnline] = useState(navigator.onLine);
  const [late, setLate] = useState(false);
  useEffect(() => {
    const look = (): void => setOnline(navigator.onLine);
    window.addEventListener('online', look);
    window.addEventListener('offline', look);
    return () => {
      window.removeEventListener('online', look);
      window.removeEventListener('offline', look);
    };
  }, []);
  const lost = !online || !reachable;
  useEffect(() => {
    const timer = lost ? setTimeout(() => setLate(true), online ? LATE_MS : 0) : undefined;
    if (!lost) setLate(false);
    return () => clearTimeout(timer);
  }, [lost, online]);
  return (
    <div role="status">
      {lost && late && (
        <p className="mx-3 mb-1 flex items-center justify-center gap-2 rounded-xl bg-warn-soft px-3 py-1.5 text-center text-sm text-warn">
          <WifiOff className="size-4 shrink-0" aria-hidden="true" />
          {online ? text.connection.lost : text.connection.offline}
        </p>
      )}
    </div>
  );
}

/** What a key does; null where it is only a key. */
function shortcutOf(
  event: KeyboardEvent,
  page: { showSearch(): void; toggle(): void; setPage(page: Page): void },
): (() => void) | null {
  const { key, altKey, shiftKey, target } = event;
  const mod = event.metaKey || event.ctrlKey;
  const writing =
    target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
  const covered = document.querySelector('dialog[open]') !== null;
  if (mod && key.toLowerCase() === 'k' && !shiftKey) return page.showSearch;
  if (mod && shiftKey && key.toLowerCase() === 'o') return goToNew;
  if (mod && key.toLowerCase() === 'b' && !shiftKey) return page.toggle;
  if (mod && key === ',') return () => page.setPage('settings');
  if (covered) return null;
  if (altKey && !mod && (key === 'ArrowDown' || key === 'ArrowUp')) {
    const next = neighbour(key === 'ArrowDown' ? 1 : -1);
    return next === null ? null : () => goTo(next);
  }
  if (writing || mod || altKey) return null;
  if (key === '?') return () => page.setPage('keyboard');
  if (key === '/') return () => document.querySelector<HTMLTextAreaElement>('main textarea')?.focus();
  return null;
}
