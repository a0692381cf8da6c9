import { memo, useEffect, useRef, useState } from 'react';

type Render = (formula: string, into: HTMLElement, display: boolean) => void;
let loading: Promise<Render> | null = null;

/** What formulas are drawn with comes with the first of them, not with the page. */
function loadRenderer(): Promise<Render> {
  loading ??= import('./katex.ts').then(({ render }) => render);
  loading.catch(() => {
    loading = null;
  });
  return loading;
}

interface FormulaProps {
  formula: string;
  display: boolean;
  /** It may not be whole yet. */
  live: boolean;
}

/** A formula; its source until it can be drawn, and where it cannot be read. */
export const Formula = memo(function Formula({ formula, display, live }: FormulaProps) {
  const box = useRef<HTMLSpanElement>(null);
  const [drawn, setDrawn] = useState(false);
  useEffect(() => {
    const into = box.current;
    if (into === null || live) return;
    let here = true;
    loadRenderer().then(
      (render) => {
        if (!here) return;
        render(formula, into, display);
        setDrawn(true);
      },
      () => {},
    );
    return () => {
      here = false;
    };
  }, [formula, display, live]);
  return (
    <span className={display ? 'formula block' : undefined}>
      <span ref={box} />
      {!drawn && <code>{formula}</code>}
    </span>
  );
});
