/** What the guide says to a message: commands, small talk, quotes from the web, else the best passage of the documents. */

import { readQuotedPages } from '#core/quoted-pages.ts';
import { createRanking, wordsOf } from '#core/rank.ts';
import { textOf } from '#core/turn.ts';
import { ModelError, type ModelRequest, type ModelTool, type ModelTurn } from '#ports/model.ts';
import { type Asked, httpError } from '../errors.ts';
import type { Documents, Passage } from './documents.ts';
import { exampleFor } from './example.ts';

/** An answer to be written, and how it ends. */
export interface Reply {
  text: string;
  /** How long it takes to write; null for the guide's own pace. */
  seconds: number | null;
  /** `silence`: nothing more, and no end. An error is thrown where the text ends. */
  end: 'stop' | 'silence' | ModelError;
  /** Called after the text; the answer then ends for the tool's sake. */
  tool: { name: string; arguments: string } | null;
}

interface Talk {
  /** The newest thing the person wrote. */
  message: string;
  /** What stands behind the command, as it was written. */
  rest: string;
  request: ModelRequest;
  documents: Documents;
}

const CONNECT = [
  'To connect a language model, set one of these and start again, or start Ollama on this machine: it is found by itself.',
  '',
  '```sh',
  'OPENAI_API_KEY=sk-... npm start',
  'ANTHROPIC_API_KEY=sk-ant-... npm start',
  'ollama pull llama3.2',
  '```',
  '',
  'More: `docs/operating/models.md`',
].join('\n');

const INTRODUCTION =
  "I am Parlance's built-in guide, not a language model: I look things up in its documents. " +
  'To connect a real model, set `OPENAI_API_KEY` or start Ollama (`docs/operating/models.md`). `/help` lists what else I can do.';

const HELP = [
  'Ask me about Parlance in a few words: "How do I connect Ollama?", "Where is my data?". These commands try a client out:',
  '',
  '- `/long 60`: an answer that takes 60 seconds (1 to 300), to be cut off, followed and stopped',
  '- `/echo any text`: exactly that text',
  '- `/tool`: calls the first tool that there is; `/tool Berlin` with that word in its arguments, `/tool NAME Berlin` the tool of that name',
  '- `/fail 429`: fails like a provider that answers with this status (400 to 599); `/fail cut` breaks off in mid-answer, `/fail silent` says nothing until the time limit',
  '- `/help`: this list',
].join('\n');

const MAX_LONG = 300;
const DEFAULT_LONG = 30;

const COMMANDS: Record<string, (talk: Talk) => Reply> = {
  help: ({ request }) => say(`${introduced(HELP, request)}\n\n${memory(request.turns)}`),
  long,
  echo: ({ rest }) => say(rest),
  tool: callTool,
  fail,
};

/** Matched against the message in lower case without its punctuation, as a whole. */
const SMALL_TALK: [pattern: RegExp, text: string][] = [
  [
    /^(hi|hello|hey|hallo|hola|salut|ciao|good (morning|afternoon|evening|day)|greetings)( there| parlance| guide| everyone| all| you)?$/,
    'Hello! Ask me how something works in Parlance, or try `/help`.',
  ],
  [/^(many |ok |okay )?(thanks|thank you|thx|merci|danke|gracias)( a lot| so much| very much)?$/, 'You are welcome.'],
  [/^(ok|okay|good|great|nice|cool|perfect|fine|yes|no)$/, 'Good. Ask on whenever you like.'],
  [/^(bye|goodbye|good night|see you|ciao ciao)( then| later)?$/, 'Goodbye. This conversation is kept.'],
  [
    /^how are you( today| doing)?$/,
    'I am a lookup in a few documents, and those are well. What would you like to know?',
  ],
  [
    /^(who|what) are you$|^what is your name$|^are you (a |an )?(real )?(chatgpt|gpt|claude|gemini|llama|ai|bot|robot|human|person|llm|language model|model).*$|^(what|which) (language )?model (are you|is this|do you use)$/,
    `I am the guide that is built into Parlance. I am no language model: I find passages in Parlance's documents and quote them.\n\n${CONNECT}`,
  ],
  [/^(what can you do|help|help me|what is this|what now)$/, HELP],
];

const ASKS_FOR_MEMORY =
  /\b(what|which)\b.*\b(did|have) i (just )?(say|said|ask|asked|write|written|wrote|tell|told)\b|\bdo you remember\b|\bmy (first|last|previous) (message|question)\b/;
