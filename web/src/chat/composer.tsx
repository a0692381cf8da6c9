/** Where messages are written. */

import {
  ArrowUp,
  Bot,
  Check,
  ChevronDown,
  Clapperboard,
  Globe,
  ImagePlus,
  MessageCircle,
  Square,
  X,
} from 'lucide-react';
import { type ClipboardEvent, type DragEvent, type KeyboardEvent, type Ref, useEffect, useRef, useState } from 'react';
import type { Part } from '../api/messages.ts';
import { draftOf, keepDraft } from '../state/local.ts';
import { chosenAssistant, chosenModel, internet } from '../state/preferences.ts';
import { offered, session } from '../state/session.ts';
import { useStore } from '../state/store.ts';
import { say } from '../state/toasts.ts';
import { text } from '../text.ts';
import { cx, IconButton } from '../ui/controls.tsx';
import { Menu, MenuItem } from '../ui/menu.tsx';
import { imagesIn, MAX_IMAGES, readImage } from './images.ts';

interface ComposerProps {
  /** Whose draft this is. */
  chat: string;
  /** The assistant can be chosen for a conversation that is to be made. */
  isNew: boolean;
  busy: boolean;
  stopping: boolean;
  onSend: (parts: Part[]) => void;
  onStop: () => void;
  /** The arrow up in an empty field. */
  onEditLast: () => void;
  field: Ref<HTMLTextAreaElement>;
}

const DRAFT_MS = 300;

