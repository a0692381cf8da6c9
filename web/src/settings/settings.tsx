/** Settings: looks, keyboard, who one is; and for owners keys, people and figures. Loaded when it is opened. */

import { Cpu, Keyboard, KeyRound, Palette, UserRound, Users } from 'lucide-react';
import { type ReactNode, useEffect, useState } from 'react';
import { type Theme, theme } from '../state/preferences.ts';
import { ownerKey, session } from '../state/session.ts';
import { useStore } from '../state/store.ts';
import { text } from '../text.ts';
import { cx } from '../ui/controls.tsx';
import { Dialog } from '../ui/dialog.tsx';
import { Account } from './account.tsx';
import { Keys } from './keys.tsx';
import { People } from './people.tsx';
import { Unlock } from './unlock.tsx';
import { UsageFigures } from './usage.tsx';

const TABS = [
  ['appearance', text.settings.appearance, Palette],
  ['keyboard', text.settings.keyboard, Keyboard],
  ['account', text.settings.account, UserRound],
  ['usage', text.settings.usage, Cpu],
  ['keys', text.settings.keys, KeyRound],
  ['people', text.settings.people, Users],
] as const;
type Tab = (typeof TABS)[number][0];

export default function Settings({ page, onClose }: { page: 'settings' | 'keyboard'; onClose: () => void }) {
  const [tab, setTab] = useState<Tab>(page === 'keyboard' ? 'keyboard' : 'appearance');
  useEffect(() => setTab(page === 'keyboard' ? 'keyboard' : 'appearance'), [page]);
  return (
    <Dialog title={text.settings.title} onClose={onClose} wide>
      <div className="gap-6 sm:grid sm:min-h-96 sm:grid-cols-[11.5rem_1fr]">
        <div
          role="tablist"
          aria-label={text.settings.title}
          onKeyDown={moveBetweenTabs}
          className="-mx-2 mb-4 flex gap-1 overflow-x-auto px-2 pb-1 sm:mb-0 sm:flex-col sm:overflow-visible"
        >
          {TABS.map(([name, label, Icon]) => (
            <button
              key={name}
              type="button"
              role="tab"
              id={`tab-${name}`}
              aria-selected={tab === name}
              aria-controls="settings-panel"
              tabIndex={tab === name ? 0 : -1}
              onClick={() => setTab(name)}
              className={cx(
                'flex min-h-9 shrink-0 items-center gap-2.5 rounded-xl px-3 text-start text-sm [&_svg]:size-4',
                tab === name
                  ? 'bg-accent-soft font-medium text-accent-strong'
                  : 'text-quiet hover:bg-hover hover:text-ink',
              )}
            >
              <Icon />
              {label}
            </button>
          ))}
        </div>
        <div role="tabpanel" id="settings-panel" aria-labelledby={`tab-${tab}`} className="min-w-0">
          {tab === 'appearance' && <Appearance />}
          {tab === 'keyboard' && <KeyboardHelp />}
          {tab === 'account' && <Account />}
          {tab === 'usage' && <UsageFigures />}
          {tab === 'keys' && <ForOwners>{(key) => <Keys ownerKey={key} />}</ForOwners>}
          {tab === 'people' && <ForOwners>{(key) => <People ownerKey={key} />}</ForOwners>}
        </div>
      </div>
    </Dialog>
  );
}

function moveBetweenTabs(event: React.KeyboardEvent<HTMLElement>): void {
  const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
  if (step === undefined) return;
  const tabs = [...event.currentTarget.querySelectorAll<HTMLElement>('[role="tab"]')];
  const at = tabs.indexOf(document.activeElement as HTMLElement);
  const next = tabs[(at + step + tabs.length) % tabs.length];
  event.preventDefault();
  next?.focus();
  next?.click();
}

/** In local mode the owner's key is asked for; who signed in as an owner has it. */
function ForOwners({ children }: { children: (key: string | null) => ReactNode }) {
  const state = useStore(session);
  const key = useStore(ownerKey);
  const admin = state.state === 'known' && state.scopes.includes('admin');
  return admin || key !== null ? children(admin ? null : key) : <Unlock />;
}

function Appearance() {
  const chosen = useStore(theme);
  return (
    <fieldset>
      <legend className="mb-3 font-medium">{text.settings.theme}</legend>
      <div className="grid grid-cols-3 gap-3">
        {(['system', 'light', 'dark'] as Theme[]).map((name) => (
          <label
            key={name}
            className={cx(
              'cursor-pointer rounded-2xl border p-2 text-center text-sm has-focus-visible:outline-2 has-focus-visible:outline-offset-2 has-focus-visible:outline-accent',
              chosen === name ? 'border-accent bg-accent-soft font-medium' : 'border-line hover:bg-hover',
            )}
          >
            <input
              type="radio"
              name="theme"
              className="sr-only"
              checked={chosen === name}
              onChange={() => theme.set(name)}
            />
            <span
              aria-hidden="true"
              data-theme={name === 'system' ? undefined : name}
              className="mb-2 flex h-16 overflow-hidden rounded-xl border border-line"
            >
              <span className="w-1/3 bg-sunken" />
              <span className="flex flex-1 flex-col justify-end gap-1.5 bg-paper p-2">
                <span className="ms-auto h-2 w-1/2 rounded-full bg-bubble" />
                <span className="h-2 w-3/4 rounded-full bg-line" />
                <span className="h-2 w-1/3 rounded-full bg-accent" />
              </span>
            </span>
            {text.settings.themes[name]}
          </label>
        ))}
      </div>
    </fieldset>
  );
}

const APPLE = /mac|iphone|ipad/i.test(navigator.platform);

function KeyboardHelp() {
  return (
    <dl className="text-sm">
      {text.settings.shortcuts.map(([what, combination]) => (
        <div key={what} className="flex items-center justify-between gap-4 border-b border-line py-2.5 last:border-0">
          <dt>{what}</dt>
          <dd className="flex gap-1">
            {combination.split('+').map((key) => (
              <kbd
                key={key}
                className="min-w-7 rounded-lg border border-line bg-raised px-1.5 py-0.5 text-center font-sans text-xs text-quiet shadow-[0_1px_0_var(--line)]"
              >
                {keyName(key)}
              </kbd>
            ))}
          </dd>
        </div>
      ))}
    </dl>
  );
}

function keyName(key: string): string {
  if (key === 'mod') return APPLE ? '⌘' : 'Ctrl';
  if (key === 'alt') return APPLE ? '⌥' : 'Alt';
  if (key === 'shift') return '⇧';
  return key;
}
