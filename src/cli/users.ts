/** `users list|invite`. */

import { OWNER } from '#service/keys.ts';
import type { Invocation } from './command.ts';
import { withCore } from './core.ts';
import { checkName } from './keys.ts';
import { print, say, table, when } from './terminal.ts';

export async function list(invocation: Invocation): Promise<number> {
  return withCore(invocation, async (core) => {
    const users = await core.keys.listUsers(OWNER);
    if (invocation.flag('json')) {
      const wire = users.map(({ id, keyless, createdAt }) => ({
        id,
        keyless,
        created_at: new Date(createdAt).toISOString(),
      }));
      print(JSON.stringify(wire));
      return 0;
    }
    const rows = users.map(({ id, keyless, createdAt }) => [id, madeBy(id, keyless), when(createdAt)]);
    print(table(['USER', 'MADE BY', 'CREATED'], rows));
    return 0;
  });
}

/** Prints the link alone on stdout. */
export async function invite(invocation: Invocation): Promise<number> {
  const user = checkName('NAME', invocation.args[0] ?? '');
  const { access, listen } = await invocation.config();
  return withCore(invocation, async (core) => {
    const { token, expiresAt } = await core.keys.invite(OWNER, user);
    const url = core.keys.inviteUrl(token, access.publicUrl ?? `http://localhost:${listen.port}`);
    if (invocation.flag('json')) {
      print(JSON.stringify({ url, user, expires_at: new Date(expiresAt).toISOString() }));
      return 0;
    }
    say(`Whoever opens this first, before ${when(expiresAt)}, gets a key of "${user}":`);
    print(url);
    return 0;
  });
}

function madeBy(id: string, keyless: boolean): string {
  if (id === OWNER.user) return 'the first start';
  return keyless ? 'a call without a key' : 'a key';
}
