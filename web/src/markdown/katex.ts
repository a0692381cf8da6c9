/** Formulas. Loaded when one is to be drawn; the fonts come with its styles. */

import katex from 'katex';
import 'katex/dist/katex.min.css';

const MAX_LENGTH = 5_000;

/** Draws into an element, by making elements: what the formula says is never read as HTML. */
export function render(formula: string, into: HTMLElement, display: boolean): void {
  try {
    if (formula.length > MAX_LENGTH) throw new Error('too long');
    katex.render(formula, into, {
      displayMode: display,
      throwOnError: true,
      trust: false,
      strict: 'ignore',
      maxSize: 20,
      maxExpand: 200,
    });
  } catch {
    const source = document.createElement('code');
    source.textContent = formula;
    into.replaceChildren(source);
  }
}
