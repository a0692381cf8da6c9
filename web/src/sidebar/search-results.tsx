import { type ReactNode, useEffect, useState } from 'react';
import { type Hit, searchConversations } from '../api/conversations.ts';
import { changed, titleOf } from '../state/conversations.ts';
import { addressOf, follow } from '../state/route.ts';
import { text } from '../text.ts';
import { Spinner } from '../ui/controls.tsx';

/** Somebody is still writing. */
const WAIT_MS = 180;
/** A change is in the index a moment later. */
const AGAIN_MS = 600;

type Found = { words: string; hits: Hit[] | null; problem: string | null };

/** Conversations in which the words were said, with where. */
export function SearchResults({ words, onLeave }: { words: string; onLeave: () => void }) {
  const [found, setFound] = useState<Found>({ words: '', hits: null, problem: null });
  const [round, setRound] = useState(0);
  // What is said meanwhile, here or elsewhere, is looked through as well.
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const again = (): void => {
      clearTimeout(timer);
      timer = setTimeout(() => setRound((now) => now + 1), AGAIN_MS);
    };
    changed.addEventListener('change', again);
    return () => {
      clearTimeout(timer);
      changed.removeEventListener('change', again);
    };
  }, []);
  useEffect(() => {
    const control = new AbortController();
    const timer = setTimeout(() => {
      searchConversations(words, control.signal).then(
        (hits) => setFound({ words, hits, problem: null }),
        (error: Error) => {
          if (!control.signal.aborted) setFound({ words, hits: null, problem: error.message });
        },
      );
    }, WAIT_MS);
    return () => {
      clearTimeout(timer);
      control.abort();
    };
  }, [words, round]);

  const { hits, problem } = found;
  const current = found.words === words;
  return (
    <section aria-label={text.sidebar.search} className="scroll-quiet min-h-0 flex-1 overflow-y-auto px-3 py-2">
      <p role="status" className="px-3 py-1.5 text-xs text-quiet">
        {!current && <Spinner />}
        {current && problem !== null && problem}
        {current &&
          hits !== null &&
          (hits.length === 0 ? text.sidebar.foundNone(words) : text.sidebar.found(hits.length))}
      </p>
      <ul>
        {hits?.map((hit) => (
          <li key={`${hit.conversation.id} ${hit.item}`}>
            <a
              href={addressOf(hit.conversation.id)}
              onClick={(event) => follow(event) && onLeave()}
              className="block rounded-xl px-3 py-2 text-sm hover:bg-hover focus-visible:outline-offset-[-2px]"
            >
              <span className="block truncate font-medium">{titleOf(hit.conversation)}</span>
              {hit.snippet !== '' && <span className="line-clamp-2 text-[0.8125rem] text-quiet">{marked(hit)}</span>}
            </a>
          </li>
        ))}
      </ul>
    </section>
  );
}

function marked({ snippet, highlights }: Hit): ReactNode[] {
  const parts: ReactNode[] = [];
  let from = 0;
  for (const [start, end] of highlights) {
    parts.push(
      snippet.slice(from, start),
      <mark key={start} className="rounded bg-accent-soft px-0.5 font-medium text-accent-strong">
        {snippet.slice(start, end)}
      </mark>,
    );
    from = end;
  }
  return [...parts, snippet.slice(from)];
}
