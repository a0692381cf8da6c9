#!/usr/bin/env node
/** The command line: finds the command, reads its arguments, and says in one sentence what went wrong. */

import { readFileSync } from 'node:fs';
import { ServiceError } from '#core/errors.ts';
import { type Command, CommandError, readInvocation, UsageError } from './cli/command.ts';
import { print, say, styled } from './cli/terminal.ts';
import { ConfigError } from './config.ts';
import { nearest } from './nearest.ts';

const DATA = { value: 'FOLDER', help: 'the data folder (PARLANCE_DATA, ./data)', sets: 'PARLANCE_DATA' };
const JSON_FLAG = { help: 'print JSON' };

const commands: Command[] = [
  {
    name: 'serve',
    summary: 'start the server; npm start does the same',
    args: '',
    options: {
      port: { value: 'PORT', help: 'the port (PORT, 8000)', sets: 'PORT' },
      host: {
        value: 'ADDRESS',
        help: 'where to listen (PARLANCE_HOST, loopback); elsewhere every call needs a key',
        sets: 'PARLANCE_HOST',
      },
      data: DATA,
    },
    examples: ['serve', 'serve --port 8080 --data /var/lib/parlance'],
    run: async (invocation) => (await import('./cli/serve.ts')).serve(invocation),
  },
  {
    name: 'keys create',
    summary: 'make an API key, and print it alone on stdout',
    args: '',
    options: {
      user: { value: 'NAME', help: 'whose key it is' },
      service: { help: 'a service key: it may act for any user' },
      scopes: { value: 'LIST', help: 'read, write, admin (read,write)' },
      rate: { value: 'RATE', multiple: true, help: 'its own limit: 6000/min, 10000/hour, both, or off' },
      expires: { value: 'LIFE', help: 'how long it lives: 90d, 12h, 4w, 1y (for ever)' },
      name: { value: 'TEXT', help: 'what it is for' },
      json: JSON_FLAG,
      data: DATA,
    },
    notes: ['Works while the server runs. With --rate, a window that is not named has no limit.'],
    examples: ['keys create --user alice', 'keys create --service --scopes read,write --rate 6000/min --expires 90d'],
    run: async (invocation) => (await import('./cli/keys.ts')).create(invocation),
  },
  {
    name: 'keys list',
    summary: 'show all keys, but not their secrets',
    args: '',
    options: { json: JSON_FLAG, data: DATA },
    run: async (invocation) => (await import('./cli/keys.ts')).list(invocation),
  },
  {
    name: 'keys revoke',
    summary: 'end a key; what it has open closes within 5 seconds',
    args: 'ID',
    options: { data: DATA },
    run: async (invocation) => (await import('./cli/keys.ts')).revoke(invocation),
  },
  {
    name: 'users list',
    summary: 'show all users',
    args: '',
    options: { json: JSON_FLAG, data: DATA },
    run: async (invocation) => (await import('./cli/users.ts')).list(invocation),
  },
  {
    name: 'users invite',
    summary: 'make a link that gives a person a key of their own, once, within 7 days',
    args: 'NAME',
    options: { json: JSON_FLAG, data: DATA },
    notes: ['The link begins with PARLANCE_PUBLIC_URL, or with this machine.'],
    run: async (invocation) => (await import('./cli/users.ts')).invite(invocation),
  },
  {
    name: 'chat',
    summary: 'talk to a running server; with a message, or piped, it answers once',
    args: '[MESSAGE…]',
    options: {
      url: { value: 'URL', help: 'the server (http://127.0.0.1:8000)' },
      key: { value: 'KEY', help: 'an API key, where one is needed (PARLANCE_KEY, which ps does not show)' },
      user: { value: 'NAME', help: 'who is speaking, without a key or with a service key' },
      open: { value: 'ID', help: 'go on with this chat' },
    },
    examples: ['chat', 'chat What is a monad?', 'git diff | ./parlance chat'],
    run: async (invocation) => (await import('./cli/chat.ts')).chat(invocation),
  },
  {
    name: 'model list',
    summary: 'show the models that can be asked now',
    args: '',
    options: { json: JSON_FLAG },
    run: async (invocation) => (await import('./cli/model.ts')).list(invocation),
  },
  {
    name: 'model pull',
    summary: 'fetch a model through a running Ollama',
    args: 'NAME',
    options: {},
    examples: ['model pull llama3.2'],
    run: async (invocation) => (await import('./cli/model.ts')).pull(invocation),
  },
  {
    name: 'doctor',
    summary: 'check the configuration, the models, the database and the machine',
    args: '',
    options: {
      ask: { help: 'also ask the default model for one word, which may cost something' },
      json: JSON_FLAG,
      data: DATA,
    },
    notes: ['Ends with exit code 1 if it finds a problem.'],
    run: async (invocation) => (await import('./cli/doctor.ts')).doctor(invocation),
  },
];

