/** Calls that a person approved, by the run that carries them out: no other one does. */

export const callClaims = `
create table call_claims (
  call text primary key,
  tenant text not null,
  conversation text not null references conversations (id) on delete cascade,
  run text not null,
  created_at integer not null
) without rowid;
create index call_claims_of_conversation on call_claims (conversation);
`;
