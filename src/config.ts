/**
 * The configuration: the environment and `.env`, and `parlance.config.json` for what is a list (DESIGN.md,
 * Configuration). The only reader of either; everything else is given parts of the one frozen value made here.
 */

import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseEnv } from 'node:util';
import type { Assistant } from '#core/conversation.ts';
import type { Rates } from '#core/principal.ts';
import type { Price } from '#core/usage.ts';
import type { McpServer } from './adapters/mcp/settings.ts';
import type { ConfiguredProvider } from './config/file.ts';
import * as parse from './config/settings.ts';
import { nearest } from './nearest.ts';

export interface ModelSettings {
  /** The default model's name; null: the first chat model there is. */
  model: string | null;
  /** Null where neither key nor address is set. */
  openai: { apiKey: string | null; baseUrl: string } | null;
  anthropic: { apiKey: string } | null;
  gemini: { apiKey: string } | null;
  /** Its address, where it is named. */
  ollama: { url: string } | null;
  providers: ConfiguredProvider[];
  /** Whether local servers are looked for. */
  detect: boolean;
  proxy: { http: string | null; https: string | null; noProxy: string | null };
  connectTimeoutMs: number;
}

export interface Config {
  listen: { hosts: string[]; port: number };
  /** The data folder, absolute. */
  data: string;
  /** The config file that was read, absolute; null where there is none. */
  file: string | null;
  ownerKey: string | null;
  models: ModelSettings;
  search: { searxng: string | null; brave: string | null; tavily: string | null };
  /** How many of the pages that a search finds are read; `host:port`s that may be read although they are not public. */
  web: { pages: number; robots: boolean; allow: string[] };
  rates: Rates;
  access: {
    /** False with `PARLANCE_LOCAL=off`; local mode also wants loopback only. */
    local: boolean;
    hosts: string[];
    origins: string[];
    /** Addresses, or address/bits. */
    trustedProxies: string[];
    /** Its origin. */
    publicUrl: string | null;
  };
  /** Milliseconds. `firstToken` is null unless it is set: then it depends on where the model is. */
  timeouts: { firstToken: number | null; silence: number; run: number; drain: number };
  /** Milliseconds, bytes, UTF-16 units, runs and streams. */
  bounds: {
    flushMs: number;
    maxBody: number;
    maxAnswer: number;
    maxRuns: number;
    maxRunsPerUser: number;
    maxStreamsPerUser: number;
    maxConnections: number;
  };
  /** How often tools may be run in one answer; milliseconds of one call; UTF-16 units of its result. */
  tools: { rounds: number; timeout: number; maxResult: number };
  titles: 'model' | 'words' | 'off';
  assistants: Assistant[];
  mcpServers: McpServer[];
  /** What models cost, by name. */
  prices: ReadonlyMap<string, Price>;
  logLevel: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';
  /** The key the command line sends to a running server. */
  clientKey: string | null;
}

/** What is wrong with the configuration: each a sentence that names the setting and never its value. */
export class ConfigError extends Error {
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
    this.problems = problems;
    this.name = 'ConfigError';
  }
}

const PREFIX = /^PARLANCE_/;
const FILE = 'parlance.config.json';
const OPENAI_URL = 'https://api.openai.com/v1';
const LATER_POSTGRES = 'PostgreSQL comes with a later version: unset it, and the embedded database is used.';
const LATER_OIDC = 'Sign-in by a provider comes with a later version: unset it, and use API keys.';

