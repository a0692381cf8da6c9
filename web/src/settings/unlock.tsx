import { type FormEvent, useState } from 'react';
import { ApiError } from '../api/client.ts';
import { checkOwnerKey } from '../api/owner.ts';
import { keepOwnerKey } from '../state/session.ts';
import { text } from '../text.ts';
import { Button, Field, Notice } from '../ui/controls.tsx';

/** Asks for the owner's key, and sees whether it is one. */
export function Unlock() {
  const [key, setKey] = useState('');
  const [problem, setProblem] = useState<string | null>(null);
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    setProblem(null);
    checkOwnerKey(key.trim()).then(
      () => keepOwnerKey(key.trim()),
      (error) => setProblem(error instanceof ApiError ? error.message : text.failure.generic),
    );
  };
  return (
    <form onSubmit={submit} className="max-w-md space-y-4">
      <div>
        <h3 className="mb-1 font-medium">{text.settings.owner}</h3>
        <p className="text-sm text-quiet">{text.settings.ownerHint}</p>
      </div>
      <Field
        label={text.settings.ownerKey}
        hint={text.settings.ownerKeyHint}
        type="password"
        autoComplete="off"
        spellCheck={false}
        value={key}
        onChange={(event) => setKey(event.target.value)}
      />
      {problem !== null && (
        <div role="alert">
          <Notice tone="danger">{problem}</Notice>
        </div>
      )}
      <Button kind="primary" type="submit" disabled={key.trim() === ''}>
        {text.settings.unlock}
      </Button>
    </form>
  );
}
