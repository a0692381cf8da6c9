/** The conversations: by day, found by words, and in the archive. */

import { Archive, ArrowLeft, MessageSquarePlus, PanelLeftClose, Search, Settings, X } from 'lucide-react';
import { type KeyboardEvent, type Ref, useEffect, useMemo, useRef, useState } from 'react';
import { Virtualizer } from 'virtua';
import { archive, conversations, loadMore, openArchive, reload } from '../state/conversations.ts';
import { goToNew, route } from '../state/route.ts';
import { useStore } from '../state/store.ts';
import { text } from '../text.ts';
import { Button, IconButton, Spinner } from '../ui/controls.tsx';
import { ConversationRow } from './conversation-row.tsx';
import { type Group, groupByDay, type Row } from './groups.ts';
import { SearchResults } from './search-results.tsx';

interface SidebarProps {
  onHide: () => void;
  onSettings: () => void;
  /** Something was chosen: on a phone the list makes room. */
  onLeave: () => void;
  searchField: Ref<HTMLInputElement>;
}

export function Sidebar({ onHide, onSettings, onLeave, searchField }: SidebarProps) {
  const [words, setWords] = useState('');
  const [archived, setArchived] = useState(false);
  return (
    <div className="flex h-full flex-col">
      <div className="flex items-center justify-between gap-2 px-4 pt-3 pb-2">
        <p className="flex items-center gap-2 font-serif text-xl">
          <img src="/favicon.svg" alt="" className="size-7" />
          {text.name}
        </p>
        <IconButton label={text.sidebar.hide} onClick={onHide}>
          <PanelLeftClose />
        </IconButton>
      </div>
      <div className="px-3">
        <button
          type="button"
          onClick={() => {
            goToNew();
            onLeave();
          }}
          className="flex min-h-10 w-full items-center gap-2.5 rounded-xl px-3 text-sm font-medium hover:bg-hover [&_svg]:size-[1.15rem]"
        >
          <MessageSquarePlus className="text-accent" />
          {text.sidebar.newChat}
        </button>
        <search className="relative mt-1 block">
          <Search
            className="pointer-events-none absolute start-3 top-2.5 size-[1.15rem] text-quiet"
            aria-hidden="true"
          />
          <input
            ref={searchField}
            type="text"
            inputMode="search"
            value={words}
            aria-label={text.sidebar.search}
            placeholder={text.sidebar.search}
            onChange={(event) => setWords(event.target.value)}
            onKeyDown={(event) => {
              if (event.key === 'Escape' && words !== '') {
                event.stopPropagation();
                setWords('');
              }
            }}
            className="min-h-10 w-full rounded-xl bg-transparent ps-[2.6rem] pe-9 text-sm hover:bg-hover focus-visible:bg-raised focus-visible:outline-offset-[-2px]"
          />
          {words !== '' && (
            <IconButton
              small
              label={text.sidebar.clearSearch}
              className="absolute end-1.5 top-1.5"
              onClick={() => setWords('')}
            >
              <X />
            </IconButton>
          )}
        </search>
      </div>
      {words.trim() !== '' ? (
        <SearchResults words={words.trim()} onLeave={onLeave} />
      ) : (
        <ConversationList archived={archived} onLeave={onLeave} />
      )}
      <div className="flex items-center gap-1 border-t border-line p-2 pb-[max(0.5rem,env(safe-area-inset-bottom))]">
        <button
          type="button"
          onClick={onSettings}
          className="flex min-h-9 flex-1 items-center gap-2.5 rounded-xl px-3 text-sm text-quiet hover:bg-hover hover:text-ink [&_svg]:size-[1.15rem]"
        >
          <Settings />
          {text.sidebar.settings}
        </button>
        <IconButton
          label={archived ? text.sidebar.leaveArchive : text.sidebar.showArchive}
          aria-pressed={archived}
          className={archived ? 'bg-accent-soft text-accent-strong' : ''}
          onClick={() => {
            if (!archived) openArchive();
            setWords('');
            setArchived(!archived);
          }}
        >
          {archived ? <ArrowLeft /> : <Archive />}
        </IconButton>
      </div>
    </div>
  );
}

function ConversationList({ archived, onLeave }: { archived: boolean; onLeave: () => void }) {
  const { load, data, next } = useStore(archived ? archive : conversations);
  const at = useStore(route);
  const scroller = useRef<HTMLElement>(null);
  const today = useToday();
  const rows = useMemo(() => groupByDay(data, new Date(today)), [data, today]);
  const shown = at.page === 'chat' ? at.id : null;

  const onScroll = (): void => {
    const box = scroller.current;
    if (box !== null && box.scrollHeight - box.scrollTop - box.clientHeight < 1200) void loadMore(archived);
  };
  useEffect(() => {
    const box = scroller.current;
    if (next !== null && box !== null && box.scrollHeight <= box.clientHeight + 1200) void loadMore(archived);
  }, [next, archived]);

  return (
    <nav
      ref={scroller}
      aria-label={archived ? text.sidebar.archive : text.sidebar.label}
      onScroll={onScroll}
      onKeyDown={moveBetweenRows}
      className="scroll-quiet min-h-0 flex-1 overflow-y-auto px-3 pb-4"
    >
      {archived && <h2 className="px-3 pt-3 font-serif text-lg">{text.sidebar.archive}</h2>}
      {load === 'loading' && <Spinner className="mx-3 mt-4" />}
      {load === 'failed' && (
        <div className="px-3 py-4 text-sm text-quiet">
          <p className="mb-2">{text.sidebar.failed}</p>
          <Button onClick={() => void reload()}>{text.retry}</Button>
        </div>
      )}
      {load === 'ready' && data.length === 0 && (
        <p className="px-3 py-4 text-sm text-quiet">{archived ? text.sidebar.emptyArchive : text.sidebar.empty}</p>
      )}
      <Virtualizer scrollRef={scroller} data={rows} startMargin={archived ? 40 : 0} bufferSize={400}>
        {(row: Row) =>
          row.type === 'heading' ? (
            <h2 key={JSON.stringify(row.group)} className="px-3 pt-5 pb-1 text-xs font-semibold text-quiet">
              {headingOf(row.group)}
            </h2>
          ) : (
            <ConversationRow
              key={row.conversation.id}
              conversation={row.conversation}
              shown={row.conversation.id === shown}
              onLeave={onLeave}
            />
          )
        }
      </Virtualizer>
    </nav>
  );
}

function headingOf(group: Group): string {
  const { groups } = text.sidebar;
  return typeof group === 'string' ? groups[group] : groups.month_of(new Date(group.year, group.month));
}

/** Arrows lead from one conversation to the next. */
function moveBetweenRows(event: KeyboardEvent<HTMLElement>): void {
  if (event.key !== 'ArrowDown' && event.key !== 'ArrowUp') return;
  const links = [...event.currentTarget.querySelectorAll<HTMLAnchorElement>('a[href]')];
  const at = links.indexOf(document.activeElement as HTMLAnchorElement);
  if (at === -1) return;
  event.preventDefault();
  links[at + (event.key === 'ArrowDown' ? 1 : -1)]?.focus();
}

const MINUTE_MS = 60_000;

/** A time of today, which changes at midnight, so that "Today" does too. */
function useToday(): number {
  const [today, setToday] = useState(() => Date.now());
  useEffect(() => {
    const timer = setInterval(() => {
      setToday((before) => (new Date(before).getDate() === new Date().getDate() ? before : Date.now()));
    }, MINUTE_MS);
    return () => clearInterval(timer);
  }, []);
  return today;
}
