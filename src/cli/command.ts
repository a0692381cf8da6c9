/** What a command of the command line is, and how its arguments are read. */

import { parseArgs } from 'node:util';
import { type Config, loadOwnConfig } from '../config.ts';
import { nearest } from '../nearest.ts';

export interface Option {
  /** What stands for its value in the help; a flag has none. */
  value?: string;
  /** May be given more than once. */
  multiple?: true;
  help: string;
  /** The setting it stands for; it wins over the environment. */
  sets?: string;
}

export interface Command {
  /** One or two words. */
  name: string;
  summary: string;
  /** Positional arguments as the help shows them: `ID`, `[MESSAGE]`. */
  args: string;
  options: Record<string, Option>;
  /** More that the help says, a line each. */
  notes?: string[];
  examples?: string[];
  /** Its code is loaded when it is run, so that every command starts fast. Resolves with the exit code. */
  run(invocation: Invocation): Promise<number>;
}

/** A command as it was called. */
export interface Invocation {
  args: string[];
  /** The value of an option; null if it was not given. */
  text(option: string): string | null;
  texts(option: string): string[];
  flag(option: string): boolean;
  /** The configuration, with the options that stand for settings. */
  config(): Promise<Config>;
}

/** The command line itself is wrong: exit code 2. */
export class UsageError extends Error {}

/** Something that the person at the terminal can do something about, as a sentence: exit code 1. */
export class CommandError extends Error {}

/** @param argv what follows the command's name */
export function readInvocation(command: Command, argv: readonly string[]): Invocation {
  const options = Object.fromEntries(
    Object.entries(command.options).map(([name, option]) => [
      name,
      { type: option.value === undefined ? ('boolean' as const) : ('string' as const), multiple: true },
    ]),
  );
  const { tokens, positionals } = parseArgs({
    args: [...argv],
    options,
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const values = new Map<string, string[]>();
  for (const token of tokens) {
    if (token.kind !== 'option') continue;
    const option = command.options[token.name];
    if (option === undefined) throw new UsageError(unknownOption(command, token.rawName));
    const missing = token.value === undefined || (!token.inlineValue && /^--./.test(token.value));
    if (option.value !== undefined && missing) throw new UsageError(`--${token.name} needs a value: ${option.value}.`);
    if (option.value === undefined && token.value !== undefined) {
      throw new UsageError(`--${token.name} takes no value.`);
    }
    const all = values.get(token.name) ?? [];
    if (all.length > 0 && !option.multiple) throw new UsageError(`--${token.name} was given twice.`);
    values.set(token.name, [...all, token.value ?? '']);
  }
  checkCount(command, positionals);
  return {
    args: positionals,
    text: (name) => values.get(name)?.[0] ?? null,
    texts: (name) => values.get(name) ?? [],
    flag: (name) => values.has(name),
    config() {
      const given: Record<string, string> = {};
      for (const [name, { sets }] of Object.entries(command.options)) {
        const value = values.get(name)?.[0];
        if (sets !== undefined && value !== undefined) given[sets] = value;
      }
      return loadOwnConfig(given);
    },
  };
}

function unknownOption({ name, options }: Command, raw: string): string {
  const meant = nearest(raw.replace(/^-+/, ''), Object.keys(options));
  const advice = meant === null ? `see ./parlance ${name} --help` : `did you mean --${meant}?`;
  return `${raw} is not an option of "${name}"${meant === null ? ': ' : '; '}${advice}${meant === null ? '.' : ''}`;
}

/** Checks positional arguments against `command.args`: `A`, `[A]`, `[A…]`. */
function checkCount({ name, args }: Command, given: readonly string[]): void {
  const wanted = args === '' ? [] : args.split(' ');
  const least = wanted.filter((arg) => !arg.startsWith('[')).length;
  const most = args.includes('…') ? Number.POSITIVE_INFINITY : wanted.length;
  if (given.length < least) throw new UsageError(`"${name}" needs ${wanted[given.length]}: ./parlance ${name} ${args}`);
  if (given.length > most) {
    throw new UsageError(`"${name}" takes no "${given[most]}": ./parlance ${name}${args === '' ? '' : ` ${args}`}`);
  }
}
