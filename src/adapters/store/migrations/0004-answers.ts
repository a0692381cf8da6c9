/** A response can be deleted while its items stay; what is handed out sealed is sealed with a secret of this database. */

export const answers = `
alter table turns add column forgotten integer not null default 0;

create table secrets (
  name text primary key,
  value text not null
) without rowid;
`;
