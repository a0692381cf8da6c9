import { type FormEvent, useState } from 'react';
import { createKey, type Key, listKeys, type NewKey, revokeKey, type Scope } from '../api/owner.ts';
import { session } from '../state/session.ts';
import { useStore } from '../state/store.ts';
import { say } from '../state/toasts.ts';
import { text } from '../text.ts';
import { Button, Choice, cx, Field } from '../ui/controls.tsx';
import { Secret } from './secret.tsx';
import { useLoaded } from './use-loaded.tsx';

const SCOPES: Scope[] = ['read', 'write', 'admin'];
const EXPIRIES = ['never', '30', '90', '365'] as const;
const DAY_S = 24 * 60 * 60;

export function Keys({ ownerKey }: { ownerKey: string | null }) {
  const { data, status, reload } = useLoaded(() => listKeys(ownerKey));
  const [made, setMade] = useState<string | null>(null);
  const [asking, setAsking] = useState<Key | null>(null);

  const revoke = (key: Key): void => {
    setAsking(null);
    revokeKey(ownerKey, key.id).then(reload, (error: Error) => say({ message: error.message, tone: 'error' }));
  };
  return (
    <div className="space-y-6">
      {made === null ? (
        <KeyForm
          onMake={(wanted) => {
            createKey(ownerKey, wanted).then(
              ({ secret }) => {
                setMade(secret);
                reload();
              },
              (error: Error) => say({ message: error.message, tone: 'error' }),
            );
          }}
        />
      ) : (
        <Secret note={text.settings.key.made} value={made} onDone={() => setMade(null)} />
      )}
      <section>
        {status}
        {data?.length === 0 && <p className="text-sm text-quiet">{text.settings.key.none}</p>}
        <ul className="divide-y divide-line">
          {data?.map((key) => (
            <li key={key.id} className="flex flex-wrap items-center gap-x-3 gap-y-1 py-3">
              <div className="min-w-0 flex-1">
                <p className={cx('truncate text-sm font-medium', isOver(key) && 'text-quiet line-through')}>
                  {key.name === null ? key.user : `${key.user}, ${key.name}`}{' '}
                  {key.service && (
                    <span className="text-xs font-normal text-quiet">({text.settings.key.isService})</span>
                  )}
                </p>
                <p className="text-xs text-quiet">{factsOf(key)}</p>
              </div>
              {!isOver(key) && asking?.id !== key.id && (
                <Button kind="quiet" onClick={() => setAsking(key)}>
                  {text.settings.key.revoke}
                </Button>
              )}
              {asking?.id === key.id && (
                <div
                  role="alert"
                  className="flex w-full flex-wrap items-center gap-2 rounded-2xl bg-danger-soft p-3 text-sm"
                >
                  <span className="min-w-40 flex-1">{text.settings.key.revokeSure(key.user)}</span>
                  <Button kind="danger" onClick={() => revoke(key)}>
                    {text.settings.key.revoke}
                  </Button>
                  <Button kind="quiet" onClick={() => setAsking(null)}>
                    {text.cancel}
                  </Button>
                </div>
              )}
            </li>
          ))}
        </ul>
      </section>
    </div>
  );
}

function isOver({ revokedAt, expiresAt }: Key): boolean {
  return revokedAt !== null || (expiresAt !== null && expiresAt * 1000 < Date.now());
}

function factsOf({ hint, scopes, createdAt, expiresAt, revokedAt }: Key): string {
  const { key } = text.settings;
  const facts = [
    `plk_…${hint}`,
    scopes.map((scope) => key.scopeNames[scope]).join(', '),
    key.createdOn(new Date(createdAt * 1000)),
  ];
  if (revokedAt !== null) facts.push(key.revoked);
  else if (expiresAt !== null) {
    facts.push(expiresAt * 1000 < Date.now() ? key.expired : key.expiresOn(new Date(expiresAt * 1000)));
  }
  return facts.join(' · ');
}

function KeyForm({ onMake }: { onMake: (wanted: NewKey) => void }) {
  const state = useStore(session);
  const [user, setUser] = useState(state.state === 'known' ? state.user : '');
  const [name, setName] = useState('');
  const [scopes, setScopes] = useState<Scope[]>(['read', 'write']);
  const [expiry, setExpiry] = useState<(typeof EXPIRIES)[number]>('never');
  const [service, setService] = useState(false);
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    const expiresAt = expiry === 'never' ? null : Math.floor(Date.now() / 1000) + Number(expiry) * DAY_S;
    onMake({ user: user.trim(), name: name.trim(), scopes, service, expiresAt });
  };
  return (
    <form onSubmit={submit} className="space-y-4 rounded-2xl border border-line bg-raised p-4">
      <h3 className="font-medium">{text.settings.key.create}</h3>
      <div className="grid gap-4 sm:grid-cols-2">
        <Field
          label={text.settings.key.user}
          value={user}
          required
          maxLength={255}
          onChange={(event) => setUser(event.target.value)}
        />
        <Field
          label={text.settings.key.name}
          value={name}
          maxLength={255}
          onChange={(event) => setName(event.target.value)}
        />
        <Choice
          label={text.settings.key.expires}
          value={expiry}
          onChange={(event) => setExpiry(event.target.value as typeof expiry)}
        >
          {EXPIRIES.map((days) => (
            <option key={days} value={days}>
              {text.settings.key.expiry[days]}
            </option>
          ))}
        </Choice>
      </div>
      <fieldset className="flex flex-wrap items-center gap-x-5 gap-y-2 text-sm">
        <legend className="sr-only">{text.settings.key.scopes}</legend>
        <span aria-hidden="true" className="font-medium">
          {text.settings.key.scopes}
        </span>
        {SCOPES.map((scope) => (
          <label key={scope} className="flex min-h-6 items-center gap-2">
            <input
              type="checkbox"
              className="size-4"
              checked={scopes.includes(scope)}
              onChange={(event) =>
                setScopes(SCOPES.filter((other) => (other === scope ? event.target.checked : scopes.includes(other))))
              }
            />
            {text.settings.key.scopeNames[scope]}
          </label>
        ))}
      </fieldset>
      <label className="flex min-h-6 items-center gap-2 text-sm">
        <input
          type="checkbox"
          className="size-4"
          checked={service}
          onChange={(event) => setService(event.target.checked)}
        />
        {text.settings.key.service}
      </label>
      <Button kind="primary" type="submit" disabled={user.trim() === '' || scopes.length === 0}>
        {text.settings.key.make}
      </Button>
    </form>
  );
}
