/** What an answer consists of beside its text: reasoning, tools, sources, images. */

import { Brain, ChevronRight, CircleAlert, Globe, ShieldQuestion, Wrench } from 'lucide-react';
import { memo, type ReactNode, useState } from 'react';
import type { Message, ReasoningPart, SourcePart, ToolPart } from '../api/messages.ts';
import { hostOf, safeLink } from '../markdown/links.ts';
import { Markdown } from '../markdown/markdown.tsx';
import { text } from '../text.ts';
import { Button, cx, Spinner } from '../ui/controls.tsx';

function Folded({
  icon,
  title,
  busy,
  children,
}: {
  icon: ReactNode;
  title: ReactNode;
  busy: boolean;
  children: ReactNode;
}) {
  return (
    <details className="group my-2 text-sm">
      <summary className="inline-flex min-h-8 max-w-full list-none items-center gap-2 rounded-full border border-line bg-raised px-3 text-quiet hover:bg-hover hover:text-ink [&_svg]:size-3.5 [&::-webkit-details-marker]:hidden">
        {busy ? <Spinner /> : icon}
        <span className="truncate">{title}</span>
        <ChevronRight className="shrink-0 transition-transform group-open:rotate-90" />
      </summary>
      <div className="mt-2 ms-3.5 border-s-2 border-line ps-4 text-quiet">{children}</div>
    </details>
  );
}

export const Reasoning = memo(function Reasoning({ part }: { part: ReasoningPart }) {
  return (
    <Folded icon={<Brain />} busy={part.open} title={part.open ? text.chat.reasoningOpen : text.chat.reasoning}>
      <Markdown live={part.open}>{part.text}</Markdown>
    </Folded>
  );
});

export const Tool = memo(function Tool({ part, ended }: { part: ToolPart; ended: boolean }) {
  const { name, state, input, output } = part;
  const busy = !ended && (state === 'writing' || state === 'running');
  const known = state === 'writing' || state === 'running' || state === 'done' ? text.chat.webTools[name] : undefined;
  const title = known === undefined ? text.chat.tool[state](name) : state === 'done' ? known.done : known.busy;
  const icon = state === 'failed' || state === 'denied' ? <CircleAlert /> : known ? <Globe /> : <Wrench />;
  return (
    <Folded icon={icon} busy={busy} title={title}>
      <ToolText label={text.chat.tool.input} value={input} />
      {output !== null && <ToolText label={text.chat.tool.output} value={output} />}
    </Folded>
  );
});

function ToolText({ label, value }: { label: string; value: string }) {
  return (
    <div className="mb-2">
      <p className="mb-1 text-xs font-semibold">{label}</p>
      <pre
        tabIndex={0}
        className="max-h-64 overflow-auto rounded-xl bg-sunken p-3 font-mono text-xs whitespace-pre-wrap"
      >
        {value}
      </pre>
    </div>
  );
}

interface ApprovalsProps {
  message: Message;
  idle: boolean;
  onDecide: (decisions: ReadonlyMap<string, boolean>) => void;
}

/** Calls that wait for a person's word. They are sent together, when each has its own. */
export function Approvals({ message, idle, onDecide }: ApprovalsProps) {
  const asking = message.parts.filter((part) => part.type === 'tool' && part.state === 'asking') as ToolPart[];
  const [decided, setDecided] = useState<ReadonlyMap<string, boolean>>(new Map());
  const decide = (id: string, approved: boolean): void => {
    const now = new Map(decided).set(id, approved);
    setDecided(now);
    if (asking.every(({ approval }) => approval === null || now.has(approval))) onDecide(now);
  };
  return asking.map(({ approval, name, input }) =>
    approval === null || decided.has(approval) ? null : (
      <section
        key={approval}
        aria-label={text.chat.approval.title(name)}
        className="mt-3 rounded-2xl border border-accent/50 bg-accent-soft p-4 text-sm"
      >
        <p className="mb-2 flex items-center gap-2 font-semibold [&_svg]:size-4">
          <ShieldQuestion />
          {text.chat.approval.title(name)}
        </p>
        <ToolText label={text.chat.tool.input} value={input} />
        <div className="flex gap-2">
          <Button kind="primary" disabled={!idle} onClick={() => decide(approval, true)}>
            {text.chat.approval.allow}
          </Button>
          <Button disabled={!idle} onClick={() => decide(approval, false)}>
            {text.chat.approval.deny}
          </Button>
        </div>
      </section>
    ),
  );
}

/** The pages an answer stands on, with what was read of them. */
export const Sources = memo(function Sources({ sources }: { sources: readonly SourcePart[] }) {
  if (sources.length === 0) return null;
  return (
    <section className="mt-4" aria-label={text.chat.sources(sources.length)}>
      <p className="mb-2 flex items-center gap-2 text-xs font-semibold text-quiet [&_svg]:size-3.5">
        <Globe />
        {text.chat.sources(sources.length)}
      </p>
      <ol className="grid gap-2 sm:grid-cols-2">
        {sources.map((source) => (
          <li key={source.index} className="min-w-0">
            <SourceCard source={source} />
          </li>
        ))}
      </ol>
    </section>
  );
});

function SourceCard({ source }: { source: SourcePart }) {
  const { index, title, url, evidence } = source;
  const address = safeLink(url);
  const head = (
    <>
      <span className="grid size-5 shrink-0 place-items-center rounded-md bg-accent-soft text-xs font-semibold text-accent-strong">
        {index}
      </span>
      <span className="min-w-0">
        <span className="block truncate font-medium text-ink">{title || hostOf(url)}</span>
        <span className="block truncate text-xs text-quiet">{hostOf(url)}</span>
      </span>
    </>
  );
  const className = 'flex items-center gap-3 px-3 py-2.5 text-sm';
  return (
    <div className="h-full overflow-hidden rounded-2xl border border-line bg-raised">
      {address === null ? (
        <div className={className}>{head}</div>
      ) : (
        <a
          href={address}
          target="_blank"
          rel="noopener noreferrer nofollow"
          referrerPolicy="no-referrer"
          className={cx(className, 'hover:bg-hover focus-visible:outline-offset-[-2px]')}
        >
          {head}
        </a>
      )}
      {evidence !== null && evidence.quotes.length > 0 && (
        <details className="border-t border-line text-xs text-quiet">
          <summary className="px-3 py-2 hover:bg-hover focus-visible:outline-offset-[-2px]">
            {(evidence.of === 'page' ? text.chat.readAt : text.chat.foundAt)(new Date(evidence.readAt))}
          </summary>
          {evidence.quotes.map((quote) => (
            <blockquote key={quote} className="mx-3 mb-3 border-s-2 border-line ps-3 whitespace-pre-wrap">
              {quote}
            </blockquote>
          ))}
        </details>
      )}
    </div>
  );
}

/** A picture of the message's own; one at another server's address is a link. */
export function Picture({ url }: { url: string }) {
  if (/^data:image\/(png|jpeg|gif|webp|avif);/i.test(url)) {
    return (
      <img
        src={url}
        alt={text.chat.image}
        className="max-h-72 max-w-full rounded-2xl border border-line object-contain"
      />
    );
  }
  const address = safeLink(url);
  if (address === null) return null;
  return (
    <a
      className="text-accent underline"
      href={address}
      target="_blank"
      rel="noopener noreferrer nofollow"
      referrerPolicy="no-referrer"
    >
      {text.chat.picture(hostOf(address))}
    </a>
  );
}
