import { type FormEvent, useState } from 'react';
import { ApiError } from './api/client.ts';
import { signIn } from './state/session.ts';
import { text } from './text.ts';
import { Button, Field, Notice } from './ui/controls.tsx';

const INVITE = /^https?:\/\/\S+\/invite\/\S+$/;

/** Asks for a key. Whoever has an invite link has only to open it. */
export function SignIn({ expired }: { expired: boolean }) {
  const [key, setKey] = useState('');
  const [problem, setProblem] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const invite = INVITE.test(key.trim()) ? key.trim() : null;

  const submit = (event: FormEvent): void => {
    event.preventDefault();
    setBusy(true);
    setProblem(null);
    signIn(key.trim())
      .catch((error) => setProblem(error instanceof ApiError ? error.message : text.failure.generic))
      .finally(() => setBusy(false));
  };
  return (
    <main className="grid h-full place-items-center overflow-y-auto p-5">
      <div className="w-full max-w-sm">
        <img src="/favicon.svg" alt="" className="mb-6 size-12" />
        <h1 className="mb-2 font-serif text-3xl">{text.signIn.title}</h1>
        <p className="mb-6 text-quiet">{expired ? text.signIn.expired : text.signIn.body}</p>
        <form onSubmit={submit} className="space-y-4">
          <Field
            label={text.signIn.key}
            hint={text.signIn.keyHint}
            type="password"
            name="key"
            autoComplete="current-password"
            spellCheck={false}
            required
            value={key}
            onChange={(event) => setKey(event.target.value)}
          />
          {problem !== null && (
            <div role="alert">
              <Notice tone="danger">{problem}</Notice>
            </div>
          )}
          {invite === null ? (
            <Button kind="primary" type="submit" disabled={busy || key.trim() === ''} className="w-full">
              {text.signIn.submit}
            </Button>
          ) : (
            <a className="font-medium text-accent underline" href={invite}>
              {text.signIn.inviteLink}
            </a>
          )}
        </form>
      </div>
    </main>
  );
}
