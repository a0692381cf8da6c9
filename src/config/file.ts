/** `parlance.config.json`: what is a list. Every error names the path in the file, and never a value. */

import { z } from 'zod';
import type { Assistant } from '#core/conversation.ts';
import type { Price } from '#core/usage.ts';
import type { McpServer } from '../adapters/mcp/settings.ts';
import { nearest } from '../nearest.ts';
import { mcpServer, serverName, toMcpServer } from './mcp.ts';
import { url, Wrong } from './settings.ts';

/** An OpenAI-compatible server of the config file. */
export interface ConfiguredProvider {
  /** The prefix its models are asked by. */
  id: string;
  baseUrl: string;
  apiKey: string | null;
}

export interface ConfigFile {
  model: string | null;
  assistants: Assistant[];
  providers: ConfiguredProvider[];
  mcpServers: McpServer[];
  /** What models cost, by name. */
  prices: ReadonlyMap<string, Price>;
}

/** The names under which models are asked of what is built in. */
const RESERVED = ['openai', 'anthropic', 'google', 'ollama', 'lmstudio', 'llama.cpp', 'guide'];

const id = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,63}$/, 'must be 1–64 of a–z, 0–9, ".", "_" and "-", and begin with a letter or digit');
const name = z.string().trim().min(1, 'must not be empty').max(255, 'must be at most 255 characters');
const model = z.string().trim().min(1, 'must not be empty').max(255, 'must be at most 255 characters');
const instructions = z.string().max(100_000, 'must be at most 100000 characters');

const TOOLS = /^[A-Za-z0-9][A-Za-z0-9_-]{0,31}(\/[^/]{1,128})?$/;

const assistant = z
  .strictObject({
    id,
    name: name.optional(),
    description: z.string().max(1000, 'must be at most 1000 characters').default(''),
    instructions: z
      .union([instructions, z.array(instructions)], 'must be a text in quotes, or a list of such lines')
      .default(''),
    model: model.nullable().default(null),
    fallbacks: z.array(model).max(20, 'must hold at most 20 models').default([]),
    webSearch: z.boolean().default(false),
    tools: z
      .array(z.string().regex(TOOLS, 'must be "server" or "server/tool"'))
      .max(200, 'must hold at most 200')
      .default([]),
  })
  .transform((given): Assistant => {
    const lines = given.instructions;
    return {
      ...given,
      name: given.name ?? given.id,
      instructions: typeof lines === 'string' ? lines : lines.join('\n'),
    };
  });

const provider = z.strictObject({
  id: id.refine((given) => !RESERVED.includes(given), `must not be one of ${RESERVED.join(', ')}`),
  baseUrl: z.string().transform((given, context) => {
    try {
      return url(given.trim());
    } catch (error) {
      if (!(error instanceof Wrong)) throw error;
      context.addIssue(error.message.replace(/\.$/, ''));
      return z.NEVER;
    }
  }),
  apiKey: z.string().trim().min(1, 'must not be empty').optional(),
  apiKeyEnv: z.string().min(1, 'must not be empty').optional(),
});

const perMillion = z.number().min(0, 'must not be negative').max(1e6, 'must be at most 1000000');
/** What a million tokens cost, in a currency of one's own. */
const priced = z
  .strictObject({
    inputPerMillion: perMillion,
    cachedInputPerMillion: perMillion.optional(),
    outputPerMillion: perMillion,
  })
  .transform(
    (given): Price => ({
      input: given.inputPerMillion,
      cachedInput: given.cachedInputPerMillion ?? given.inputPerMillion,
      output: given.outputPerMillion,
    }),
  );

const file = z.strictObject({
  $schema: z.string().optional(),
  model: model.nullable().default(null),
  assistants: z.array(assistant).max(1000, 'must hold at most 1000 assistants').default([]),
  models: z
    .record(z.string().min(1, 'must not be empty').max(255, 'must be at most 255 characters'), priced)
    .default({}),
  providers: z.array(provider).max(50, 'must hold at most 50 providers').default([]),
  mcpServers: z.record(serverName, mcpServer).default({}),
});