export function Composer({ chat, isNew, busy, stopping, onSend, onStop, onEditLast, field }: ComposerProps) {
  const [value, setValue] = useState(() => draftOf(chat));
  const [images, setImages] = useState<string[]>([]);
  const [dropping, setDropping] = useState(false);
  const picker = useRef<HTMLInputElement>(null);
  const takesImages = useTakesImages();

  useEffect(() => {
    const timer = setTimeout(() => keepDraft(chat, value), DRAFT_MS);
    return () => clearTimeout(timer);
  }, [chat, value]);

  // What was written just before the page is left or another conversation shown is kept, too.
  const latest = useRef({ chat, value });
  if (latest.current.chat !== chat) keepDraft(latest.current.chat, '');
  latest.current = { chat, value };
  useEffect(() => {
    const keep = (): void => keepDraft(latest.current.chat, latest.current.value);
    window.addEventListener('pagehide', keep);
    return () => {
      window.removeEventListener('pagehide', keep);
      keep();
    };
  }, []);

  const ready = value.trim() !== '' || images.length > 0;
  const send = (): void => {
    if (!ready || busy) return;
    const parts: Part[] = images.map((url) => ({ type: 'image', url }));
    if (value.trim() !== '') parts.push({ type: 'text', text: value });
    setValue('');
    latest.current = { chat, value: '' };
    setImages([]);
    keepDraft(chat, '');
    onSend(parts);
  };

  const add = async (files: File[]): Promise<void> => {
    const room = MAX_IMAGES - images.length;
    if (files.length > room) say({ message: text.composer.imageTooMany(MAX_IMAGES), tone: 'error' });
    for (const file of files.slice(0, Math.max(0, room))) {
      try {
        const url = await readImage(file);
        setImages((now) => [...now, url].slice(0, MAX_IMAGES));
      } catch {
        say({ message: text.composer.imageFailed(file.name), tone: 'error' });
      }
    }
  };

  const onPaste = (event: ClipboardEvent): void => {
    const files = imagesIn(event.clipboardData);
    if (!takesImages || files.length === 0) return;
    event.preventDefault();
    void add(files);
  };
  const onDrop = (event: DragEvent): void => {
    event.preventDefault();
    setDropping(false);
    if (takesImages) void add(imagesIn(event.dataTransfer));
  };
  const onKeyDown = (event: KeyboardEvent<HTMLTextAreaElement>): void => {
    if (event.key === 'Enter' && !event.shiftKey && !event.nativeEvent.isComposing) {
      event.preventDefault();
      send();
    }
    if (event.key === 'ArrowUp' && value === '') {
      event.preventDefault();
      onEditLast();
    }
  };

  return (
    <form
      className={cx(
        'relative rounded-[1.75rem] border bg-raised shadow-card transition-[border-color,box-shadow] focus-within:border-accent/60 focus-within:shadow-float',
        dropping ? 'border-accent' : 'border-line',
      )}
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
      onDragOver={(event) => {
        if (!takesImages || !event.dataTransfer.types.includes('Files')) return;
        event.preventDefault();
        setDropping(true);
      }}
      onDragLeave={() => setDropping(false)}
      onDrop={onDrop}
    >
      {dropping && (
        <p className="absolute inset-0 z-10 grid place-items-center rounded-[1.75rem] bg-accent-soft font-medium text-accent-strong">
          {text.composer.dropHere}
        </p>
      )}
      {images.length > 0 && (
        <ul className="flex flex-wrap gap-2 px-4 pt-4">
          {images.map((url, at) => (
            <li key={url.slice(-64)} className="relative">
              <img src={url} alt={text.chat.image} className="size-16 rounded-xl border border-line object-cover" />
              <button
                type="button"
                aria-label={text.composer.removeImage}
                onClick={() => setImages((now) => now.filter((_, other) => other !== at))}
                className="absolute -end-2 -top-2 grid size-6 place-items-center rounded-full border border-line bg-raised text-quiet hover:text-ink [&_svg]:size-3.5"
              >
                <X />
              </button>
            </li>
          ))}
        </ul>
      )}
      <textarea
        ref={field}
        rows={1}
        value={value}
        aria-label={text.composer.label}
        placeholder={text.composer.placeholder}
        onChange={(event) => setValue(event.target.value)}
        onKeyDown={onKeyDown}
        onPaste={onPaste}
        enterKeyHint="send"
        className="field-sizing-content block max-h-[min(20rem,40dvh)] min-h-13 w-full resize-none bg-transparent px-5 pt-4 pb-1 leading-relaxed outline-none"
      />
      <div className="flex items-center gap-1 p-2 ps-3">
        {takesImages && (
          <>
            <IconButton label={text.composer.attach} onClick={() => picker.current?.click()} className="rounded-full">
              <ImagePlus />
            </IconButton>
            <input
              ref={picker}
              type="file"
              accept="image/*"
              multiple
              hidden
              onChange={(event) => {
                void add([...(event.target.files ?? [])]);
                event.target.value = '';
              }}
            />
          </>
        )}
        <InternetSwitch />
        {isNew && <AssistantPicker />}
        <ModelPicker />
        <span className="flex-1" />
        {busy ? (
          <button
            type="button"
            aria-label={text.composer.stop}
            title={text.composer.stop}
            disabled={stopping}
            onClick={onStop}
            className="grid size-10 shrink-0 place-items-center rounded-full bg-ink text-paper transition-opacity hover:opacity-85 disabled:opacity-50"
          >
            <Square className="size-3.5 fill-current" />
          </button>
        ) : (
          <button
            type="submit"
            aria-label={text.composer.send}
            title={text.composer.send}
            disabled={!ready}
            className="grid size-10 shrink-0 place-items-center rounded-full bg-accent text-on-accent transition-colors hover:bg-accent-strong disabled:bg-hover disabled:text-quiet"
          >
            <ArrowUp className="size-5" />
          </button>
        )}
      </div>
    </form>
  );
}

/** Whether the chosen model looks at images; one of which nothing is known may. The guide does not. */
function useTakesImages(): boolean {
  const { models } = useStore(offered);
  const state = useStore(session);
  const chosen = useStore(chosenModel);
  if (state.state !== 'known') return false;
  const name = models.some(({ id }) => id === chosen) ? chosen : state.models.default;
  if (name === null || (state.models.guide && name === state.models.default)) return false;
  return models.find(({ id }) => id === name)?.images ?? true;
}

const CHIP =
  'inline-flex min-h-9 min-w-0 items-center gap-1.5 rounded-full px-3 text-sm transition-colors [&_svg]:size-4 [&_svg]:shrink-0';

