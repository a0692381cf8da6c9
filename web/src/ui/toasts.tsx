import { X } from 'lucide-react';
import { useStore } from '../state/store.ts';
import { dismiss, toasts } from '../state/toasts.ts';
import { text } from '../text.ts';
import { cx, IconButton } from './controls.tsx';

/** Notices at the foot of the page; they are read out, and what can be taken back stays in reach of the keyboard. */
export function Toasts() {
  const shown = useStore(toasts);
  return (
    <div
      role="status"
      aria-live="polite"
      className="pointer-events-none fixed inset-x-0 bottom-4 z-50 flex flex-col items-center gap-2 px-4 pb-[env(safe-area-inset-bottom)]"
    >
      {shown.map(({ id, message, tone, action }) => (
        <div
          key={id}
          className={cx(
            'pointer-events-auto flex max-w-full animate-[rise_0.18s_ease-out] items-center gap-2 rounded-full border py-1 ps-4 pe-1 text-sm shadow-float',
            tone === 'error' ? 'border-danger/40 bg-danger-soft text-danger' : 'border-line bg-raised text-ink',
          )}
        >
          <span className="min-w-0 truncate">{message}</span>
          {action !== null && (
            <button
              type="button"
              className="min-h-8 rounded-full px-3 font-semibold text-accent hover:bg-hover"
              onClick={() => {
                action.do();
                dismiss(id);
              }}
            >
              {action.label}
            </button>
          )}
          <IconButton small label={text.close} className="rounded-full" onClick={() => dismiss(id)}>
            <X />
          </IconButton>
        </div>
      ))}
    </div>
  );
}
