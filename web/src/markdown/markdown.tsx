/**
 * Markdown as React elements: never as HTML, so that nothing a model or a web page says can become anything but text,
 * links and what is listed here. Blocks that did not change are not parsed or drawn again.
 */

import type { Token, Tokens } from 'marked';
import { createContext, Fragment, memo, type ReactNode, useContext, useMemo, useRef } from 'react';
import type { SourcePart } from '../api/messages.ts';
import { text } from '../text.ts';
import { type Block, splitBlocks } from './blocks.ts';
import { CodeBlock } from './code.tsx';
import { safeLink } from './links.ts';
import { Formula } from './math.tsx';
import { closeLoose, decodeReferences, type MathToken, parseBlock, readFence, readMath } from './parse.ts';

/** The pages that `[1]` in the text stands for. */
const Sources = createContext<readonly SourcePart[]>([]);
const NONE: readonly SourcePart[] = [];

interface MarkdownProps {
  children: string;
  /** More may come. */
  live: boolean;
  sources?: readonly SourcePart[];
}

export const Markdown = memo(function Markdown({ children, live, sources = NONE }: MarkdownProps) {
  const before = useRef<{ text: string; blocks: Block[] }>({ text: '', blocks: [] });
  const blocks = useMemo(() => {
    const { current } = before;
    const blocks = splitBlocks(children, children.startsWith(current.text) ? current.blocks : []);
    before.current = { text: children, blocks };
    return blocks;
  }, [children]);
  return (
    <Sources value={sources}>
      <div className="prose">
        {blocks.map(({ start, raw, kind }, at) => (
          <BlockView key={start} raw={raw} kind={kind} live={live && at === blocks.length - 1} />
        ))}
      </div>
    </Sources>
  );
});

const BlockView = memo(function BlockView({ raw, kind, live }: { raw: string; kind: Block['kind']; live: boolean }) {
  if (kind === 'code') {
    const { language, code, closed } = readFence(raw);
    return <CodeBlock language={language} code={code} live={live && !closed} />;
  }
  if (kind === 'math') return <Formula display live={live} formula={readMath(raw)} />;
  const tokens = parseBlock(live ? closeLoose(raw) : raw);
  if (tokens === null) return <p className="whitespace-pre-wrap">{raw.trimEnd()}</p>;
  return <>{draw(tokens)}</>;
});

function draw(tokens: readonly Token[] | undefined): ReactNode {
  return tokens?.map((token, at) => <Fragment key={at}>{drawToken(token as Tokens.Generic)}</Fragment>);
}

const HEADINGS = ['h3', 'h3', 'h4', 'h5', 'h6', 'h6', 'h6'] as const;

function drawToken(token: Tokens.Generic): ReactNode {
  switch (token.type) {
    case 'paragraph':
      return <p>{draw(token.tokens)}</p>;
    case 'heading': {
      // The page has its own headings above: an answer's begin below them, and look as they were meant.
      const Heading = HEADINGS[Math.min(6, Math.max(1, token.depth))] ?? 'h6';
      return <Heading data-depth={token.depth}>{draw(token.tokens)}</Heading>;
    }
    case 'text':
      return token.tokens ? draw(token.tokens) : <Plain>{token.text}</Plain>;
    case 'escape':
      return token.text;
    case 'strong':
      return <strong className="font-[650]">{draw(token.tokens)}</strong>;
    case 'em':
      return <em>{draw(token.tokens)}</em>;
    case 'del':
      return <del>{draw(token.tokens)}</del>;
    case 'codespan':
      return <code>{token.text}</code>;
    case 'br':
      return <br />;
    case 'hr':
      return <hr />;
    case 'space':
      return null;
    case 'code':
      return <CodeBlock language={String(token.lang ?? '').split(/\s/, 1)[0] ?? ''} code={token.text} live={false} />;
    case 'blockquote':
      return <blockquote>{draw(token.tokens)}</blockquote>;
    case 'list':
      return drawList(token as unknown as Tokens.List);
    case 'table':
      return drawTable(token as unknown as Tokens.Table);
    case 'checkbox':
      return <input type="checkbox" checked={token.checked === true} readOnly disabled aria-label={token.raw} />;
    case 'link':
      return <Link to={token.href}>{draw(token.tokens)}</Link>;
    case 'image':
      // No picture is loaded because a text says so: that would tell its sender that, and where, it is read.
      return <Link to={token.href}>{text.chat.picture(token.text)}</Link>;
    case 'math':
      return <Formula display={(token as MathToken).display} live={false} formula={token.text} />;
    default:
      return token.raw;
  }
}

function drawList({ ordered, start, items }: Tokens.List): ReactNode {
  const rows = items.map((item, at) => (
    <li key={at} className={item.task ? 'task' : undefined}>
      {draw(item.tokens)}
    </li>
  ));
  return ordered ? <ol start={typeof start === 'number' ? start : undefined}>{rows}</ol> : <ul>{rows}</ul>;
}

function drawTable({ header, rows }: Tokens.Table): ReactNode {
  return (
    <section className="table" tabIndex={0} aria-label={header.map((cell) => cell.text).join(', ')}>
      <table>
        <thead>
          <tr>
            {header.map((cell, at) => (
              <th key={at} scope="col" data-align={cell.align ?? undefined}>
                {draw(cell.tokens)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, at) => (
            <tr key={at}>
              {row.map((cell, column) => (
                <td key={column} data-align={cell.align ?? undefined}>
                  {draw(cell.tokens)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

/** Nothing is asked of the other side before it is clicked, and it is not told where from. */
function Link({ to, children }: { to: string; children: ReactNode }) {
  const address = safeLink(to);
  if (address === null) return <span>{children}</span>;
  return (
    <a href={address} title={address} target="_blank" rel="noopener noreferrer nofollow" referrerPolicy="no-referrer">
      {children}
    </a>
  );
}

const CITATION = /\[(\d{1,3})\]/g;

/** Text, in which `[1]` leads to the page it stands for, where there is one. */
function Plain({ children }: { children: string }): ReactNode {
  const sources = useContext(Sources);
  const plain = decodeReferences(children);
  if (sources.length === 0 || !plain.includes('[')) return plain;
  const parts: ReactNode[] = [];
  let from = 0;
  for (const { 0: whole, 1: number, index: at } of plain.matchAll(CITATION)) {
    const source = sources.find(({ index }) => index === Number(number));
    const address = source === undefined ? null : safeLink(source.url);
    if (source === undefined || address === null) continue;
    parts.push(
      plain.slice(from, at),
      <a
        key={at}
        className="cite"
        href={address}
        title={`${source.title}\n${address}`}
        aria-label={text.chat.source(source.index, source.title)}
        target="_blank"
        rel="noopener noreferrer nofollow"
        referrerPolicy="no-referrer"
      >
        {number}
      </a>,
    );
    from = at + whole.length;
  }
  return [...parts, plain.slice(from)];
}