function InternetSwitch() {
  const on = useStore(internet) === 'on';
  return (
    <button
      type="button"
      role="switch"
      aria-checked={on}
      aria-label={text.composer.internet}
      title={text.composer.internet}
      onClick={() => internet.set(on ? 'off' : 'on')}
      className={cx(CHIP, on ? 'bg-accent-soft text-accent-strong' : 'text-quiet hover:bg-hover hover:text-ink')}
    >
      <Globe />
      <span className="max-sm:sr-only">{text.composer.internetShort}</span>
    </button>
  );
}

const FILTER_FROM = 9;

function ModelPicker() {
  const { models } = useStore(offered);
  const state = useStore(session);
  const wanted = useStore(chosenModel);
  const [filter, setFilter] = useState('');
  if (state.state !== 'known' || models.length === 0) return null;
  const { default: usual } = state.models;
  const chosen = models.some(({ id }) => id === wanted) ? wanted : null;
  const shown = models.filter(({ id }) => id.toLowerCase().includes(filter.trim().toLowerCase()));
  const name = chosen ?? usual ?? text.composer.defaultModel;
  return (
    <Menu
      label={`${text.composer.model}: ${name}`}
      side="top"
      width="w-72 max-w-[calc(100vw-1rem)]"
      buttonClass={cx(CHIP, 'text-quiet hover:bg-hover hover:text-ink')}
      button={
        <>
          <span className="truncate">{shortName(name)}</span>
          <ChevronDown />
        </>
      }
    >
      {(close) => (
        <>
          {models.length >= FILTER_FROM && (
            <input
              aria-label={text.composer.filterModels}
              placeholder={text.composer.filterModels}
              value={filter}
              onChange={(event) => setFilter(event.target.value)}
              className="mb-1 w-full rounded-xl bg-sunken px-3 py-2 text-sm"
            />
          )}
          {shown.map(({ id }) => (
            <MenuItem
              key={id}
              checked={id === (chosen ?? usual)}
              icon={id === (chosen ?? usual) ? <Check /> : <span className="size-4" />}
              detail={id === usual ? text.composer.defaultModel : ''}
              onSelect={() => {
                chosenModel.set(id === usual ? null : id);
                setFilter('');
                close();
              }}
            >
              {id}
            </MenuItem>
          ))}
        </>
      )}
    </Menu>
  );
}

/** `ollama/llama3.2` as `llama3.2`: where from is in the list. */
function shortName(model: string): string {
  return model.slice(model.lastIndexOf('/') + 1);
}

const ASSISTANT_ICONS: Record<string, typeof Bot> = { default: MessageCircle, movies: Clapperboard };

function AssistantPicker() {
  const { assistants } = useStore(offered);
  const wanted = useStore(chosenAssistant);
  if (assistants.length < 2) return null;
  const chosen = assistants.find(({ id }) => id === (wanted ?? 'default')) ?? assistants[0];
  if (chosen === undefined) return null;
  const Icon = ASSISTANT_ICONS[chosen.id] ?? Bot;
  return (
    <Menu
      label={`${text.composer.assistant}: ${chosen.name}`}
      side="top"
      width="w-72 max-w-[calc(100vw-1rem)]"
      buttonClass={cx(CHIP, 'text-quiet hover:bg-hover hover:text-ink')}
      button={
        <>
          <Icon />
          <span className="truncate max-sm:sr-only">{chosen.name}</span>
          <ChevronDown />
        </>
      }
    >
      {(close) =>
        assistants.map(({ id, name, description }) => {
          const Own = ASSISTANT_ICONS[id] ?? Bot;
          return (
            <MenuItem
              key={id}
              checked={id === chosen.id}
              icon={<Own />}
              detail={description}
              onSelect={() => {
                chosenAssistant.set(id === 'default' ? null : id);
                close();
              }}
            >
              {name}
            </MenuItem>
          );
        })
      }
    </Menu>
  );
}
