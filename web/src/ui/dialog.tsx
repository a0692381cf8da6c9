/** A window over the page: the browser's own, which keeps the focus within and closes with Escape. */

import { X } from 'lucide-react';
import { type ReactNode, useEffect, useId, useRef } from 'react';
import { text } from '../text.ts';
import { cx, IconButton } from './controls.tsx';

interface DialogProps {
  title: string;
  onClose: () => void;
  children: ReactNode;
  wide?: boolean;
}

export function Dialog({ title, onClose, children, wide = false }: DialogProps) {
  const box = useRef<HTMLDialogElement>(null);
  const id = useId();

  useEffect(() => {
    const before = document.activeElement;
    box.current?.showModal();
    return () => {
      if (before instanceof HTMLElement) before.focus();
    };
  }, []);

  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: a dialog closes with Escape by itself; the click is one beside it
    <dialog
      ref={box}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onClick={(event) => {
        if (event.target === box.current) onClose();
      }}
      className={cx(
        'max-h-[min(46rem,100dvh-2rem)] w-[calc(100%-2rem)] animate-[rise_0.16s_ease-out] overflow-hidden rounded-3xl border border-line bg-paper p-0 shadow-float',
        wide ? 'max-w-3xl' : 'max-w-lg',
      )}
    >
      <div className="flex max-h-[inherit] flex-col">
        <header className="flex items-center justify-between gap-4 px-6 pt-5 pb-3">
          <h2 id={id} className="font-serif text-2xl">
            {title}
          </h2>
          <IconButton label={text.close} onClick={onClose}>
            <X />
          </IconButton>
        </header>
        <div className="min-h-0 flex-1 overflow-y-auto px-6 pb-6">{children}</div>
      </div>
    </dialog>
  );
}