const ABOUT_FILMS =
  /\b(movies?|films?|cinema|actors?|actress(es)?|directors?|directed|watch(ed|ing)?|thrillers?|sequels?|oscars?)\b/i;
/** A chat that is about films must be asked about Parlance in so many words. */
const SURE = 0.75;
const MAX_QUOTES = 3;

/** Never fails: what goes wrong on purpose is in the reply. */
export function answer(request: ModelRequest, documents: Documents): Reply {
  const newest = request.turns.at(-1);
  const outputs = newest?.items.filter((item) => item.type === 'function_call_output') ?? [];
  if (outputs.length > 0) {
    const quoted = outputs.map(({ output }) => fenced(output)).join('\n\n');
    return say(`The tool answered:\n\n${quoted}\n\n${memory(request.turns)}`);
  }
  const message = textOf(request.turns.findLast(({ role }) => role === 'user')?.items ?? []);
  const command = /^\/([a-z]+)(?:\s([\s\S]*))?$/.exec(message);
  const run = command?.[1] !== undefined && Object.hasOwn(COMMANDS, command[1]) ? COMMANDS[command[1]] : undefined;
  const talk: Talk = { message, rest: command?.[2] ?? '', request, documents };
  if (run !== undefined) return run(talk);
  return say(`${body(talk)}\n\n${memory(request.turns)}`);
}

/** The first that has something to say. */
function body(talk: Talk): string {
  const text = quoteWeb(talk) ?? smallTalk(talk) ?? recall(talk) ?? talkFilms(talk) ?? lookUp(talk);
  return introduced(text, talk.request);
}

/** The first answer of a conversation says what the guide is. */
function introduced(text: string, { turns }: ModelRequest): string {
  const said = /\bI am\b[^.]*\b(not a|no) language model\b/.test(text);
  return said || turns.some(({ role }) => role === 'assistant') ? text : `${INTRODUCTION}\n\n${text}`;
}

/** What shows that the conversation is remembered. */
function memory(turns: readonly ModelTurn[]): string {
  const asked = turns.filter(({ role }) => role === 'user').length;
  return `turn ${asked}, I was given ${turns.length} ${turns.length === 1 ? 'message' : 'messages'}`;
}

function smallTalk({ message }: Talk): string | null {
  const plain = plainly(message);
  return SMALL_TALK.find(([pattern]) => pattern.test(plain))?.[1] ?? null;
}

/** What the person wrote before. */
function recall({ message, request }: Talk): string | null {
  if (!ASKS_FOR_MEMORY.test(plainly(message))) return null;
  const earlier = request.turns.filter(({ role }) => role === 'user').slice(0, -1);
  if (earlier.length === 0) return 'This is the first message I was given in this conversation.';
  const lines = earlier.map(({ items }, index) => `${index + 1}. ${oneLine(textOf(items), 100)}`);
  return `Before this you wrote:\n\n${lines.slice(-20).join('\n')}`;
}

/** In the movie expert's place: honest, and friendly about it. */
function talkFilms({ message, request, documents }: Talk): string | null {
  if (!/movie expert/i.test(request.system)) return null;
  const found = documents.search(message)[0];
  if (found !== undefined && found.coverage >= SURE && !ABOUT_FILMS.test(message)) return null;
  return [
    'I would love to talk films with you, but I am only the built-in guide, not a language model, and I have seen none.',
    'With a model connected, this chat is a movie expert that recommends, compares and explains films and remembers your taste; your messages wait here for it.',
    '',
    CONNECT,
  ].join('\n');
}

function lookUp({ message, documents }: Talk): string {
  const [best, ...others] = documents.search(message);
  if (best === undefined) {
    return 'I found nothing about that in my documents. Try fewer or other words, such as "connect Ollama", "make a key", "follow a stream", "where is my data", or `/help`. For anything else you need a language model.';
  }
  const also = others.filter(({ heading }) => heading !== best.heading).map(named);
  return [
    `**${best.heading}**`,
    best.text,
    `More: ${named(best)}${also.length > 0 ? `. See also: ${also.join('; ')}` : ''}`,
  ].join('\n\n');
}

function named({ path, heading }: Passage): string {
  return `\`${path}\`, "${heading}"`;
}

