/** Parlance's own documents, cut into sections that can stand alone as an answer. */

import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createRanking, wordsOf } from '#core/rank.ts';

/** A piece of a section that is quoted whole: a paragraph, a list, a code block, or one row of a table. */
interface Block {
  kind: 'text' | 'code' | 'row';
  text: string;
  /** On a row: the head of its table. */
  head?: string;
}

interface Section {
  /** Of the file, from the project's folder: `docs/security.md`. */
  path: string;
  /** The file's first heading. */
  title: string;
  heading: string;
  blocks: Block[];
}

/** What was found for a question. */
export interface Passage {
  path: string;
  heading: string;
  /** Markdown: the parts of the section that fit the question, and its first command. */
  text: string;
  /** How much of the question is in it, 0–1. */
  coverage: number;
}

export interface Documents {
  /** The best passages, best first, at most three. */
  search(question: string): Passage[];
}

/** Where Parlance's documents begin and where the rest of them is. */
const FIRST = 'README.md';
const FOLDER = 'docs';
/** Why the product is as it is: for those who work on it, not for those who use it. */
const LEFT_OUT = /^docs\/decisions\//;
/** The most text of a passage, in characters; a code block may go beyond it. */
const MAX_PASSAGE = 1400;
const MAX_CODE = 1200;
const HITS = 3;
const HEADING_WEIGHT = 3;
/** A question's own words are half covered, or it is about something else. */
const MIN_COVERAGE = 0.5;

/** Reads the documents below `root`. Those that cannot be read are left out; with none, nothing is ever found. */
export async function readDocuments(root: string): Promise<Documents> {
  const names = await readdir(join(root, FOLDER), { recursive: true }).catch(() => []);
  const paths = [FIRST, ...names.map((name) => `${FOLDER}/${name.replaceAll('\\', '/')}`).sort()];
  const sections: Section[] = [];
  for (const path of paths.filter((name) => name.endsWith('.md') && !LEFT_OUT.test(name))) {
    const text = await readFile(join(root, path), 'utf8').catch(() => '');
    sections.push(...cutIntoSections(path, text));
  }
  const rank = createRanking(
    sections.map(({ title, heading, blocks }) => {
      const body = blocks.map(({ text }) => text).join('\n');
      return [...Array(HEADING_WEIGHT).fill(heading), title, body].flatMap(wordsOf);
    }),
  );

  return {
    search(question) {
      return rank(question)
        .filter(({ coverage }) => coverage >= MIN_COVERAGE)
        .slice(0, HITS)
        .flatMap(({ index, coverage }) => {
          const section = sections[index];
          if (section === undefined) return [];
          const { path, heading } = section;
          return [{ path, heading, coverage, text: quote(section.blocks, question) }];
        });
    },
  };
}

/** A section is a heading with what follows it up to the next one; headings within code are none. */
function cutIntoSections(path: string, text: string): Section[] {
  const sections: Section[] = [];
  let title = path;
  let heading = path;
  let lines: string[] = [];
  let fence = false;
  const close = () => {
    const blocks = cutIntoBlocks(lines);
    if (blocks.length > 0) sections.push({ path, title, heading, blocks });
    lines = [];
  };
  for (const line of text.split(/\r?\n/)) {
    if (/^\s*```/.test(line)) fence = !fence;
    const found = fence ? null : /^(#{1,6})\s+(.+?)\s*#*$/.exec(line);
    if (found?.[1] === undefined || found[2] === undefined) {
      lines.push(line);
      continue;
    }
    close();
    heading = found[2].replaceAll('`', '');
    if (found[1] === '#') title = heading;
  }
  close();
  return sections;
}

function cutIntoBlocks(lines: readonly string[]): Block[] {
  const blocks: Block[] = [];
  let at = 0;
  const take = (belongs: (line: string) => boolean): string[] => {
    const from = at;
    while (at < lines.length && belongs(lines[at] ?? '')) at++;
    return lines.slice(from, at);
  };
  while (at < lines.length) {
    const line = lines[at] ?? '';
    if (line.trim() === '') at++;
    else if (/^\s*```/.test(line)) {
      at++;
      const code = take((inside) => !/^\s*```/.test(inside));
      at++;
      blocks.push({ kind: 'code', text: [line.trim(), ...code, '```'].join('\n') });
    } else if (line.startsWith('|')) {
      const [head = '', rule = '', ...rows] = take((row) => row.startsWith('|'));
      for (const text of rows) blocks.push({ kind: 'row', text: unlink(text), head: `${head}\n${rule}` });
    } else {
      const paragraph = take((text) => text.trim() !== '' && !/^\s*```|^\|/.test(text)).join('\n');
      if (!paragraph.startsWith('<!--')) blocks.push({ kind: 'text', text: unlink(paragraph) });
    }
  }
  return blocks;
}

/** Links between the documents lead nowhere from a chat: their text stays. */
function unlink(text: string): string {
  return text.replace(/!\[[^\]]*\]\([^)]*\)/g, '').replace(/\[([^\]]+)\]\((?!https?:)[^)]*\)/g, '$1');
}

/**
 * The section, if it is short. Else its first paragraph, its first command and what fits the question best, in the
 * order of the document.
 */
function quote(blocks: readonly Block[], question: string): string {
  const chosen = new Set<number>();
  let room = MAX_PASSAGE;
  const choose = (index: number) => {
    const block = blocks[index];
    if (block === undefined || chosen.has(index)) return;
    const fits = block.kind === 'code' ? block.text.length <= MAX_CODE : block.text.length <= room || chosen.size === 0;
    if (!fits) return;
    chosen.add(index);
    if (block.kind !== 'code') room -= block.text.length;
  };
  const best = createRanking(blocks.map(({ text }) => wordsOf(text)))(question).map(({ index }) => index);
  choose(best[0] ?? 0);
  choose(blocks.findIndex(({ kind }) => kind === 'code'));
  choose(blocks.findIndex(({ kind }) => kind === 'text'));
  const short = blocks.reduce((sum, { text }) => sum + text.length, 0) <= MAX_PASSAGE;
  for (const index of short ? blocks.keys() : best) choose(index);

  let text = '';
  let head: string | undefined;
  for (const [index, block] of blocks.entries()) {
    if (!chosen.has(index)) continue;
    const within = block.kind === 'row' && block.head === head;
    if (text !== '') text += within ? '\n' : '\n\n';
    text += block.kind === 'row' && !within ? `${block.head}\n${block.text}` : block.text;
    head = block.head;
  }
  return text;
}