/** Fields by where they stand, for "did you mean". */
const FIELDS: Record<string, string[]> = {
  '': Object.keys(file.shape),
  assistants: Object.keys(assistant.in.shape),
  models: Object.keys(priced.in.shape),
  providers: Object.keys(provider.shape),
  mcpServers: Object.keys(mcpServer.shape),
};

/**
 * @param env where `apiKeyEnv` is looked up
 * @param report is given every problem as a sentence
 * @returns null where the file as a whole cannot be used
 */
export function readConfigFile(
  text: string,
  env: Record<string, string | undefined>,
  report: (problem: string) => void,
): ConfigFile | null {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    report(`this is not valid JSON${placeOf(error as Error)}.`);
    return null;
  }
  const parsed = file.safeParse(json);
  if (!parsed.success) {
    for (const issue of parsed.error.issues) report(sentence(issue, json));
    return null;
  }
  const { assistants, providers, mcpServers } = parsed.data;
  twice('assistants', assistants, report);
  twice('providers', providers, report);
  assistants.forEach(({ tools }, i) => {
    tools.forEach((entry, j) => {
      const server = entry.split('/', 1)[0] ?? '';
      if (Object.hasOwn(mcpServers, server)) return;
      report(`assistants[${i}].tools[${j}] names the server "${server}", which is not in mcpServers.`);
    });
  });
  return {
    model: parsed.data.model,
    assistants,
    prices: new Map(Object.entries(parsed.data.models)),
    providers: providers.map(({ id, baseUrl, apiKey, apiKeyEnv }, i): ConfiguredProvider => {
      if (apiKey !== undefined && apiKeyEnv !== undefined) {
        report(`providers[${i}] has both apiKey and apiKeyEnv: keep one of them.`);
      }
      const named = apiKeyEnv === undefined ? undefined : env[apiKeyEnv]?.trim();
      if (apiKeyEnv !== undefined && !named) {
        report(`providers[${i}].apiKeyEnv names an environment variable that is not set.`);
      }
      return { id, baseUrl, apiKey: apiKey ?? (named || null) };
    }),
    mcpServers: Object.entries(mcpServers)
      .filter(([, { disabled }]) => !disabled)
      .map(([name, given]) => toMcpServer(name, given, env, report)),
  };
}

function twice(list: string, entries: { id: string }[], report: (problem: string) => void): void {
  entries.forEach((entry, i) => {
    const first = entries.findIndex((other) => other.id === entry.id);
    if (first < i) report(`${list}[${i}].id is the same as ${list}[${first}].id.`);
  });
}

/** Where the parser stopped, as far as it says; not its excerpt of the text, which may hold a key. */
function placeOf({ message }: Error): string {
  const [, line, column] = /\(line (\d+) column (\d+)\)/.exec(message) ?? [];
  if (line !== undefined) return ` (line ${line}, column ${column})`;
  const [, token] = /^Unexpected token '(.)'/su.exec(message) ?? [];
  return token === undefined ? '' : ` (unexpected ${JSON.stringify(token)})`;
}

const TYPES: Record<string, string> = {
  string: 'a text in quotes',
  array: 'a list',
  object: 'an object',
  boolean: 'true or false',
  record: 'an object',
  number: 'a number',
};

function sentence(issue: z.core.$ZodIssue, json: unknown): string {
  const path = issue.path.reduce<string>(
    (so, key) => (typeof key === 'number' ? `${so}[${key}]` : so === '' ? String(key) : `${so}.${String(key)}`),
    '',
  );
  const where = path === '' ? 'the file' : path;
  if (issue.code === 'unrecognized_keys') {
    const known = FIELDS[String(issue.path[0] ?? '')] ?? [];
    const fields = issue.keys.map((key) => {
      const meant = nearest(key, known);
      return `"${key}"${meant === null ? '' : ` (did you mean "${meant}"?)`}`;
    });
    return `${where} has an unknown field: ${fields.join(', ')}.`;
  }
  if (issue.code === 'invalid_type') {
    const missing = valueAt(json, issue.path) === undefined;
    return missing ? `${path} is missing.` : `${where} must be ${TYPES[issue.expected] ?? issue.expected}.`;
  }
  return `${where} ${issue.message}.`;
}

function valueAt(json: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>((value, key) => (value as Record<PropertyKey, unknown> | undefined)?.[key], json);
}
