/** One message with what can be done with it. */

import {
  Check,
  ChevronLeft,
  ChevronRight,
  CircleAlert,
  CirclePause,
  Copy,
  Pencil,
  RefreshCw,
  StepForward,
} from 'lucide-react';
import { memo, type ReactNode, useEffect, useRef, useState } from 'react';
import { type Message, type Part, sourcesOf, textOfMessage } from '../api/messages.ts';
import { Markdown } from '../markdown/markdown.tsx';
import { text } from '../text.ts';
import { Button, cx, IconButton, OnlyHeard } from '../ui/controls.tsx';
import { useCopy } from '../ui/use-copy.ts';
import { Approvals, Picture, Reasoning, Sources, Tool } from './parts.tsx';

/** What the messages of a conversation may ask for; one object for all of them, so that they are not drawn for it. */
export interface Actions {
  regenerate(message: string): void;
  edit(message: string, parts: Part[]): void;
  decide(message: string, decisions: ReadonlyMap<string, boolean>): void;
  goOn(message: string): void;
  showBranch(message: string): void;
}

interface MessageViewProps {
  message: Message;
  actions: Actions;
  /** Nothing is being written: things can be asked for. */
  idle: boolean;
  editing: boolean;
  onEdit: (message: string | null) => void;
  last: boolean;
}

export const MessageView = memo(function MessageView(props: MessageViewProps) {
  return props.message.role === 'user' ? <Question {...props} /> : <Answer {...props} />;
});

function Question({ message, actions, idle, editing, onEdit }: MessageViewProps) {
  const { id, parts, siblings } = message;
  const said = textOfMessage(message);
  if (editing) {
    return (
      <EditBox
        initial={said}
        onCancel={() => onEdit(null)}
        onSend={(changed) => {
          onEdit(null);
          actions.edit(id, [{ type: 'text', text: changed }, ...parts.filter(({ type }) => type === 'image')]);
        }}
      />
    );
  }
  return (
    <article className="group/message flex flex-col items-end gap-1">
      <h2 className="sr-only">{text.chat.youSaid}</h2>
      <div className="flex max-w-[min(36rem,88%)] flex-col gap-2 rounded-3xl rounded-br-lg bg-bubble px-4 py-2.5">
        {parts.map((part, at) => part.type === 'image' && <Picture key={at} url={part.url} />)}
        {said !== '' && <p className="leading-relaxed [overflow-wrap:anywhere] whitespace-pre-wrap">{said}</p>}
      </div>
      <Bar>
        <BranchPicker id={id} siblings={siblings} idle={idle} onPick={actions.showBranch} />
        <CopyButton label={text.chat.copyMessage} value={said} />
        <IconButton small label={text.chat.edit} disabled={!idle} onClick={() => onEdit(id)}>
          <Pencil />
        </IconButton>
      </Bar>
    </article>
  );
}

function Answer({ message, actions, idle, last }: MessageViewProps) {
  const { id, parts, siblings, status } = message;
  const live = status === null;
  const sources = sourcesOf(message);
  const said = textOfMessage(message);
  return (
    <article className="group/message" aria-busy={live}>
      <h2 className="sr-only">{text.chat.answered}</h2>
      {parts.map((part, at) => (
        <PartView key={at} part={part} live={live && at === parts.length - 1} ended={!live} sources={sources} />
      ))}
      {live && parts.at(-1)?.type !== 'text' && <p className="caret py-1 text-sm text-quiet">{text.chat.thinking}</p>}
      {live && parts.at(-1)?.type === 'text' && <span className="caret" aria-hidden="true" />}
      <Sources sources={sources} />
      {!live && <Approvals message={message} idle={idle} onDecide={(decisions) => actions.decide(id, decisions)} />}
      {!live && <Ending message={message} idle={idle} actions={actions} />}
      {!live && (
        <Bar shown={last}>
          <BranchPicker id={id} siblings={siblings} idle={idle} onPick={actions.showBranch} />
          <CopyButton label={text.chat.copyAnswer} value={said} />
          <IconButton small label={text.chat.regenerate} disabled={!idle} onClick={() => actions.regenerate(id)}>
            <RefreshCw />
          </IconButton>
          <Figures message={message} />
        </Bar>
      )}
    </article>
  );
}

function PartView({
  part,
  live,
  ended,
  sources,
}: {
  part: Part;
  live: boolean;
  ended: boolean;
  sources: ReturnType<typeof sourcesOf>;
}) {
  switch (part.type) {
    case 'text':
      return (
        <Markdown live={live} sources={sources}>
          {part.text}
        </Markdown>
      );
    case 'reasoning':
      return <Reasoning part={part} />;
    case 'tool':
      return <Tool part={part} ended={ended} />;
    case 'image':
      return <Picture url={part.url} />;
    case 'source':
      return null;
  }
}

