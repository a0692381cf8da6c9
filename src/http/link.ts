/** `Link: rel="next"` (RFC 8288): how a list leads on where its document has no paging. */

/** The header's value, for a path of this server with the query that leads on. */
export function nextLink(path: string, query: Record<string, string | number>): string {
  const parameters = new URLSearchParams(
    Object.entries(query).map(([name, value]): [string, string] => [name, String(value)]),
  );
  return `<${path}?${parameters}>; rel="next"`;
}
