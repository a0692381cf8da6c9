/** Sign-ins of the web app: a cookie's digest, and the key it stands for. */

export const sessions = `
create table sessions (
  digest text primary key,
  tenant text not null,
  "key" text not null references api_keys (id),
  created_at integer not null,
  expires_at integer not null
) without rowid;
create index sessions_of_key on sessions ("key", created_at);
create index sessions_by_expiry on sessions (expires_at);
`;