/** Every variable that is read, its parser, and its default as text; '' is "not set". */
const variables = {
  PARLANCE_HOST: [parse.addresses, '127.0.0.1,::1'],
  PORT: [parse.integer(0, 65_535), '8000'],
  PARLANCE_DATA: [parse.text, './data'],
  PARLANCE_CONFIG: [parse.text, ''],
  PARLANCE_OWNER_KEY: [parse.ownerKey, ''],
  PARLANCE_KEY: [parse.text, ''],
  PARLANCE_MODEL: [parse.text, ''],
  OPENAI_API_KEY: [parse.text, ''],
  OPENAI_BASE_URL: [parse.url, ''],
  ANTHROPIC_API_KEY: [parse.text, ''],
  GEMINI_API_KEY: [parse.text, ''],
  OLLAMA_HOST: [parse.ollamaHost, ''],
  SEARXNG_URL: [parse.url, ''],
  BRAVE_API_KEY: [parse.text, ''],
  TAVILY_API_KEY: [parse.text, ''],
  PARLANCE_WEB_PAGES: [parse.integer(0, 6), '4'],
  PARLANCE_WEB_ROBOTS: [parse.onOff, 'on'],
  PARLANCE_WEB_ALLOW: [parse.hostPorts, ''],
  PARLANCE_RATE_PER_MINUTE: [parse.integer(0, 1e9), '100'],
  PARLANCE_RATE_PER_HOUR: [parse.integer(0, 1e9), '1000'],
  PARLANCE_LOCAL: [parse.onOff, 'on'],
  PARLANCE_HOSTS: [parse.hosts, ''],
  PARLANCE_ORIGINS: [parse.origins, ''],
  PARLANCE_TRUSTED_PROXIES: [parse.networks, ''],
  PARLANCE_PUBLIC_URL: [parse.origin, ''],
  PARLANCE_DETECT: [parse.onOff, 'on'],
  PARLANCE_TIMEOUT_CONNECT: [parse.seconds(3600), '10'],
  PARLANCE_TIMEOUT_FIRST_TOKEN: [parse.seconds(86_400), ''],
  PARLANCE_TIMEOUT_SILENCE: [parse.seconds(86_400), '60'],
  PARLANCE_TIMEOUT_RUN: [parse.seconds(86_400), '600'],
  PARLANCE_TIMEOUT_DRAIN: [parse.seconds(3600), '25'],
  PARLANCE_FLUSH_MS: [parse.integer(1, 1000), '50'],
  PARLANCE_MAX_BODY: [parse.size(1024, 1024 ** 3), '8MiB'],
  PARLANCE_MAX_ANSWER: [parse.size(1, 64 * 1024 ** 2), '1MiB'],
  PARLANCE_MAX_RUNS: [parse.integer(1, 1e6), '10000'],
  PARLANCE_MAX_RUNS_PER_USER: [parse.integer(1, 1e6), '1000'],
  PARLANCE_MAX_STREAMS_PER_USER: [parse.integer(1, 1e6), '1000'],
  PARLANCE_MAX_CONNECTIONS: [parse.integer(1, 1e6), '20000'],
  PARLANCE_MAX_TOOL_ROUNDS: [parse.integer(1, 1000), '8'],
  PARLANCE_MAX_TOOL_RESULT: [parse.size(1024, 1024 ** 2), '64KiB'],
  PARLANCE_TIMEOUT_TOOL: [parse.seconds(3600), '60'],
  PARLANCE_TITLES: [parse.oneOf('model', 'words', 'off'), 'model'],
  LOG_LEVEL: [parse.oneOf('trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'), 'info'],
  DATABASE_URL: [parse.refused(LATER_POSTGRES), ''],
  PARLANCE_OIDC_ISSUER: [parse.refused(LATER_OIDC), ''],
  PARLANCE_OIDC_AUDIENCE: [parse.refused(LATER_OIDC), ''],
  PARLANCE_OIDC_CLIENT_ID: [parse.refused(LATER_OIDC), ''],
  PARLANCE_OIDC_CLIENT_SECRET: [parse.refused(LATER_OIDC), ''],
} as const satisfies Record<string, readonly [parse.Parser<unknown>, string]>;

type Name = keyof typeof variables;
/** A variable with a default always has a value. */
type Value<N extends Name> =
  | ReturnType<(typeof variables)[N][0]>
  | ((typeof variables)[N][1] extends '' ? null : never);
type Values = { [N in Name]: Value<N> };
type Env = Record<string, string | undefined>;

/**
 * Reads the whole configuration.
 *
 * @param env the environment; it wins over `.env`
 * @param cwd where `.env` and the config file are, and what relative paths begin at
 * @throws `ConfigError` with everything that is wrong
 */