/** Pages that were looked up: quoted with their numbers, since a lookup cannot put them into its own words. */
function quoteWeb({ message, request }: Talk): string | null {
  const { system } = request;
  const pages = readQuotedPages(system);
  if (pages === null) {
    return /^A web search for /m.test(system) ? 'The web search brought nothing that I could quote.' : null;
  }
  const sentences = pages.flatMap(({ index, title, quotes }) =>
    quotes
      .flatMap((quote) => quote.split(/(?<=[.!?…])\s+|\n/))
      .filter((text) => text.trim() !== '')
      .map((text) => ({ index, title, text })),
  );
  const ranked = createRanking(sentences.map(({ title, text }) => wordsOf(`${title} ${text}`)))(message);
  const best = ranked.flatMap(({ index }) => sentences[index] ?? []);
  const quotes = (best.length > 0 ? best : sentences).slice(0, MAX_QUOTES);
  if (quotes.length === 0) return 'The web search brought nothing that I could quote.';
  return [
    'I am the built-in guide, not a language model, so I can only quote what the web search found:',
    ...quotes.map(({ index, title, text }) => `> ${inert(oneLine(text, 500))} (${inert(title)}) [${index}]`),
  ].join('\n\n');
}

/** Somebody else's text: what would be an image, a link or a tag in Markdown stays text. */
function inert(text: string): string {
  return text.replaceAll('](', '] (').replaceAll('<', '‹').replaceAll('>', '›');
}

/** One sentence a second, so that a reader sees whether one is missing or doubled. */
function long({ rest }: Talk): Reply {
  const asked = rest.trim() === '' ? DEFAULT_LONG : Number(rest);
  if (!(asked >= 1 && asked <= MAX_LONG)) return say(`Say how many seconds, from 1 to ${MAX_LONG}: \`/long 60\``);
  const seconds = Math.round(asked);
  const sentences = Array.from(
    { length: seconds },
    (_, i) => `${i + 1} of ${seconds}: this sentence is written within second ${i + 1}, word by word.\n`,
  );
  return { ...say(sentences.join('')), seconds };
}

function callTool({ rest, request }: Talk): Reply {
  const [, first = '', others = ''] = /^\s*(\S*)\s*([\s\S]*)$/.exec(rest) ?? [];
  const named = request.tools.find(({ name }) => name === first);
  const tool = named ?? request.tools[0];
  if (tool === undefined) {
    return say(
      `No tool was given: a client sends its tools with the request, or an assistant lists those of this server, and \`/tool\` then calls the first, \`/tool NAME\` any.\n\n${memory(request.turns)}`,
    );
  }
  const word = named === undefined ? rest : others;
  return { ...say(''), tool: { name: tool.name, arguments: argumentsFor(tool, word.trim()) } };
}

function argumentsFor(tool: ModelTool, word: string): string {
  const value = exampleFor({ type: 'object', ...tool.parameters }, word === '' ? 'example' : word);
  return JSON.stringify(typeof value === 'object' && !Array.isArray(value) ? (value ?? {}) : {});
}

/** The guide as the provider whose failures are shown: typed as they would be, with its own sentence. */
const ITSELF: Asked = { name: 'guide', address: '', keySetting: '', urlSetting: '', apiKey: null };

function fail({ rest }: Talk): Reply {
  const how = rest.trim();
  if (how === 'cut') {
    const error = new ModelError('broken_off', 'The guide broke its answer off, as /fail cut asks it to.');
    return { ...say('This answer breaks off in the middle of a sentence, just as'), end: error };
  }
  if (how === 'silent') return { ...say(''), end: 'silence' };
  if (!/^[45]\d\d$/.test(how))
    return say('Say how to fail: a status from 400 to 599 (`/fail 429`), `cut` or `silent`.');
  const status = Number(how);
  const { code, retryable } = httpError(ITSELF, status, {}, '');
  const error = new ModelError(code, `The guide failed with ${status}, as /fail asks it to.`, { retryable, status });
  return { ...say(''), end: error };
}

function say(text: string): Reply {
  return { text, seconds: null, end: 'stop', tool: null };
}

/** Lower case, without punctuation and apostrophes, in single spaces; as much of it as small talk has. */
function plainly(message: string): string {
  return message
    .slice(0, 200)
    .toLowerCase()
    .replace(/what['’]s/g, 'what is')
    .replace(/who['’]s/g, 'who is')
    .replace(/[^\p{L}\p{N}\s]/gu, '')
    .replace(/\s+/g, ' ')
    .trim();
}

function oneLine(text: string, most: number): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length > most ? `${line.slice(0, most - 1)}…`.toWellFormed() : line;
}

/** In a code block whose fence is longer than any within. */
function fenced(text: string): string {
  const longest = Math.max(2, ...[...text.matchAll(/`+/g)].map(([ticks]) => ticks.length));
  const fence = '`'.repeat(longest + 1);
  return `${fence}\n${text}\n${fence}`;
}
