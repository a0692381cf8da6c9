/** What this database seals with: made once, and the same for all who open it. */

import { type Sql, statement } from './sql.ts';

const insertSecret = statement<{ name: string; value: string }>(`
  insert into secrets (name, value) values (:name, :value) on conflict do nothing`);

const selectSecret = statement<{ name: string }, { value: string }>(`select value from secrets where name = :name`);

export async function keepSecret(sql: Sql, secret: { name: string; value: string }): Promise<string> {
  await sql.run(insertSecret, secret);
  return (await sql.first(selectSecret, { name: secret.name }))?.value ?? secret.value;
}
