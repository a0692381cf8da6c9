/** `users list`. */

import { OWNER } from '#service/keys.ts';
import type { Invocation } from './command.ts';
import { withCore } from './core.ts';
import { print, table, when } from './terminal.ts';

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

function madeBy(id: string, keyless: boolean): string {
  if (id === OWNER.user) return 'the first start';
  return keyless ? 'a call without a key' : 'a key';
}
