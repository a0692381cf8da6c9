/** A button that opens a list of things to do or to choose: arrows, letters, Home, End and Escape as everywhere. */

import { type KeyboardEvent, type ReactNode, useEffect, useId, useLayoutEffect, useRef, useState } from 'react';
import { createPortal } from 'react-dom';
import { cx } from './controls.tsx';

interface MenuProps {
  /** Of the button. */
  label: string;
  button: ReactNode;
  buttonClass?: string;
  /** Which edge of the button the list stands on. */
  side?: 'top' | 'bottom';
  align?: 'start' | 'end';
  /** Made when it is opened. */
  children: (close: () => void) => ReactNode;
  width?: string;
}

const GAP = 6;
const EDGE = 8;

export function Menu({ label, button, buttonClass, side = 'bottom', align = 'start', children, width }: MenuProps) {
  const [open, setOpen] = useState(false);
  const id = useId();
  const anchor = useRef<HTMLButtonElement>(null);
  const list = useRef<HTMLDivElement>(null);

  const close = (giveBack = true): void => {
    setOpen(false);
    if (giveBack) anchor.current?.focus();
  };

  useLayoutEffect(() => {
    const box = list.current;
    const from = anchor.current?.getBoundingClientRect();
    if (!open || box === null || from === undefined) return;
    const { width: w, height: h } = box.getBoundingClientRect();
    const left = align === 'start' ? from.left : from.right - w;
    const below = from.bottom + GAP;
    const above = from.top - GAP - h;
    const top = side === 'top' ? (above < EDGE ? below : above) : below + h > innerHeight - EDGE ? above : below;
    box.style.left = `${Math.max(EDGE, Math.min(left, innerWidth - w - EDGE))}px`;
    box.style.top = `${Math.max(EDGE, Math.min(top, innerHeight - h - EDGE))}px`;
    const first =
      box.querySelector<HTMLElement>('input, [aria-checked="true"]') ??
      box.querySelector<HTMLElement>('[role^="menuitem"]');
    first?.focus();
  }, [open, side, align]);

  useEffect(() => {
    if (!open) return;
    const leave = (event: Event): void => {
      const at = event.target as Node;
      if (!list.current?.contains(at) && !anchor.current?.contains(at)) setOpen(false);
    };
    const shut = (): void => setOpen(false);
    document.addEventListener('pointerdown', leave);
    document.addEventListener('focusin', leave);
    window.addEventListener('resize', shut);
    return () => {
      document.removeEventListener('pointerdown', leave);
      document.removeEventListener('focusin', leave);
      window.removeEventListener('resize', shut);
    };
  }, [open]);

  const onKeyDown = (event: KeyboardEvent): void => {
    const items = [...(list.current?.querySelectorAll<HTMLElement>('[role^="menuitem"]') ?? [])];
    const at = items.indexOf(document.activeElement as HTMLElement);
    const writing = document.activeElement instanceof HTMLInputElement;
    const moves: Record<string, number> = { ArrowDown: at + 1, ArrowUp: at <= 0 ? items.length - 1 : at - 1 };
    if (!writing) Object.assign(moves, { Home: 0, End: items.length - 1 });
    const to = moves[event.key];
    if (event.key === 'Escape' || event.key === 'Tab') {
      event.preventDefault();
      event.stopPropagation();
      close();
    } else if (to !== undefined) {
      event.preventDefault();
      items[to % items.length]?.focus();
    } else if (writing && event.key === 'Enter') {
      event.preventDefault();
      items[0]?.click();
    } else if (!writing && event.key.length === 1 && !event.ctrlKey && !event.metaKey && event.key !== ' ') {
      const letter = event.key.toLowerCase();
      [...items.slice(at + 1), ...items]
        .find((item) => item.textContent?.trim().toLowerCase().startsWith(letter))
        ?.focus();
    }
  };

  return (
    <>
      <button
        ref={anchor}
        type="button"
        aria-label={label}
        title={label}
        aria-haspopup="menu"
        aria-expanded={open}
        aria-controls={open ? id : undefined}
        className={buttonClass}
        onClick={() => setOpen(!open)}
        onKeyDown={(event) => {
          if (event.key !== 'ArrowDown' && event.key !== 'ArrowUp') return;
          event.preventDefault();
          setOpen(true);
        }}
      >
        {button}
      </button>
      {open &&
        createPortal(
          <div
            ref={list}
            id={id}
            role="menu"
            aria-label={label}
            tabIndex={-1}
            onKeyDown={onKeyDown}
            className={cx(
              'fixed z-50 max-h-[min(26rem,70dvh)] animate-[rise_0.12s_ease-out] overflow-y-auto rounded-2xl border border-line bg-raised p-1.5 shadow-float outline-none',
              width ?? 'min-w-44',
            )}
          >
            {children(close)}
          </div>,
          // Within the window or the part of the page it belongs to: what is outside of an open window is out of reach.
          anchor.current?.closest('dialog, aside, main') ?? document.body,
        )}
    </>
  );
}

export function MenuItem(props: {
  onSelect: () => void;
  icon?: ReactNode;
  danger?: boolean;
  /** Makes it one of several to choose from. */
  checked?: boolean;
  detail?: string;
  children: ReactNode;
}) {
  const { onSelect, icon, danger = false, checked, detail, children } = props;
  return (
    // biome-ignore lint/a11y/useAriaPropsSupportedByRole: it is checked where its role is that of a choice
    <button
      type="button"
      role={checked === undefined ? 'menuitem' : 'menuitemradio'}
      aria-checked={checked}
      tabIndex={-1}
      onClick={onSelect}
      className={cx(
        'flex w-full items-center gap-2.5 rounded-xl px-2.5 py-2 text-start text-sm hover:bg-hover focus-visible:bg-hover focus-visible:outline-offset-[-2px] [&_svg]:size-4 [&_svg]:shrink-0',
        danger ? 'text-danger' : 'text-ink',
        checked === true && 'bg-accent-soft',
      )}
    >
      {icon}
      <span className="min-w-0 flex-1">
        <span className="block truncate">{children}</span>
        {detail !== undefined && detail !== '' && <span className="block text-xs text-quiet">{detail}</span>}
      </span>
    </button>
  );
}