async function main(argv: readonly string[]): Promise<number> {
  // A reader that has seen enough (`| head`) is no failure.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));
  const isHelp = (arg: string) => arg === '--help' || arg === '-h';
  const end = argv.indexOf('--');
  const wantsHelp = argv.slice(0, end < 0 ? argv.length : end).some(isHelp);
  const words = argv.filter((arg) => !isHelp(arg));
  if (words[0] === '--version' || words[0] === '-v') {
    print(version());
    return 0;
  }
  if (words[0] === 'help') return help(words.slice(1));
  if (words.length === 0) return help([]);
  const command = findCommand(words);
  if (wantsHelp) return help(command?.name.split(' ') ?? words.slice(0, 1));
  if (command === null) {
    help(words.slice(0, 1));
    return 2;
  }
  return command.run(readInvocation(command, argv.slice(command.name.split(' ').length)));
}

/** Null where only the first word of several commands is given. */
function findCommand(words: readonly string[]): Command | null {
  const [first = '', second = ''] = words;
  const found = commands.find(({ name }) => name === `${first} ${second}` || name === first);
  if (found !== undefined) return found;
  const group = commands.filter(({ name }) => name.startsWith(`${first} `)).map(({ name }) => name.split(' ')[1] ?? '');
  if (group.length > 0 && (second === '' || second.startsWith('-'))) return null;
  const [before, typed, known] =
    group.length > 0 ? [`${first} `, second, group] : ['', first, commands.map(({ name }) => name.split(' ')[0] ?? '')];
  const meant = nearest(typed, known);
  const advice = meant === null ? ': see ./parlance --help.' : `; did you mean "${before}${meant}"?`;
  throw new UsageError(`"${before}${typed}" is not a command${advice}`);
}

/** The help of everything, of the commands that begin with a word, or of one. */
function help(words: readonly string[]): number {
  const wanted = words.join(' ');
  const shown = commands.filter(({ name }) => wanted === '' || name === wanted || name.startsWith(`${wanted} `));
  const [only] = shown;
  if (only === undefined) findCommand(words);
  else if (shown.length === 1) helpOf(only);
  else {
    if (wanted === '') print(`Parlance ${version()}: a self-hosted conversation server.\n`);
    print(styled('bold', 'Usage: ./parlance COMMAND'));
    columns(shown.map(({ name, args, summary }) => [`${name} ${args}`.trim(), summary]));
    print('\n./parlance COMMAND --help tells more. The settings are in the README, and in .env.');
  }
  return 0;
}

function helpOf({ name, summary, args, options, notes = [], examples = [] }: Command): void {
  const entries = Object.entries(options);
  print(
    styled(
      'bold',
      `Usage: ./parlance ${name}${args === '' ? '' : ` ${args}`}${entries.length > 0 ? ' [OPTIONS]' : ''}`,
    ),
  );
  print(`  ${summary}.`);
  for (const note of notes) print(`  ${note}`);
  if (entries.length > 0) print('');
  columns(
    entries.map(([option, { value, help: text }]) => [`--${option}${value === undefined ? '' : ` ${value}`}`, text]),
  );
  if (examples.length > 0) print('');
  for (const example of examples) print(`  ${example.includes('./parlance') ? example : `./parlance ${example}`}`);
}

function columns(rows: readonly [string, string][]): void {
  const width = Math.max(0, ...rows.map(([left]) => left.length));
  for (const [left, right] of rows) print(`  ${left.padEnd(width)}  ${right}`);
}

function version(): string {
  return JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')).version;
}

/** What is meant for whoever typed the command is one sentence; anything else is a defect, and shows where it is. */
function report(error: unknown): number {
  const known = [UsageError, CommandError, ConfigError, ServiceError].some((kind) => error instanceof kind);
  const defect = !known && [TypeError, RangeError, ReferenceError, SyntaxError].some((kind) => error instanceof kind);
  if (!(error instanceof Error)) say(String(error));
  else if (defect) say(`This is a defect of Parlance, please report it: ${error.stack}`);
  else say(error.message);
  return error instanceof UsageError ? 2 : 1;
}

process.exitCode = await main(process.argv.slice(2)).catch(report);
