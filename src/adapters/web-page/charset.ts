/** Bytes → text, by what is said of their encoding. Pure. */

/** How far into a page its own word for its encoding may stand (HTML, 13.2.3.2). */
const PRESCAN = 1024;

/**
 * A byte order mark wins, then `charset` (of `Content-Type`), then a page's `<meta>`; else it is UTF-8 where it can be, and
 * Windows-1252 where not.
 */
export function decodeText(body: Uint8Array, charset: string, isHtml: boolean): string {
  const label = markOf(body) ?? (charset || (isHtml ? metaOf(body) : ''));
  const named = label === '' ? null : decoderOf(label);
  if (named !== null) return named.decode(body);
  try {
    // What was cut off in the middle of a character is still UTF-8.
    return new TextDecoder('utf-8', { fatal: true }).decode(body, { stream: true });
  } catch {
    return new TextDecoder('windows-1252').decode(body);
  }
}

function markOf([a, b, c]: Uint8Array): string | null {
  if (a === 0xef && b === 0xbb && c === 0xbf) return 'utf-8';
  if (a === 0xfe && b === 0xff) return 'utf-16be';
  return a === 0xff && b === 0xfe ? 'utf-16le' : null;
}

function metaOf(body: Uint8Array): string {
  const start = new TextDecoder('windows-1252').decode(body.subarray(0, PRESCAN));
  const label = /<meta[^>]{0,500}charset\s*=\s*["']?([^"'\s/>;]+)/i.exec(start)?.[1] ?? '';
  // A page that could be read to here is not in UTF-16, whatever it says.
  return /^utf-16/i.test(label) ? 'utf-8' : label;
}

/** Null for a name that nobody knows. */
function decoderOf(label: string) {
  try {
    return new TextDecoder(label);
  } catch {
    return null;
  }
}
