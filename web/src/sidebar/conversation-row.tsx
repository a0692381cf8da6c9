import { Archive, ArchiveRestore, Ellipsis, Pencil, Trash2 } from 'lucide-react';
import { memo, useRef, useState } from 'react';
import type { Conversation } from '../api/conversations.ts';
import { removeLater, rename, setArchived, titleOf } from '../state/conversations.ts';
import { addressOf, follow } from '../state/route.ts';
import { text } from '../text.ts';
import { cx } from '../ui/controls.tsx';
import { Menu, MenuItem } from '../ui/menu.tsx';

interface RowProps {
  conversation: Conversation;
  shown: boolean;
  onLeave: () => void;
}

export const ConversationRow = memo(function ConversationRow({ conversation, shown, onLeave }: RowProps) {
  const [naming, setNaming] = useState(false);
  const title = titleOf(conversation);
  if (naming) return <NameField conversation={conversation} onDone={() => setNaming(false)} />;
  return (
    <div
      className={cx(
        'group/row relative flex items-center rounded-xl text-sm',
        shown ? 'bg-hover font-medium' : 'hover:bg-hover',
      )}
    >
      <a
        href={addressOf(conversation.id)}
        aria-current={shown ? 'page' : undefined}
        onClick={(event) => follow(event) && onLeave()}
        onDoubleClick={() => setNaming(true)}
        onKeyDown={(event) => {
          if (event.key === 'F2') setNaming(true);
          if (event.key === 'Delete') removeLater(conversation);
        }}
        className="min-w-0 flex-1 truncate rounded-xl px-3 py-2 focus-visible:outline-offset-[-2px]"
      >
        {title}
      </a>
      <Menu
        label={text.sidebar.options(title)}
        align="end"
        buttonClass={cx(
          'me-1 grid size-7 shrink-0 place-items-center rounded-lg text-quiet hover:text-ink focus-visible:opacity-100 aria-expanded:opacity-100 [&_svg]:size-4',
          !shown && 'group-hover/row:opacity-100 [@media(hover:hover)]:opacity-0',
        )}
        button={<Ellipsis />}
      >
        {(close) => (
          <>
            <MenuItem
              icon={<Pencil />}
              onSelect={() => {
                close();
                setNaming(true);
              }}
            >
              {text.sidebar.rename}
            </MenuItem>
            <MenuItem
              icon={conversation.archived ? <ArchiveRestore /> : <Archive />}
              onSelect={() => {
                close();
                void setArchived(conversation, !conversation.archived);
              }}
            >
              {conversation.archived ? text.sidebar.fromArchive : text.sidebar.toArchive}
            </MenuItem>
            <MenuItem
              danger
              icon={<Trash2 />}
              onSelect={() => {
                close();
                removeLater(conversation);
              }}
            >
              {text.sidebar.remove}
            </MenuItem>
          </>
        )}
      </Menu>
    </div>
  );
});

const MAX_TITLE = 255;

function NameField({ conversation, onDone }: { conversation: Conversation; onDone: () => void }) {
  const done = useRef(false);
  const finish = (value: string | null): void => {
    if (done.current) return;
    done.current = true;
    const title = value?.trim() ?? '';
    if (title !== '' && title !== conversation.title) void rename(conversation, title);
    onDone();
  };
  return (
    <input
      // biome-ignore lint/a11y/noAutofocus: it takes the place of what was just chosen to be renamed
      autoFocus
      aria-label={text.sidebar.newName}
      defaultValue={conversation.title ?? ''}
      maxLength={MAX_TITLE}
      onFocus={(event) => event.target.select()}
      onBlur={(event) => finish(event.target.value)}
      onKeyDown={(event) => {
        event.stopPropagation();
        if (event.key === 'Enter') finish(event.currentTarget.value);
        if (event.key === 'Escape') finish(null);
      }}
      className="w-full rounded-xl bg-raised px-3 py-2 text-sm"
    />
  );
}
