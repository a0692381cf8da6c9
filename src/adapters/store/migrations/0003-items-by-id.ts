/** Items are found by their ids: by `item_reference`, and by the calls for one item of a conversation. */

export const itemsById = `
create index items_by_id on items (id);
`;
