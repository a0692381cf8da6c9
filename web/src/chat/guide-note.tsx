import { CircleHelp, Info } from 'lucide-react';
import { useState } from 'react';
import { session } from '../state/session.ts';
import { useStore } from '../state/store.ts';
import { text } from '../text.ts';
import { Dialog } from '../ui/dialog.tsx';

const SETTINGS = ['OPENAI_API_KEY=sk-... npm start', 'ANTHROPIC_API_KEY=sk-ant-... npm start', 'ollama pull llama3.2'];

/** The line under the composer: what answers, and how a language model is connected where none is. */
export function GuideNote() {
  const state = useStore(session);
  const [open, setOpen] = useState(false);
  if (state.state !== 'known') return null;
  const { guide, default: usual, problem, not_found: missing } = state.models;
  if (!guide && usual !== null) return <p className="mt-2 text-center text-xs text-quiet">{text.composer.note}</p>;
  return (
    <>
      <p className="mt-2 flex flex-wrap items-center justify-center gap-x-2 text-center text-xs text-quiet">
        <span className="inline-flex items-center gap-1.5">
          <Info className="size-3.5" aria-hidden="true" />
          {guide ? text.guide.short : (problem ?? text.guide.none)}
        </span>
        <button
          type="button"
          onClick={() => setOpen(true)}
          className="min-h-6 font-medium text-accent underline underline-offset-2 hover:text-accent-strong"
        >
          {text.guide.more}
        </button>
      </p>
      {open && (
        <Dialog title={guide ? text.guide.title : text.guide.more} onClose={() => setOpen(false)}>
          {!guide && problem !== null && <p className="mb-3">{problem}</p>}
          <p className="mb-3 text-quiet">{text.guide.body}</p>
          <pre
            tabIndex={0}
            className="mb-3 overflow-x-auto rounded-2xl border border-line bg-sunken p-4 font-mono text-sm leading-relaxed"
          >
            {SETTINGS.join('\n')}
          </pre>
          <p className="text-quiet">{text.guide.local}</p>
          {missing.length > 0 && (
            <p className="mt-3 flex gap-2 text-sm text-quiet">
              <CircleHelp className="mt-0.5 size-4 shrink-0" aria-hidden="true" />
              {text.guide.lookedFor(missing.map(({ name, address }) => `${name} (${address})`).join(', '))}
            </p>
          )}
        </Dialog>
      )}
    </>
  );
}
