/** A call of the web says what it did: a search has one or more queries, and a page can be opened too. */

export const webActions = `
update items
set body = json_set(json_remove(body, '$.query'), '$.action',
  json_object('type', 'search', 'queries', json_array(json_extract(body, '$.query'))))
where type = 'web_search_call' and json_type(body, '$.action') is null;
`;
