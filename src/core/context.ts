/** What the model is given: the path up to the answered turn, trimmed to the model's window. Pure. */

import { quotePages } from './quoted-pages.ts';
import type { ContextTurn } from './run.ts';
import { type Item, isToolResult, joinContinued, messageItem, sourcesOf, type Turn, textOf } from './turn.ts';

/** A rough count of tokens: four ASCII characters, or one other character, are one. Errs on the high side. */
export function estimateTokens(items: readonly Item[]): number {
  let tokens = 0;
  for (const item of items) {
    tokens += 4;
    if (item.type === 'message') {
      for (const part of item.content) tokens += part.type === 'image' ? 1000 : estimateTextTokens(part.text);
    } else if (item.type === 'function_call')
      tokens += estimateTextTokens(item.name) + estimateTextTokens(item.arguments);
    else if (item.type === 'function_call_output') tokens += estimateTextTokens(item.output);
    // Reasoning and search calls are not sent back to the model.
  }
  return tokens;
}

/** The same for one text. */
export function estimateTextTokens(text: string): number {
  let other = 0;
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0x7f) other++;
  return Math.ceil((text.length - other) / 4 + other);
}

/** How much of a window is kept free for the answer. */
export function inputBudget(window: number): number {
  return Math.max(1, Math.floor(window * 0.75));
}

/**
 * An answer's own items with at most `budget` tokens of tools' outputs: the newest is kept whole as long as there is room,
 * older ones are cut. `tokens`: an estimate of all.
 */
export function fitOutputs(items: readonly Item[], budget: number): { items: Item[]; tokens: number } {
  let left = budget;
  const fitted = items.toReversed().map((item): Item => {
    if (item.type !== 'function_call_output') return item;
    const tokens = estimateTextTokens(item.output);
    const fits = tokens <= left;
    const kept = fits ? item.output : cutText(item.output, Math.floor(item.output.length * (left / tokens)));
    left = Math.max(0, left - tokens);
    return fits ? item : { ...item, output: kept };
  });
  fitted.reverse();
  return { items: fitted, tokens: estimateTokens(fitted) };
}

/** The beginning of a text, at most `length` UTF-16 units, and a line that says that it was cut. */
export function cutText(text: string, length: number): string {
  if (text.length <= length) return text;
  const end = length > 0 && isHigh(text.charCodeAt(length - 1)) ? length - 1 : length;
  return `${text.slice(0, end)}\n[Cut: the first ${end} of ${text.length} characters.]`;
}

function isHigh(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff;
}

/**
 * Trims a path to `budget` tokens: the oldest whole exchanges go first; the newest exchange never goes (DESIGN.md, The
 * words). An exchange begins at a person's turn and holds all up to the next one. Unanswered and emptied turns carry
 * nothing and are left out; the turn being written is not part of `path`.
 */
export function trimContext(path: readonly Turn[], budget: number): Turn[] {
  const spoken = path.filter((turn) => turn.items.length > 0);
  const exchanges: Turn[][] = [];
  for (const turn of spoken) {
    const previous = exchanges.at(-1)?.at(-1);
    if (previous === undefined || (turn.role === 'user' && !isToolResult(turn) && previous.role !== 'user')) {
      exchanges.push([turn]);
    } else exchanges.at(-1)?.push(turn);
  }
  let left = budget;
  let from = exchanges.length;
  while (from > 0) {
    const cost = (exchanges[from - 1] ?? []).reduce((sum, turn) => sum + estimateTokens(turn.items), 0);
    if (from < exchanges.length && cost > left) break;
    left -= cost;
    from--;
  }
  return exchanges.slice(from).flat();
}

/** A call that asked for approval is told where it is carried out. */
function toldOf(items: Item[]): Item[] {
  const isAsking = (item: Item) => item.type === 'function_call' && item.asks === true;
  return items.some(isAsking) ? items.filter((item) => !isAsking(item)) : items;
}

const GO_ON = `Your last message was cut off. Go on with it from exactly where it stopped, in the middle of the sentence or word if that is where it stopped. Write only what comes next: what you write is put right behind it. Do not repeat any of it, do not introduce it, and do not mention the interruption.`;
/** So many characters of the end are quoted: models find the place by them. */
const TAIL = 100;

/**
 * What a model is given of a path, trimmed to `budget` tokens. An answer and what goes on from it are one message. A path
 * that ends with an answer is to be gone on from: the model is asked to, in words, since not every server takes a last
 * message of the assistant's for the beginning of its own (and some refuse it). The pages it stands on are quoted again.
 *
 * @param mark a random text, for `quotePages`
 */
export function contextOf(path: readonly Turn[], budget: number, mark: string): ContextTurn[] {
  const answer = joinContinued(path).at(-1);
  const asked = answer?.role === 'assistant' ? [messageItem('', 'user', askToGoOn(answer, mark))] : [];
  const turns = joinContinued(trimContext(path, budget - estimateTokens(asked)));
  const context: ContextTurn[] = turns.map(({ role, items }) => ({ role, items: toldOf(items) }));
  if (asked.length > 0) context.push({ role: 'user', items: asked });
  return context;
}

function askToGoOn({ items }: Turn, mark: string): string {
  const tail = textOf(items)
    .slice(-TAIL)
    .replace(/^[\udc00-\udfff]/, '');
  const ask = `${GO_ON} Its end, word for word, is: ${JSON.stringify(tail)}`;
  const pages = sourcesOf(items).flatMap(({ evidence, ...page }) =>
    evidence === undefined ? [] : [{ ...page, quotes: evidence.quotes, unread: '' }],
  );
  return pages.length === 0 ? ask : `${quotePages(pages, mark)}\n\n${ask}`;
}
