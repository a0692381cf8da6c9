/** `chat`: a conversation in the terminal with a running server. Piped, it answers once and ends. */

import { createInterface, emitKeypressEvents } from 'node:readline';
import { text as readAll } from 'node:stream/consumers';
import type { Config } from '../config.ts';
import { nearest } from '../nearest.ts';
import { type Chat, type ChatClient, createChatClient } from './chat-client.ts';
import { CommandError, type Invocation, UsageError } from './command.ts';
import { harmless, oneLine, print, say, styled, table, when } from './terminal.ts';

/** Exit code of a command that was ended by Ctrl-C. */
const INTERRUPTED = 130;
const SHOWN_ENTRIES = 10;
const SHOWN_CHATS = 30;

export async function chat(invocation: Invocation): Promise<number> {
  const config = await invocation.config();
  const client = createChatClient({
    url: readUrl(invocation.text('url') ?? defaultUrl(config)),
    key: invocation.text('key') ?? config.clientKey,
    user: invocation.text('user'),
  });
  const opened = invocation.text('open');
  const session: Session = { client, chat: null, listed: [] };
  if (opened !== null) session.chat = (await client.find(opened)).id;
  if (invocation.args.length > 0) return once(session, invocation.args.join(' '));
  if (!process.stdin.isTTY) return once(session, (await readAll(process.stdin)).replace(/\r?\n$/, ''));
  return converse(session);
}

/** A server that listens everywhere is reached at loopback. */
function defaultUrl({ listen }: Config): string {
  const host = listen.hosts.find((one) => !['0.0.0.0', '::'].includes(one)) ?? '127.0.0.1';
  return `http://${host.includes(':') ? `[${host}]` : host}:${listen.port}`;
}

function readUrl(text: string): string {
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol)) {
    throw new UsageError('--url must be the http or https address of a server, such as http://127.0.0.1:8000.');
  }
  return text.replace(/\/+$/, '');
}

interface Session {
  client: ChatClient;
  /** The id of the open chat; null until the first message of a new one. */
  chat: string | null;
  /** What `/list` showed last: `/open 2` is its second. */
  listed: Chat[];
}

async function once(session: Session, message: string): Promise<number> {
  if (message.trim() === '') throw new UsageError('There is no message: write one behind "chat", or pipe one in.');
  return (await ask(session, message)) ? 0 : INTERRUPTED;
}

/** Sends a message and writes its answer as it comes. Ctrl-C stops the answer, a second one leaves it: then false. */
async function ask(session: Session, message: string): Promise<boolean> {
  const { write, cut, end } = createAnswerText();
  const begun = (chat: string) => {
    session.chat = chat;
  };
  const asking = session.client.ask(session.chat, message, { begun, text: write, cut });
  let interrupts = 0;
  const interrupt = () => (interrupts++ === 0 ? asking.stop() : asking.leave());
  process.on('SIGINT', interrupt);
  try {
    const ended = await asking.ended;
    end(NOTES[ended]);
    return ended === 'answered';
  } catch (error) {
    end('');
    throw error;
  } finally {
    process.off('SIGINT', interrupt);
  }
}

const NOTES = {
  answered: '',
  stopped: 'Stopped; what was written is kept.',
  left: 'Left; the answer goes on being written.',
};

/** On a terminal without what it would obey; into a pipe as it is. */
function createAnswerText() {
  const { stdout, stderr } = process;
  let atStart = true;
  let waiting = false;
  return {
    write(text: string): void {
      if (waiting && stderr.isTTY) stderr.write('\r\x1b[K');
      waiting = false;
      stdout.write(stdout.isTTY ? harmless(text) : text);
      atStart = text.endsWith('\n');
    },
    cut(): void {
      if (!waiting && stderr.isTTY) stderr.write(styled('dim', `${atStart ? '' : '\n'}… reconnecting`, stderr));
      waiting = true;
    },
    end(note: string): void {
      if (waiting || !atStart) stdout.write('\n');
      if (note !== '') say(styled('dim', note, stderr));
    },
  };
}

// ---- in conversation

async function converse(session: Session): Promise<number> {
  await session.client.list();
  say(styled('dim', 'Ctrl-C stops an answer, /help lists the commands, Ctrl-D leaves.', process.stderr));
  if (session.chat !== null) await open(session, await session.client.find(session.chat));
  const history: string[] = [];
  for (;;) {
    const message = await readMessage(history);
    if (message === null || message.trim() === '/quit') return 0;
    if (message.trim() === '') continue;
    try {
      if (!(await obey(session, message))) await ask(session, message);
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      say(styled('red', harmless(error.message), process.stderr));
    }
  }
}

interface SlashCommand {
  args: string;
  help: string;
  run(session: Session, arg: string): Promise<void>;
}

const COMMANDS: Record<string, SlashCommand> = {
  new: { args: '', help: 'begin a new chat', run: begin },
  list: { args: '', help: 'the newest chats', run: list },
  open: { args: 'N', help: 'go on with a chat: its number in /list, or its id', run: openNamed },
  title: { args: 'TEXT', help: 'name this chat', run: rename },
  delete: { args: '', help: 'delete this chat and all of its messages', run: remove },
  help: { args: '', help: 'this list', run: async () => help() },
  quit: { args: '', help: 'leave; Ctrl-D does too', run: async () => {} },
};

