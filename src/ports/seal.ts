/** Texts that are handed out and come back: nobody else can read or make one. */

export interface Seal {
  /** `whose` has to be given again to open it. */
  seal(text: string, whose: string): string;
  /** The text; null for what was not sealed here, for somebody else, or was changed since. */
  open(sealed: string, whose: string): string | null;
}
