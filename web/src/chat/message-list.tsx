/**
 * The messages: only those near the screen are there, so that thousands cost as much as a few. It follows the newest
 * words until somebody scrolls away, and older messages come in above without moving what is read.
 */

import { ArrowDown } from 'lucide-react';
import {
  type ReactNode,
  type Ref,
  useCallback,
  useEffect,
  useImperativeHandle,
  useLayoutEffect,
  useRef,
  useState,
} from 'react';
import { Virtualizer, type VirtualizerHandle } from 'virtua';
import type { Message } from '../api/messages.ts';
import type { ChatState } from '../state/chat.ts';
import { text } from '../text.ts';
import { Button, Spinner } from '../ui/controls.tsx';
import { type Actions, MessageView } from './message.tsx';

export interface MessageListHandle {
  /** Shows the newest message, and follows what comes. */
  toEnd(): void;
}

interface MessageListProps {
  ref: Ref<MessageListHandle>;
  state: ChatState;
  actions: Actions;
  editing: string | null;
  onEdit: (message: string | null) => void;
  onOlder: () => void;
  children: ReactNode;
}

/** So near the end counts as being there. Pixels. */
const NEAR_END = 40;
/** So near the beginning what is older is asked for. */
const NEAR_START = 1500;

export function MessageList({ ref, state, actions, editing, onEdit, onOlder, children }: MessageListProps) {
  const { messages, older, phase, load } = state;
  const scroller = useRef<HTMLDivElement>(null);
  const content = useRef<HTMLDivElement>(null);
  const rows = useRef<VirtualizerHandle>(null);
  const following = useRef(true);
  const [away, setAway] = useState(false);
  const last = useRef(0);

  const toEnd = useCallback(() => {
    const box = scroller.current;
    following.current = true;
    setAway(false);
    if (box !== null) box.scrollTop = box.scrollHeight;
  }, []);
  useImperativeHandle(ref, () => ({ toEnd }), [toEnd]);

  // Whatever makes the content longer: words, pictures, a folded part that is opened, another window size.
  useEffect(() => {
    const box = scroller.current;
    const inner = content.current;
    if (box === null || inner === null) return;
    const watch = new ResizeObserver(() => {
      if (following.current) box.scrollTop = box.scrollHeight;
    });
    watch.observe(inner);
    watch.observe(box);
    return () => watch.disconnect();
  }, []);

  const onScroll = (): void => {
    const box = scroller.current;
    if (box === null) return;
    const { scrollTop, scrollHeight, clientHeight } = box;
    const atEnd = scrollHeight - scrollTop - clientHeight < NEAR_END;
    if (atEnd) following.current = true;
    else if (scrollTop < last.current - 2) following.current = false;
    last.current = scrollTop;
    setAway(!atEnd && !following.current);
    if (scrollTop < NEAR_START && older === 'some') onOlder();
  };

  // A short page that does not fill the screen cannot be scrolled to ask for more.
  useEffect(() => {
    const box = scroller.current;
    if (older === 'some' && box !== null && box.scrollHeight < box.clientHeight + NEAR_START) onOlder();
  }, [older, onOlder, messages.length]);

  const first = messages[0]?.id;
  const before = useRef(first);
  const prepended = before.current !== first && messages.some(({ id }) => id === before.current);
  useLayoutEffect(() => {
    before.current = first;
  }, [first]);

  return (
    <div className="relative min-h-0 flex-1">
      <section
        ref={scroller}
        tabIndex={0}
        aria-label={text.chat.messages}
        onScroll={onScroll}
        className="h-full overflow-y-auto overscroll-contain [overflow-anchor:none] focus-visible:outline-offset-[-2px]"
      >
        <div ref={content} className="mx-auto flex min-h-full max-w-[52rem] flex-col px-4 pt-4 pb-6 sm:px-8">
          {load === 'loading' ? (
            <div className="grid flex-1 place-items-center">
              <Spinner />
            </div>
          ) : (
            <Virtualizer
              ref={rows}
              scrollRef={scroller}
              startMargin={16}
              data={messages}
              shift={prepended}
              bufferSize={600}
            >
              {(message: Message, at: number) => (
                <div key={keyOf(messages, at)} className={message.role === 'user' ? 'pt-2' : 'pt-1 pb-3'}>
                  <MessageView
                    message={message}
                    actions={actions}
                    idle={phase === 'idle'}
                    editing={editing === message.id}
                    onEdit={onEdit}
                    last={at === messages.length - 1}
                  />
                </div>
              )}
            </Virtualizer>
          )}
          {children}
        </div>
      </section>
      {older === 'loading' && (
        <p className="absolute inset-x-0 top-2 mx-auto flex w-fit items-center gap-2 rounded-full border border-line bg-raised px-3 py-1 text-xs text-quiet shadow-card">
          <Spinner className="[&>span]:size-3" />
          {text.chat.loadingOlder}
        </p>
      )}
      {older === 'failed' && (
        <p className="absolute inset-x-0 top-2 mx-auto flex w-fit items-center gap-2 rounded-full border border-line bg-raised py-1 ps-4 pe-1 text-sm shadow-card">
          {text.chat.older}
          <Button kind="quiet" onClick={onOlder}>
            {text.retry}
          </Button>
        </p>
      )}
      {away && (
        <button
          type="button"
          aria-label={text.chat.toEnd}
          title={text.chat.toEnd}
          onClick={toEnd}
          className="absolute inset-x-0 bottom-3 mx-auto grid size-10 animate-[rise_0.15s_ease-out] place-items-center rounded-full border border-line bg-raised text-quiet shadow-float hover:text-ink"
        >
          <ArrowDown className="size-5" />
        </button>
      )}
    </div>
  );
}

/** An answer is known by its question, since it has no id of its own while it begins. */
function keyOf(messages: readonly Message[], at: number): string {
  const message = messages[at];
  if (message === undefined || message.role === 'user') return message?.id ?? String(at);
  const before = messages[at - 1];
  return before === undefined ? message.id : `after ${before.id}`;
}