/** What is said under an answer that is not whole. */
function Ending({ message, idle, actions }: { message: Message; idle: boolean; actions: Actions }) {
  const { status, id, problem } = message;
  if (status === 'completed' || status === null) return null;
  const name = { incomplete: text.chat.interrupted, failed: text.chat.failed, cancelled: text.chat.stopped }[status];
  const broken = status !== 'cancelled';
  return (
    <div
      className={cx(
        'mt-3 flex flex-wrap items-center gap-x-3 gap-y-2 rounded-2xl px-4 py-2.5 text-sm',
        broken ? 'bg-warn-soft' : 'bg-sunken',
      )}
    >
      <span className={cx('flex items-center gap-2 font-semibold [&_svg]:size-4', broken ? 'text-warn' : 'text-quiet')}>
        {broken ? <CircleAlert /> : <CirclePause />}
        {name}
      </span>
      {broken && <span className="min-w-40 flex-1 text-quiet">{problem ?? text.chat.interruptedBody}</span>}
      <span className="flex gap-2">
        <Button disabled={!idle} onClick={() => actions.goOn(id)}>
          <StepForward className="size-3.5" />
          {text.chat.goOn}
        </Button>
        <Button kind="quiet" disabled={!idle} onClick={() => actions.regenerate(id)}>
          {text.retry}
        </Button>
      </span>
    </div>
  );
}

/** On a wide screen what can be done with a message shows when it is pointed at, or reached by the keyboard. */
function Bar({ children, shown = false }: { children: ReactNode; shown?: boolean }) {
  return (
    <div
      className={cx(
        'mt-1 flex min-h-7 flex-wrap items-center gap-0.5 transition-opacity',
        !shown &&
          'group-focus-within/message:opacity-100 group-hover/message:opacity-100 [@media(hover:hover)]:opacity-0',
      )}
    >
      {children}
    </div>
  );
}

function CopyButton({ label, value }: { label: string; value: string }) {
  const [copied, copy] = useCopy();
  return (
    <IconButton small label={copied ? text.copied : label} onClick={() => copy(value)}>
      {copied ? <Check /> : <Copy />}
    </IconButton>
  );
}

function BranchPicker(props: { id: string; siblings: string[]; idle: boolean; onPick: (message: string) => void }) {
  const { id, siblings, idle, onPick } = props;
  const at = siblings.indexOf(id);
  if (siblings.length < 2 || at === -1) return null;
  const before = siblings[at - 1];
  const next = siblings[at + 1];
  return (
    <fieldset className="flex items-center text-sm text-quiet tabular-nums">
      <legend className="sr-only">{text.chat.branch(at + 1, siblings.length)}</legend>
      <IconButton
        small
        label={text.chat.branchBefore}
        disabled={!idle || before === undefined}
        onClick={() => before !== undefined && onPick(before)}
      >
        <ChevronLeft />
      </IconButton>
      <span aria-hidden="true">
        {at + 1}/{siblings.length}
      </span>
      <IconButton
        small
        label={text.chat.branchNext}
        disabled={!idle || next === undefined}
        onClick={() => next !== undefined && onPick(next)}
      >
        <ChevronRight />
      </IconButton>
    </fieldset>
  );
}

/** Which model, how much of it, for how much: as far as it is known. */
function Figures({ message: { model, usage, cost } }: { message: Message }) {
  if (model === null && usage === null) return null;
  return (
    <span className="ms-1.5 flex min-w-0 items-center gap-1.5 truncate text-xs text-quiet">
      {model !== null && <span className="truncate">{model}</span>}
      {usage !== null && (
        <span title={text.chat.tokensInOut(usage.inputTokens, usage.outputTokens)}>
          <span aria-hidden="true">· </span>
          {text.chat.tokens(usage.inputTokens + usage.outputTokens)}
          <OnlyHeard>{text.chat.tokensInOut(usage.inputTokens, usage.outputTokens)}</OnlyHeard>
        </span>
      )}
      {cost !== null && <span>· {text.chat.cost(cost)}</span>}
    </span>
  );
}

function EditBox({
  initial,
  onSend,
  onCancel,
}: {
  initial: string;
  onSend: (text: string) => void;
  onCancel: () => void;
}) {
  const [value, setValue] = useState(initial);
  const field = useRef<HTMLTextAreaElement>(null);
  useEffect(() => {
    const area = field.current;
    area?.focus();
    area?.setSelectionRange(area.value.length, area.value.length);
  }, []);
  const send = (): void => {
    if (value.trim() !== '') onSend(value);
  };
  return (
    <form
      className="rounded-3xl border border-line bg-raised p-3 shadow-card"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <textarea
        ref={field}
        aria-label={text.chat.editLabel}
        value={value}
        onChange={(event) => setValue(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === 'Escape') {
            event.stopPropagation();
            onCancel();
          }
          if (event.key === 'Enter' && !event.shiftKey && !event.nativeEvent.isComposing) {
            event.preventDefault();
            send();
          }
        }}
        className="field-sizing-content max-h-[50dvh] min-h-16 w-full resize-none bg-transparent px-2 py-1 leading-relaxed outline-none"
      />
      <div className="mt-2 flex justify-end gap-2">
        <Button kind="quiet" onClick={onCancel}>
          {text.cancel}
        </Button>
        <Button kind="primary" type="submit" disabled={value.trim() === ''}>
          {text.chat.editSend}
        </Button>
      </div>
    </form>
  );
}
