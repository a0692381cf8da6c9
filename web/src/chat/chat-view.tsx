/** One conversation: its messages, and the place to write. */

import { CircleAlert, RefreshCw } from 'lucide-react';
import { useEffect, useMemo, useRef, useState } from 'react';
import { type Message, type Part, textOfMessage } from '../api/messages.ts';
import type { Chat, ChatState, SendOptions } from '../state/chat.ts';
import { chosenAssistant, chosenModel, internet } from '../state/preferences.ts';
import { goToNew } from '../state/route.ts';
import { offered } from '../state/session.ts';
import { useStore } from '../state/store.ts';
import { text } from '../text.ts';
import { Button } from '../ui/controls.tsx';
import { Composer } from './composer.tsx';
import { GuideNote } from './guide-note.tsx';
import type { Actions } from './message.tsx';
import { MessageList, type MessageListHandle } from './message-list.tsx';
import { Welcome } from './welcome.tsx';

export function ChatView({ chat }: { chat: Chat }) {
  const state = useStore(chat.state);
  const [editing, setEditing] = useState<string | null>(null);
  const list = useRef<MessageListHandle>(null);
  const field = useRef<HTMLTextAreaElement>(null);
  const { messages, phase, load } = state;
  const busy = phase !== 'idle';
  const isEmpty = load === 'ready' && messages.length === 0;

  const actions = useMemo(
    (): Actions => ({
      regenerate: (message) => chat.regenerate(message, options()),
      edit: (message, parts) => {
        list.current?.toEnd();
        chat.edit(message, parts, options());
      },
      decide: (message, decisions) => chat.decide(message, decisions, options()),
      goOn: (message) => void chat.goOn(message),
      showBranch: (message) => void chat.showBranch(message),
    }),
    [chat],
  );
  const send = (parts: Part[]): void => {
    list.current?.toEnd();
    chat.send(parts, options());
  };

  useEffect(() => {
    // On a phone the keyboard would cover what somebody came to read.
    if (matchMedia('(hover: hover)').matches) field.current?.focus();
  }, []);
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      if (event.key === 'Escape' && busy && document.querySelector('dialog[open], [role="menu"]') === null) {
        void chat.stop();
      }
    };
    window.addEventListener('keydown', onKey);
    return () => window.removeEventListener('keydown', onKey);
  }, [chat, busy]);

  if (load === 'missing' || load === 'failed') return <Absent chat={chat} load={load} />;
  return (
    <div className="flex h-full min-h-0 flex-col">
      {isEmpty ? (
        <Welcome onPick={(prompt) => send([{ type: 'text', text: prompt }])} />
      ) : (
        <MessageList
          ref={list}
          state={state}
          actions={actions}
          editing={editing}
          onEdit={setEditing}
          onOlder={() => void chat.loadOlder()}
        >
          <Foot state={state} chat={chat} />
        </MessageList>
      )}
      <div className="relative mx-auto w-full max-w-[52rem] px-3 pb-[max(0.75rem,env(safe-area-inset-bottom))] sm:px-6">
        <Composer
          chat={state.isNew ? 'new' : state.id}
          isNew={state.isNew}
          busy={busy}
          stopping={state.stopping}
          onSend={send}
          onStop={() => void chat.stop()}
          onEditLast={() => {
            const last = messages.findLast(({ role }) => role === 'user');
            if (last !== undefined && !busy) setEditing(last.id);
          }}
          field={field}
        />
        <GuideNote />
      </div>
      <Announcer state={state} />
    </div>
  );
}

function options(): SendOptions {
  const wanted = chosenModel.get();
  return {
    model: offered.get().models.some(({ id }) => id === wanted) ? wanted : null,
    assistant: chosenAssistant.get(),
    internet: internet.get() === 'on',
  };
}

/** Behind the newest message: what is being waited for, or what went wrong. */
function Foot({ state: { messages, phase, failure, load }, chat }: { state: ChatState; chat: Chat }) {
  const last = messages.at(-1);
  if (load !== 'ready') return null;
  if (phase === 'reconnecting') {
    return <p className="caret py-3 text-sm text-quiet">{text.chat.reconnecting}</p>;
  }
  if (phase !== 'idle')
    return last?.role === 'user' ? <p className="caret py-3 text-sm text-quiet">{text.chat.thinking}</p> : null;
  if (failure === null && last?.role !== 'user') return null;
  const again = failure?.retry ?? (last === undefined ? null : () => chat.regenerate(last.id, options()));
  return (
    <div role="alert" className="my-3 flex flex-wrap items-center gap-3 rounded-2xl bg-danger-soft px-4 py-3 text-sm">
      <CircleAlert className="size-4 shrink-0 text-danger" />
      <span className="min-w-40 flex-1 text-ink">{failure?.message || text.chat.unanswered}</span>
      {again !== null && (
        <Button onClick={again}>
          <RefreshCw className="size-3.5" />
          {text.retry}
        </Button>
      )}
    </div>
  );
}

function Absent({ chat, load }: { chat: Chat; load: 'missing' | 'failed' }) {
  return (
    <div className="grid h-full place-items-center p-6 text-center">
      <div>
        <p className="mb-4 font-serif text-2xl">{load === 'missing' ? text.chat.missing : text.chat.loadFailed}</p>
        {load === 'failed' ? (
          <Button kind="primary" onClick={() => chat.open()}>
            {text.retry}
          </Button>
        ) : (
          <Button kind="primary" onClick={goToNew}>
            {text.chat.startNew}
          </Button>
        )}
      </div>
    </div>
  );
}

/** Says once that an answer is complete, and what it says: not each word as it comes. */
function Announcer({ state: { phase, finished, messages } }: { state: ChatState }) {
  const [said, setSaid] = useState('');
  const before = useRef(finished);
  useEffect(() => {
    if (phase === 'answering') setSaid(text.chat.begun);
  }, [phase]);
  useEffect(() => {
    if (before.current === finished) return;
    before.current = finished;
    setSaid(summaryOf(messages.at(-1)));
  }, [finished, messages]);
  return (
    <p role="status" aria-live="polite" className="sr-only">
      {said}
    </p>
  );
}

const SPOKEN = 300;

function summaryOf(message: Message | undefined): string {
  if (message?.role !== 'assistant') return text.chat.ended.failed;
  const { status } = message;
  if (status !== 'completed' && status !== null) return text.chat.ended[status];
  const said = textOfMessage(message);
  return `${text.chat.complete} ${said.slice(0, SPOKEN)}${said.length > SPOKEN ? '…' : ''}`;
}