/** Whether it was a command. What begins with a slash and is none is a message: the built-in guide has some of its own. */
async function obey(session: Session, message: string): Promise<boolean> {
  const [, name = '', arg = ''] = /^\/([a-z]+)(?:\s+(.*))?$/s.exec(message.trim()) ?? [];
  if (name === '' || message.startsWith(' ')) return false;
  const command = COMMANDS[name];
  if (command !== undefined) {
    if (command.args !== '' && arg === '') throw new CommandError(`/${name} needs ${command.args}: ${command.help}.`);
    await command.run(session, arg.trim());
    return true;
  }
  const meant = nearest(name, Object.keys(COMMANDS));
  if (meant === null) return false;
  throw new CommandError(`Did you mean /${meant}? To send it as a message, put a space before it.`);
}

function help(): void {
  for (const [name, { args, help: text }] of Object.entries(COMMANDS))
    print(`  ${`/${name} ${args}`.padEnd(14)}${text}`);
  print('  A line that ends with \\ goes on in the next one; pasted lines stay together until Enter.');
}

async function begin(session: Session): Promise<void> {
  session.chat = null;
}

async function list(session: Session): Promise<void> {
  session.listed = (await session.client.list()).slice(0, SHOWN_CHATS);
  const rows = session.listed.map(({ id, name, updated_at }, i) => [
    `${i + 1}${id === session.chat ? ' *' : ''}`,
    name,
    when(Date.parse(updated_at)),
  ]);
  print(rows.length === 0 ? 'There are no chats yet.' : table(['N', 'TITLE', 'NEWEST'], rows));
}

async function openNamed(session: Session, arg: string): Promise<void> {
  const listed = /^\d{1,3}$/.test(arg) ? session.listed[Number(arg) - 1] : undefined;
  if (listed === undefined && /^\d{1,3}$/.test(arg) && session.listed.length > 0) {
    throw new CommandError(`/list showed ${session.listed.length} chats.`);
  }
  await open(session, await session.client.find(listed?.id ?? arg));
}

/** Shows how the chat stands, as if it had been spoken here. */
async function open(session: Session, chat: Chat): Promise<void> {
  const entries = await session.client.entries(chat.id);
  session.chat = chat.id;
  print(styled('bold', oneLine(chat.name, 78)));
  const older = entries.length - SHOWN_ENTRIES;
  if (older > 0) print(styled('dim', `(${older} older messages)`));
  for (const { role, message } of entries.slice(-SHOWN_ENTRIES)) {
    print(role === 'Human' ? styled('cyan', `> ${harmless(message)}`) : harmless(message));
  }
}

async function rename(session: Session, title: string): Promise<void> {
  if (session.chat === null) throw new CommandError('This chat has no messages yet.');
  await session.client.rename(session.chat, title);
  say(styled('dim', `This chat is called "${oneLine(title, 60)}" now.`, process.stderr));
}

async function remove(session: Session): Promise<void> {
  if (session.chat === null) throw new CommandError('This chat has no messages yet.');
  const { id, name } = await session.client.find(session.chat);
  const sure = await readMessage([], `Delete "${oneLine(name, 50)}" for good? [y/N] `);
  if (!/^y(es)?$/i.test(sure?.trim() ?? '')) return;
  await session.client.remove(id);
  session.chat = null;
  say(styled('dim', 'Deleted. The next message begins a new chat.', process.stderr));
}

/** What `readline` does not know of a terminal: it tells where pasted text begins and ends. */
const PASTES = { on: '\x1b[?2004h', off: '\x1b[?2004l' };

/**
 * One message: a line, lines that end with a backslash, or lines pasted at once. Null at Ctrl-D. Every message has a reader
 * of its own, so that in between the terminal is in its usual state and Ctrl-C is a signal.
 *
 * @param history typed messages, newest first; grows
 */
function readMessage(history: string[], prompt = '> '): Promise<string | null> {
  const { stdin, stdout } = process;
  const shown = styled('cyan', prompt);
  const reader = createInterface({
    input: stdin,
    output: stdout,
    prompt: shown,
    history: [...history],
    historySize: 1000,
  });
  emitKeypressEvents(stdin, reader);
  const lines: string[] = [];
  let pasting = false;
  let hinted = false;
  const onKey = (_: string | undefined, key: { name?: string } | undefined) => {
    if (key?.name === 'paste-start') pasting = true;
    if (key?.name === 'paste-end') pasting = false;
  };
  stdin.on('keypress', onKey);
  stdout.write(PASTES.on);

  return new Promise((resolve) => {
    let finished = false;
    const finish = (message: string | null) => {
      if (finished) return;
      finished = true;
      stdin.off('keypress', onKey);
      reader.close();
      stdout.write(PASTES.off);
      if (message === null) stdout.write('\n');
      else if (message.trim() !== '' && prompt === '> ') history.unshift(message.replace(/\n/g, ' '));
      resolve(message);
    };
    const ask = () => {
      reader.setPrompt(lines.length === 0 ? shown : styled('dim', '… '));
      reader.prompt();
    };
    reader.on('line', (line) => {
      const goesOn = !pasting && line.endsWith('\\');
      lines.push(goesOn ? line.slice(0, -1) : line);
      if (pasting || goesOn) ask();
      else finish(lines.join('\n'));
    });
    reader.on('close', () => finish(null));
    reader.on('SIGINT', () => {
      if (lines.length === 0 && reader.line === '' && hinted) return finish(null);
      hinted = lines.length === 0 && reader.line === '';
      lines.length = 0;
      stdout.write(hinted ? '\nPress Ctrl-C again, or Ctrl-D, to leave.\n' : '\n');
      reader.write(null, { ctrl: true, name: 'e' });
      reader.write(null, { ctrl: true, name: 'u' });
      ask();
    });
    ask();
  });
}
