import { type FormEvent, useState } from 'react';
import { createInvite, listUsers } from '../api/owner.ts';
import { say } from '../state/toasts.ts';
import { text } from '../text.ts';
import { Button, Field } from '../ui/controls.tsx';
import { Secret } from './secret.tsx';
import { useLoaded } from './use-loaded.tsx';

export function People({ ownerKey }: { ownerKey: string | null }) {
  const { data, status, reload } = useLoaded(() => listUsers(ownerKey));
  const [name, setName] = useState('');
  const [made, setMade] = useState<{ name: string; url: string } | null>(null);
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    const invited = name.trim();
    createInvite(ownerKey, invited).then(
      (url) => {
        setMade({ name: invited, url });
        setName('');
        reload();
      },
      (error: Error) => say({ message: error.message, tone: 'error' }),
    );
  };
  return (
    <div className="space-y-6">
      {made === null ? (
        <form onSubmit={submit} className="space-y-3 rounded-2xl border border-line bg-raised p-4">
          <h3 className="font-medium">{text.settings.invite.title}</h3>
          <p className="text-sm text-quiet">{text.settings.invite.hint}</p>
          <div className="flex items-end gap-2">
            <Field
              className="flex-1"
              label={text.settings.invite.name}
              value={name}
              maxLength={255}
              onChange={(event) => setName(event.target.value)}
            />
            <Button kind="primary" type="submit" className="min-h-10" disabled={name.trim() === ''}>
              {text.settings.invite.make}
            </Button>
          </div>
        </form>
      ) : (
        <Secret note={text.settings.invite.made(made.name)} value={made.url} onDone={() => setMade(null)} />
      )}
      <section>
        {status}
        <ul className="divide-y divide-line text-sm">
          {data?.map(({ id, createdAt }) => (
            <li key={id} className="flex min-h-10 items-center justify-between gap-3">
              <span className="truncate">{id}</span>
              <span className="text-xs text-quiet">{text.settings.key.createdOn(new Date(createdAt * 1000))}</span>
            </li>
          ))}
        </ul>
      </section>
    </div>
  );
}