export async function loadConfig(env: Env, cwd: string): Promise<Config> {
  const all: Env = { ...readDotEnv(cwd), ...env };
  const problems = unknownNames(all);
  const set = readVariables(all, problems);
  // A list cannot be written in a variable, and few need one: what checks the file is loaded where there is one.
  const path = resolve(cwd, set.PARLANCE_CONFIG ?? FILE);
  const text = readOptional(path);
  if (text === null && set.PARLANCE_CONFIG !== null)
    problems.push(`PARLANCE_CONFIG names ${path}, which is not there.`);
  const { readConfigFile } = text === null ? { readConfigFile: null } : await import('./config/file.ts');
  const file = readConfigFile?.(text ?? '', all, (problem) => problems.push(`${path}: ${problem}`)) ?? null;
  if (problems.length > 0) throw new ConfigError(problems);

  const { OPENAI_API_KEY: openaiKey, OPENAI_BASE_URL: openaiUrl } = set;
  const proxy = (name: string) => all[name.toLowerCase()]?.trim() || all[name]?.trim() || null;
  return freeze({
    listen: { hosts: set.PARLANCE_HOST, port: set.PORT },
    data: resolve(cwd, set.PARLANCE_DATA),
    file: file === null ? null : path,
    ownerKey: set.PARLANCE_OWNER_KEY,
    models: {
      model: set.PARLANCE_MODEL ?? file?.model ?? null,
      openai: openaiKey === null && openaiUrl === null ? null : { apiKey: openaiKey, baseUrl: openaiUrl ?? OPENAI_URL },
      anthropic: set.ANTHROPIC_API_KEY === null ? null : { apiKey: set.ANTHROPIC_API_KEY },
      gemini: set.GEMINI_API_KEY === null ? null : { apiKey: set.GEMINI_API_KEY },
      ollama: set.OLLAMA_HOST === null ? null : { url: set.OLLAMA_HOST },
      providers: file?.providers ?? [],
      detect: set.PARLANCE_DETECT,
      proxy: { http: proxy('HTTP_PROXY'), https: proxy('HTTPS_PROXY'), noProxy: proxy('NO_PROXY') },
      connectTimeoutMs: set.PARLANCE_TIMEOUT_CONNECT,
    },
    search: { searxng: set.SEARXNG_URL, brave: set.BRAVE_API_KEY, tavily: set.TAVILY_API_KEY },
    web: { pages: set.PARLANCE_WEB_PAGES, robots: set.PARLANCE_WEB_ROBOTS, allow: set.PARLANCE_WEB_ALLOW ?? [] },
    rates: { perMinute: set.PARLANCE_RATE_PER_MINUTE, perHour: set.PARLANCE_RATE_PER_HOUR },
    access: {
      local: set.PARLANCE_LOCAL,
      hosts: set.PARLANCE_HOSTS ?? [],
      origins: set.PARLANCE_ORIGINS ?? [],
      trustedProxies: set.PARLANCE_TRUSTED_PROXIES ?? [],
      publicUrl: set.PARLANCE_PUBLIC_URL,
    },
    timeouts: {
      firstToken: set.PARLANCE_TIMEOUT_FIRST_TOKEN,
      silence: set.PARLANCE_TIMEOUT_SILENCE,
      run: set.PARLANCE_TIMEOUT_RUN,
      drain: set.PARLANCE_TIMEOUT_DRAIN,
    },
    bounds: {
      flushMs: set.PARLANCE_FLUSH_MS,
      maxBody: set.PARLANCE_MAX_BODY,
      maxAnswer: set.PARLANCE_MAX_ANSWER,
      maxRuns: set.PARLANCE_MAX_RUNS,
      maxRunsPerUser: set.PARLANCE_MAX_RUNS_PER_USER,
      maxStreamsPerUser: set.PARLANCE_MAX_STREAMS_PER_USER,
      maxConnections: set.PARLANCE_MAX_CONNECTIONS,
    },
    tools: {
      rounds: set.PARLANCE_MAX_TOOL_ROUNDS,
      timeout: set.PARLANCE_TIMEOUT_TOOL,
      maxResult: set.PARLANCE_MAX_TOOL_RESULT,
    },
    titles: set.PARLANCE_TITLES,
    assistants: file?.assistants ?? [],
    mcpServers: file?.mcpServers ?? [],
    prices: file?.prices ?? new Map(),
    logLevel: set.LOG_LEVEL,
    clientKey: set.PARLANCE_KEY,
  });
}

/** The configuration of this process. What `given` holds wins over its environment. */
export function loadOwnConfig(given: Record<string, string>): Promise<Config> {
  return loadConfig({ ...process.env, ...given }, process.cwd());
}

/**
 * Why a server must not be started with this configuration: a model address that is its own would have it ask itself
 * without end. Other commands do not mind it.
 */
export function ownAddress(config: Config): string | null {
  const { listen, models, access } = config;
  const addresses = [
    ['OPENAI_BASE_URL', models.openai?.baseUrl],
    ['OLLAMA_HOST', models.ollama?.url],
    ...models.providers.map(({ id, baseUrl }) => [`The address of the provider "${id}"`, baseUrl] as const),
  ] as const;
  for (const [name, address] of addresses) {
    if (address === undefined) continue;
    const url = new URL(address);
    const port = Number(url.port || (url.protocol === 'https:' ? 443 : 80));
    const here = parse.isLoopbackName(url.hostname) || listen.hosts.includes(url.hostname.replace(/^\[|\]$/g, ''));
    if ((here && port === listen.port && port !== 0) || url.origin === access.publicUrl) {
      return `${name} points at Parlance itself: set it to the address of a model server, or PORT to another port.`;
    }
  }
  return null;
}

function readVariables(env: Env, problems: string[]): Values {
  const entries = Object.entries(variables).map(([name, [read, byDefault]]) => {
    const text = env[name]?.trim() || byDefault;
    try {
      return [name, text === '' ? null : read(text)];
    } catch (error) {
      if (!(error instanceof parse.Wrong)) throw error;
      problems.push(`${name} ${error.message}`);
      return [name, null];
    }
  });
  // Where a value is missing against its type, `problems` is not empty and it is never used.
  return Object.fromEntries(entries) as Values;
}

function unknownNames(env: Env): string[] {
  const bare = (name: string) => name.replace(PREFIX, '');
  const known = Object.keys(variables);
  return Object.keys(env)
    .filter((name) => PREFIX.test(name) && !(name in variables))
    .map((name) => {
      const meant = nearest(bare(name), known.map(bare));
      const advice = meant === null ? ': unset it.' : `; did you mean ${known.find((one) => bare(one) === meant)}?`;
      return `${name} is not a setting of Parlance${advice}`;
    });
}

function readDotEnv(cwd: string): Env {
  const text = readOptional(resolve(cwd, '.env'));
  return text === null ? {} : parseEnv(text);
}

/** Null where there is no such file. */
function readOptional(path: string): string | null {
  try {
    return readFileSync(path, 'utf8').replace(/^\ufeff/, '');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    throw new ConfigError([`${path} cannot be read (${code}).`]);
  }
}

function freeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.values(value).forEach(freeze);
    Object.freeze(value);
  }
  return value;
}
