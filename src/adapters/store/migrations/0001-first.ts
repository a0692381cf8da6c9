/**
 * The first tables. What only grows (turns, items, runs, events, changes) is kept in the order of writing: a commit then
 * touches the last pages of a table, and what is read by id is found by an index whose ids grow as well.
 */

export const first = `
create table tenants (
  id text primary key,
  next_number integer not null
) without rowid;

create table users (
  tenant text not null,
  id text not null,
  keyless integer not null,
  created_at integer not null,
  active_conversation text,
  last_change integer not null,
  primary key (tenant, id)
) without rowid;

create table api_keys (
  id text primary key,
  tenant text not null,
  user text not null,
  digest text not null unique,
  kind text not null,
  name text,
  hint text not null,
  scopes text not null,
  rates text,
  created_at integer not null,
  expires_at integer,
  revoked_at integer,
  foreign key (tenant, user) references users (tenant, id)
) without rowid;
create index api_keys_of_tenant on api_keys (tenant, created_at);

create table invites (
  digest text primary key,
  tenant text not null,
  user text not null,
  created_at integer not null,
  expires_at integer not null
) without rowid;
create index invites_by_expiry on invites (expires_at);

create table conversations (
  id text primary key,
  tenant text not null,
  user text not null,
  number integer,
  title text,
  assistant text not null,
  listed integer not null,
  archived integer not null,
  head text,
  head_depth integer not null,
  external_id text,
  created_at integer not null,
  updated_at integer not null,
  active_at integer not null,
  metadata text not null,
  foreign key (tenant, user) references users (tenant, id)
) without rowid;
create index conversations_by_activity on conversations (tenant, user, listed, archived, active_at, id);
create index conversations_by_creation on conversations (tenant, user, listed, archived, created_at, id);
create unique index conversations_by_number on conversations (tenant, number) where number is not null;
create unique index conversations_by_external_id on conversations (tenant, external_id, user) where external_id is not null;
create index conversations_unlisted on conversations (active_at) where listed = 0;

create table turns (
  "row" integer primary key,
  conversation text not null references conversations (id) on delete cascade,
  id text not null unique,
  tenant text not null,
  parent text,
  depth integer not null,
  role text not null,
  status text not null,
  run text,
  answers text,
  external_id text,
  tokens integer not null,
  created_at integer not null,
  updated_at integer not null
);
create index turns_of_conversation on turns (conversation);
create index turns_by_answered on turns (answers) where answers is not null;
create unique index turns_by_external_id on turns (conversation, external_id) where external_id is not null;

create table items (
  "row" integer primary key,
  tenant text not null,
  turn text not null references turns (id) on delete cascade,
  position integer not null,
  id text not null,
  type text not null,
  body text not null,
  unique (turn, position)
);

create table runs (
  sequence integer primary key autoincrement,
  id text not null unique,
  tenant text not null,
  user text not null,
  conversation text references conversations (id) on delete cascade,
  turn text,
  answers text,
  kind text not null,
  status text not null,
  request text not null,
  model text,
  attempts text not null,
  usage text,
  finish text,
  error text,
  last_event integer not null,
  created_at integer not null,
  started_at integer,
  ended_at integer
);
create index runs_of_conversation on runs (conversation, ended_at, sequence);
create index runs_open on runs (sequence) where ended_at is null;

create table run_logs (
  run integer primary key references runs (sequence) on delete cascade,
  tenant text not null,
  newest integer not null,
  ended_at integer
);
create index run_logs_ended on run_logs (ended_at) where ended_at is not null;

create table run_events (
  "row" integer primary key,
  tenant text not null,
  run integer not null,
  previous integer,
  first integer not null,
  last integer not null,
  payload text not null
);

create table idempotency (
  "row" integer primary key,
  tenant text not null,
  user text not null,
  key text not null,
  command text not null,
  conversation text,
  input text,
  answer text,
  result text,
  gone integer not null,
  created_at integer not null,
  unique (tenant, user, key)
);
create index idempotency_of_conversation on idempotency (conversation) where conversation is not null;
create index idempotency_by_age on idempotency (created_at);

create table changes (
  "row" integer primary key,
  tenant text not null,
  user text not null,
  number integer not null,
  type text not null,
  conversation text not null,
  run text,
  created_at integer not null,
  unique (tenant, user, number)
);
`;
