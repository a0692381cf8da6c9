/** What answers cost by day, which outlives the conversations they are in; and tickets. */

export const usageAndTickets = `
create table usage (
  "row" integer primary key,
  tenant text not null,
  user text not null,
  day integer not null,
  model text not null,
  runs integer not null,
  input_tokens integer not null,
  cached_input_tokens integer not null,
  output_tokens integer not null,
  reasoning_tokens integer not null,
  unique (tenant, user, day, model)
);
create index usage_of_tenant on usage (tenant, day);

insert into usage
  (tenant, user, day, model, runs, input_tokens, cached_input_tokens, output_tokens, reasoning_tokens)
select
  tenant, user, ended_at / 86400000, coalesce(model, ''), sum(kind = 'answer'),
  sum(coalesce(usage ->> '$.inputTokens', 0)), sum(coalesce(usage ->> '$.cachedInputTokens', 0)),
  sum(coalesce(usage ->> '$.outputTokens', 0)), sum(coalesce(usage ->> '$.reasoningTokens', 0))
from runs where ended_at is not null
group by tenant, user, ended_at / 86400000, coalesce(model, '');

create table tickets (
  digest text primary key,
  tenant text not null,
  user text not null,
  key text,
  keyless integer not null,
  finds_keyless integer not null,
  path text not null,
  created_at integer not null,
  used_at integer,
  expires_at integer not null
) without rowid;
create index tickets_by_expiry on tickets (expires_at);
`;
