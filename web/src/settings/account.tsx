import { type FormEvent, useState } from 'react';
import { listUsers } from '../api/owner.ts';
import { beUser, session, signOut } from '../state/session.ts';
import { useStore } from '../state/store.ts';
import { text } from '../text.ts';
import { Button, Field } from '../ui/controls.tsx';
import { useLoaded } from './use-loaded.tsx';

/** Who one is here; in local mode with a switch between the machine's users, else with a way out. */
export function Account() {
  const state = useStore(session);
  if (state.state !== 'known') return null;
  const { user, local, version } = state;
  return (
    <div className="space-y-6">
      <p className="font-medium">{local ? text.settings.localAs(user) : text.settings.signedInAs(user)}</p>
      {local ? <UserSwitch user={user} /> : <Button onClick={() => void signOut()}>{text.settings.signOut}</Button>}
      <p className="border-t border-line pt-4 text-sm text-quiet">
        {text.settings.version(version)}
        {' · '}
        <a className="text-accent underline underline-offset-2" href="/docs" target="_blank" rel="noopener">
          {text.settings.docs}
        </a>
      </p>
    </div>
  );
}

function UserSwitch({ user }: { user: string }) {
  const { data, status } = useLoaded(() => listUsers(null));
  const [name, setName] = useState('');
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    if (name.trim() !== '') beUser(name.trim());
  };
  return (
    <section>
      <h3 className="mb-1 text-sm font-medium">{text.settings.users}</h3>
      <p className="mb-3 text-sm text-quiet">{text.settings.usersHint}</p>
      {status}
      <ul className="mb-4 space-y-1">
        {data?.map(({ id }) => (
          <li key={id} className="flex min-h-10 items-center justify-between gap-3 rounded-xl px-3 hover:bg-hover">
            <span className="truncate text-sm">{id}</span>
            {id === user ? (
              <span className="text-xs text-quiet">{text.settings.current}</span>
            ) : (
              <Button kind="quiet" onClick={() => beUser(id)}>
                {text.settings.useUser}
              </Button>
            )}
          </li>
        ))}
      </ul>
      <form onSubmit={submit} className="flex items-end gap-2">
        <Field
          className="flex-1"
          label={text.settings.newUser}
          value={name}
          maxLength={255}
          onChange={(event) => setName(event.target.value)}
        />
        <Button type="submit" className="min-h-10" disabled={name.trim() === ''}>
          {text.settings.useUser}
        </Button>
      </form>
    </section>
  );
}
