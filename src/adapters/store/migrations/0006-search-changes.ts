/**
 * What the search index must be told besides new items, which it finds by their rows: the titles, and what is deleted.
 * Triggers write it down, so that no unit can forget to. Where a whole conversation goes, its items are not told one by
 * one: their turns are gone by then.
 */

export const searchChanges = `
create table search_changes (
  sequence integer primary key autoincrement,
  tenant text not null,
  conversation text not null,
  item integer
);

create trigger search_conversation_added after insert on conversations
when new.listed = 1 and new.title is not null begin
  insert into search_changes (tenant, conversation) values (new.tenant, new.id);
end;

create trigger search_conversation_renamed after update of title on conversations
when new.listed = 1 and new.title is not old.title begin
  insert into search_changes (tenant, conversation) values (new.tenant, new.id);
end;

create trigger search_conversation_deleted after delete on conversations
when old.listed = 1 begin
  insert into search_changes (tenant, conversation) values (old.tenant, old.id);
end;

create trigger search_item_deleted after delete on items
when exists (select 1 from turns where id = old.turn) begin
  insert into search_changes (tenant, conversation, item)
  select old.tenant, conversation, old."row" from turns where id = old.turn;
end;
`;
