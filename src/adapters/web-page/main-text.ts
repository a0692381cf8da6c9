/** A page's main text, without what surrounds it, as plain text. For a thread of its own: a large page takes a second. */

import DefuddleModule, { type DefuddleOptions, type DefuddleResponse } from 'defuddle';
import { parseHTML } from 'linkedom';

export interface MainText {
  title: string;
  /** Paragraphs, parted by blank lines. */
  text: string;
}

/** Its types say it is a module with a `default`; what `import` gives is the class. */
const Defuddle = DefuddleModule as unknown as new (
  document: unknown,
  options: DefuddleOptions,
) => { parse(): DefuddleResponse };

const MAX_TITLE = 200;
/** UTF-16 units: a short book. */
const MAX_TEXT = 500_000;
/** Where less than so much, or than this share of the page, is taken for the main text, all of the page is. */
const TOO_LITTLE = 200;
const TOO_SMALL = 0.3;
/** Defuddle takes 0.1 ms for an element and ever longer the deeper they are; a page beyond this is taken as a whole. */
const MAX_ELEMENTS = 10_000;
const MAX_DEPTH = 200;
/** The DOM takes 10 µs for a tag: of a page with more of them the tags are taken away instead. */
const MAX_TAGS = 50_000;

/** What begins and ends a paragraph, a line, or a cell. */
const EDGES = new Map(
  Object.entries({
    '\n\n': `address article aside blockquote details div dl fieldset figure footer form h1 h2 h3 h4 h5 h6 header hr main nav
      ol p pre section table ul`,
    '\n': 'br caption dd dt figcaption li option summary tr',
    ' ': 'td th',
  }).flatMap(([edge, names]) => names.split(/\s+/).map((name) => [name, edge] as const)),
);
const UNSEEN = new Set(
  'audio canvas head iframe math noscript object script select style svg template textarea title video'.split(' '),
);

/** Reads HTML of any kind, malformed too. */
export function mainTextOf(html: string, url: string): MainText {
  if (countTags(html) > MAX_TAGS) return withoutTags(html, url);
  const page = parse(html, url);
  const title = cleanText(page.querySelector('title')?.textContent ?? '');
  const { text: all, elements, depth } = textOf(page.documentElement);
  const main = elements <= MAX_ELEMENTS && depth <= MAX_DEPTH ? extract(page, url) : null;
  const enough = main !== null && main.text.length >= Math.min(TOO_LITTLE, all.length * TOO_SMALL);
  return bounded(main?.title || title, enough ? main.text : all);
}

function bounded(title: string, text: string): MainText {
  return {
    title: title.replace(/\s+/g, ' ').slice(0, MAX_TITLE).toWellFormed(),
    text: text.slice(0, MAX_TEXT).toWellFormed(),
  };
}

function countTags(html: string): number {
  let tags = 0;
  for (let at = html.indexOf('<'); at !== -1; at = html.indexOf('<', at + 1)) tags++;
  return tags;
}

const UNSEEN_PARTS = /<(script|style|template|noscript|svg|head|title)\b[\s\S]*?<\/\1\s*>/gi;
const TAG = /<!--[\s\S]*?-->|<[/!?]?([a-z][a-z\d]*)?\b[^<>]*>/gi;

/** All of the text, and nothing is known of what is main. */
function withoutTags(html: string, url: string): MainText {
  const [, title = ''] = /<title\b[^>]{0,1000}>([^<]{0,1000})/i.exec(html) ?? [];
  const text = html
    .replace(UNSEEN_PARTS, ' ')
    .replace(TAG, (_, name: string | undefined) => EDGES.get(name?.toLowerCase() ?? '') ?? '');
  // What is left of the markup are its entities.
  const decode = (left: string) => cleanText(parse(`<html><body>${left}</body></html>`, url).body.textContent ?? '');
  return bounded(decode(title), decode(text.slice(0, 2 * MAX_TEXT)));
}

/** Null where it cannot be told from the rest of the page. */
function extract(page: unknown, url: string): MainText | null {
  try {
    // Never `parseAsync`: that asks other servers for what the page does not hold.
    const found = new Defuddle(page, { url, useAsync: false, removeImages: true, fetch: refuseFetch }).parse();
    return { title: cleanText(found.title), text: textOf(parse(found.content, url).body).text };
  } catch {
    return null;
  }
}

function refuseFetch(): never {
  throw new Error('Nothing is fetched here.');
}

/** This DOM makes no `html`, `head` and `body` where a page leaves them out, as it may. */
function parse(html: string, url: string) {
  const whole = /<body[\s>]/i.test(html)
    ? html
    : `<html><body>${html.replace(/<!doctype[^>]{0,1000}>|<\/?(?:html|head)(?:\s[^>]{0,1000})?>/gi, '')}</body></html>`;
  // What Defuddle looks for and this DOM does not have.
  return Object.assign(parseHTML(whole).document, { styleSheets: [], URL: url });
}

interface DomNode {
  nodeType: number;
  nodeName: string;
  textContent: string | null;
  firstChild: DomNode | null;
  nextSibling: DomNode | null;
}

const ELEMENT = 1;
const TEXT = 3;

/** Without recursion: a page may be as deep as it likes. */
function textOf(root: unknown): { text: string; elements: number; depth: number } {
  let text = '';
  let elements = 0;
  let deepest = 0;
  const todo: { node: DomNode | string; depth: number }[] = [{ node: (root as DomNode | null) ?? '', depth: 1 }];
  for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
    const { node, depth } = next;
    if (typeof node === 'string') text += node;
    else if (node.nodeType === TEXT) text += (node.textContent ?? '').replace(/\s+/g, ' ');
    if (typeof node === 'string' || node.nodeType !== ELEMENT) continue;
    elements++;
    deepest = Math.max(deepest, depth);
    const name = node.nodeName.toLowerCase();
    if (UNSEEN.has(name)) continue;
    const edge = EDGES.get(name) ?? '';
    text += name === 'li' ? '\n- ' : edge;
    todo.push({ node: edge, depth });
    if (name === 'pre') {
      text += node.textContent ?? '';
      continue;
    }
    const children: DomNode[] = [];
    for (let child = node.firstChild; child !== null; child = child.nextSibling) children.push(child);
    for (const child of children.reverse()) todo.push({ node: child, depth: depth + 1 });
  }
  return { text: cleanText(text), elements, depth: deepest };
}

/**
 * Text as a person sees it: without controls, without characters that have no shape, in which a text can carry orders
 * unseen, and without those that turn the direction of writing around.
 */
export function cleanText(text: string): string {
  return text
    .replace(/[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff\u{e0000}-\u{e007f}]/gu, '')
    .replace(/\r\n?/g, '\n')
    .replace(/[\p{Cc}--[\n\t]]/gv, '')
    .replace(/[^\S\n]+/g, ' ')
    .replace(/ ?\n ?/g, '\n')
    .replace(/\n{3,}/g, '\n\n')
    .replace(/- \n+/g, '- ')
    .trim();
}
