/** Wire → JSON: the document's example bodies end in a comma. Pure. */

/**
 * Leaves out every comma that stands right before a `}` or `]`, blanks between them aside, and is not part of a text.
 * Valid JSON has none and stays as it is; what else is wrong with a body stays wrong.
 */
export function removeTrailingCommas(text: string): string {
  let out = '';
  let kept = 0;
  /** The comma that nothing but blanks has followed yet; -1: there is none. */
  let comma = -1;
  for (let i = 0; i < text.length; i++) {
    switch (text[i]) {
      case ',':
        comma = i;
        break;
      case '}':
      case ']':
        if (comma !== -1) {
          out += text.slice(kept, comma);
          kept = comma + 1;
        }
        comma = -1;
        break;
      case ' ':
      case '\t':
      case '\n':
      case '\r':
        break;
      case '"':
        i = endOfText(text, i);
        comma = -1;
        break;
      default:
        comma = -1;
    }
  }
  return kept === 0 ? text : out + text.slice(kept);
}

/** The closing quote of the text that opens at `start`; the end of all where it does not close. */
function endOfText(text: string, start: number): number {
  for (let i = start + 1; i < text.length; i++) {
    if (text[i] === '\\') i++;
    else if (text[i] === '"') return i;
  }
  return text.length;
}
