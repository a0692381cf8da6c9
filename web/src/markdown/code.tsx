import { Check, Copy } from 'lucide-react';
import { memo, type ReactNode, useEffect, useMemo, useRef, useState } from 'react';
import { text } from '../text.ts';
import { useCopy } from '../ui/use-copy.ts';

type Highlight = (code: string, language: string) => ReactNode;

let loaded: Highlight | null = null;
let loading: Promise<Highlight | null> | null = null;

/** The highlighter comes with the first code that is shown, not with the page. */
function loadHighlighter(): Promise<Highlight | null> {
  loading ??= import('./highlight.tsx').then(
    ({ highlight }) => {
      loaded = highlight;
      return highlight;
    },
    () => {
      loading = null;
      return null;
    },
  );
  return loading;
}

/** Longer code is shown plain: to colour it would take longer than to read it. */
const MAX_COLOURED = 40_000;
/** Code that is being written is coloured anew so often. */
const LIVE_MS = 250;

interface CodeProps {
  language: string;
  code: string;
  /** More lines may come. */
  live: boolean;
}

export const CodeBlock = memo(function CodeBlock({ language, code, live }: CodeProps) {
  const [copied, copy] = useCopy();
  return (
    <figure className="my-4 overflow-hidden rounded-2xl border border-line bg-sunken">
      <figcaption className="flex items-center justify-between gap-3 border-b border-line py-0.5 ps-4 pe-1 text-xs text-quiet">
        <span className="font-mono">{language || text.chat.code}</span>
        <button
          type="button"
          onClick={() => copy(code)}
          aria-label={text.chat.copyCode}
          className="inline-flex min-h-8 items-center gap-1.5 rounded-lg px-2.5 hover:bg-hover hover:text-ink [&_svg]:size-3.5"
        >
          {copied ? <Check /> : <Copy />}
          {copied ? text.copied : text.copy}
        </button>
      </figcaption>
      <pre
        tabIndex={0}
        className="overflow-x-auto p-4 font-mono text-[0.84rem] leading-[1.6] focus-visible:outline-offset-[-2px]"
      >
        <code>
          <Coloured language={language} code={code} live={live} />
        </code>
      </pre>
    </figure>
  );
});

/** What was coloured last, and behind it what has come since. */
function Coloured({ language, code, live }: CodeProps): ReactNode {
  const highlight = useHighlighter(language !== '' && code.length <= MAX_COLOURED);
  const steady = useThrottled(code, live ? LIVE_MS : 0);
  const ready = code.startsWith(steady) ? steady : '';
  const coloured = useMemo(() => highlight?.(ready, language), [highlight, ready, language]);
  if (coloured === undefined) return code;
  return (
    <>
      {coloured}
      {code.slice(ready.length)}
    </>
  );
}

function useHighlighter(wanted: boolean): Highlight | null {
  const [highlight, set] = useState<Highlight | null>(() => loaded);
  useEffect(() => {
    if (!wanted || highlight !== null) return;
    let here = true;
    void loadHighlighter().then((it) => here && set(() => it));
    return () => {
      here = false;
    };
  }, [wanted, highlight]);
  return wanted ? highlight : null;
}

/** The value, changing no more often than every `ms`; 0: at once. */
function useThrottled(value: string, ms: number): string {
  const [kept, keep] = useState(value);
  const latest = useRef(value);
  latest.current = value;
  useEffect(() => {
    if (ms === 0) return;
    const timer = setInterval(() => keep(latest.current), ms);
    return () => clearInterval(timer);
  }, [ms]);
  return ms === 0 ? value : kept;
}
