/** The small controls everything is made of. */

import type { ButtonHTMLAttributes, InputHTMLAttributes, ReactNode, Ref, SelectHTMLAttributes } from 'react';

export function cx(...names: (string | false | null | undefined)[]): string {
  return names.filter(Boolean).join(' ');
}

type ButtonProps = ButtonHTMLAttributes<HTMLButtonElement> & {
  kind?: 'primary' | 'plain' | 'quiet' | 'danger';
  ref?: Ref<HTMLButtonElement>;
};

const KINDS = {
  primary: 'bg-accent text-on-accent hover:bg-accent-strong border-transparent',
  plain: 'bg-raised text-ink border-line hover:bg-hover',
  quiet: 'border-transparent text-quiet hover:bg-hover hover:text-ink',
  danger: 'border-transparent bg-danger text-paper hover:opacity-90',
};

export function Button({ kind = 'plain', className, type = 'button', ...props }: ButtonProps) {
  return (
    <button
      type={type}
      className={cx(
        'inline-flex min-h-9 items-center justify-center gap-1.5 rounded-full border px-3.5 text-sm font-medium transition-colors disabled:opacity-50',
        KINDS[kind],
        className,
      )}
      {...props}
    />
  );
}

type IconButtonProps = Omit<ButtonHTMLAttributes<HTMLButtonElement>, 'aria-label'> & {
  /** What it does, for those who cannot see it and for those who wait over it. */
  label: string;
  small?: boolean;
  ref?: Ref<HTMLButtonElement>;
};

export function IconButton({ label, small = false, className, type = 'button', children, ...props }: IconButtonProps) {
  return (
    <button
      type={type}
      aria-label={label}
      title={label}
      className={cx(
        'inline-grid shrink-0 place-items-center rounded-lg text-quiet transition-colors hover:bg-hover hover:text-ink disabled:opacity-40 disabled:hover:bg-transparent',
        small ? 'size-7 [&_svg]:size-4' : 'size-9 [&_svg]:size-[1.15rem]',
        className,
      )}
      {...props}
    >
      {children}
    </button>
  );
}

const FIELD =
  'w-full min-h-10 rounded-xl border border-line-strong/70 bg-raised px-3 text-sm text-ink focus-visible:outline-offset-0';

export function Field({
  label,
  hint,
  className,
  ...props
}: InputHTMLAttributes<HTMLInputElement> & { label: string; hint?: string; ref?: Ref<HTMLInputElement> }) {
  return (
    <label className={cx('block cursor-auto', className)}>
      <span className="mb-1 block text-sm font-medium">{label}</span>
      <input className={FIELD} {...props} />
      {hint !== undefined && <span className="mt-1 block text-[0.8125rem] text-quiet">{hint}</span>}
    </label>
  );
}

export function Choice({ label, children, ...props }: SelectHTMLAttributes<HTMLSelectElement> & { label: string }) {
  return (
    <label className="block cursor-auto">
      <span className="mb-1 block text-sm font-medium">{label}</span>
      <select className={FIELD} {...props}>
        {children}
      </select>
    </label>
  );
}

/** A circle that turns; it appears late, so that what is quick does not flash. */
export function Spinner({ className }: { className?: string }) {
  return (
    <span aria-hidden="true" className={cx('inline-block animate-[late_0.5s_ease-out]', className)}>
      <span className="block size-4 animate-[spin_0.9s_linear_infinite] rounded-full border-2 border-line border-t-accent" />
    </span>
  );
}

export function Notice({ tone, children }: { tone: 'danger' | 'warn' | 'plain'; children: ReactNode }) {
  const tones = {
    danger: 'bg-danger-soft text-danger',
    warn: 'bg-warn-soft text-warn',
    plain: 'bg-sunken text-quiet',
  };
  return <div className={cx('rounded-2xl px-4 py-3 text-sm', tones[tone])}>{children}</div>;
}

/** For those who hear the page. */
export function OnlyHeard({ children }: { children: ReactNode }) {
  return <span className="sr-only">{children}</span>;
}
