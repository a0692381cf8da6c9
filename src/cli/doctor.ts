/** `doctor`: what is configured, what answers, and what is wrong. It changes nothing. */

import { existsSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { messageItem } from '#core/turn.ts';
import type { ModelInfo, Models } from '#ports/model.ts';
import { systemClock as clock, systemIds as ids } from '../adapters/clock/system.ts';
import { openSqliteStore } from '../adapters/store/sqlite.ts';
import { type Config, ConfigError, ownAddress } from '../config.ts';
import { accessRules } from '../http/access.ts';
import { openMcp } from '../main.ts';
import type { Invocation } from './command.ts';
import { lookForModels } from './model.ts';
import { findPortProblem } from './port.ts';
import { bytes, createProgress, harmless, oneLine, print, styled } from './terminal.ts';

/** A `note` is neither good nor bad: something that is not set, or not there yet. */
interface Finding {
  about: string;
  state: 'ok' | 'note' | 'problem';
  says: string;
}

const LITTLE_SPACE = 256 * 1024 * 1024;
const ASK_MS = 120_000;
const PROJECT_NODE = 24;

export async function doctor(invocation: Invocation): Promise<number> {
  const progress = createProgress();
  const findings: Finding[] = [];
  const step = (name: string) => process.stderr.isTTY && progress.update(name, null);
  for await (const finding of examine(invocation, step)) findings.push(finding);
  progress.end();
  const ok = findings.every(({ state }) => state !== 'problem');
  if (invocation.flag('json')) {
    print(JSON.stringify({ ok, findings }));
    return ok ? 0 : 1;
  }
  for (const { about, state, says } of findings) print(`${MARKS[state]()} ${about.padEnd(9)} ${harmless(says)}`);
  return ok ? 0 : 1;
}

const MARKS = {
  ok: () => styled('green', '✓'),
  note: () => styled('dim', '–'),
  problem: () => styled('red', '✗'),
};

async function* examine(invocation: Invocation, step: (name: string) => unknown): AsyncGenerator<Finding> {
  const { node } = process.versions;
  const isNew = Number(node.split('.')[0]) >= PROJECT_NODE;
  yield finding(
    'Node',
    isNew,
    isNew ? node : `${node} is too old: ./parlance fetches its own when it is started by that name.`,
  );
  let config: Config;
  try {
    config = await invocation.config();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    for (const says of error.problems) yield { about: 'Settings', state: 'problem', says };
    return;
  }
  yield* aboutSettings(config);
  step('Looking at the data…');
  yield* aboutData(config);
  step('Looking at the port…');
  yield await aboutPort(config);
  step('Looking for models…');
  yield* aboutModels(config, invocation.flag('ask'), step);
  yield aboutSearch(config);
  if (config.mcpServers.length > 0) step('Looking for tools…');
  yield* aboutTools(config);
}

function* aboutSettings(config: Config): Generator<Finding> {
  const own = ownAddress(config);
  if (own !== null) yield { about: 'Settings', state: 'problem', says: own };
  else
    yield {
      about: 'Settings',
      state: 'ok',
      says: config.file === null ? 'from the environment and .env' : `with ${config.file}`,
    };
  const says = isLocal(config) ? 'local: no key is needed on this machine' : 'keys: every request needs one';
  yield { about: 'Mode', state: 'ok', says: `${says}; listens on ${config.listen.hosts.join(', ')}` };
}

async function* aboutData({ data }: Config): AsyncGenerator<Finding> {
  const free = await freeSpace(data);
  const space = `${bytes(free)} free`;
  yield finding(
    'Disk',
    free >= LITTLE_SPACE,
    free >= LITTLE_SPACE ? space : `${space} at ${data}: writing will stop soon. Make room.`,
  );
  if (!existsSync(join(data, 'parlance.db'))) {
    yield { about: 'Database', state: 'note', says: `${data} is empty; it is made at the first start.` };
    return;
  }
  try {
    const store = await openSqliteStore({ folder: data, exclusive: false, now: clock.now });
    const { ok, problems } = await store.health(true);
    await store.close();
    if (ok) yield { about: 'Database', state: 'ok', says: `${data} is sound` };
    for (const says of problems) yield { about: 'Database', state: 'problem', says };
  } catch (error) {
    yield { about: 'Database', state: 'problem', says: (error as Error).message };
  }
}

function isLocal({ listen, access }: Config): boolean {
  return accessRules({ listen: listen.hosts, ...access }).local;
}

/** Where the folder is, or will be made. */
async function freeSpace(folder: string): Promise<number> {
  let place = folder;
  while (!existsSync(place) && dirname(place) !== place) place = dirname(place);
  const { bavail, bsize } = await statfs(place);
  return bavail * bsize;
}

async function aboutPort(config: Config): Promise<Finding> {
  const { port } = config.listen;
  const problem = await findPortProblem(config);
  if (problem === null) return finding('Port', true, `${port === 0 ? 'any free one' : port}; nothing is running there`);
  if (problem.running !== null) return finding('Port', true, `Parlance is running at ${problem.running}`);
  return finding('Port', false, problem.sentence);
}

async function* aboutModels(config: Config, ask: boolean, step: (name: string) => unknown): AsyncGenerator<Finding> {
  const about = 'Models';
  const models = await lookForModels(config);
  try {
    for (const { name, address, configured, state, reason, models: count } of models.sources()) {
      const says = `${name} at ${address}${configured ? '' : ' (found by itself)'}`;
      if (state === 'ok' && count > 0)
        yield { about, state: 'ok', says: `${says}: ${count} chat model${count === 1 ? '' : 's'}` };
      else if (state === 'ok') yield { about, state: 'problem', says: `${says} has no chat model.` };
      else if (state === 'waiting') yield { about, state: 'problem', says: `${says} does not answer.` };
      else yield { about, state: 'problem', says: reason.startsWith(name) ? reason : `${says}: ${reason}` };
    }
    const places = models.notFound().map(({ name, address }) => `${name} (${address})`);
    if (places.length > 0) yield { about, state: 'note', says: `not running on this machine: ${places.join(', ')}` };
    const usual = models.find(null);
    if (usual !== null) {
      yield {
        about: 'Default',
        state: 'ok',
        says: `${usual.id}, with a window of ${usual.window.toLocaleString('en')} tokens`,
      };
      if (!ask) return;
      step(`Asking ${usual.id}…`);
      yield await askOneWord(models, usual);
    } else if (models.sources().length === 0 && isLocal(config)) {
      const says =
        'none: the built-in guide answers. Start Ollama or set OPENAI_API_KEY; more in docs/operating/models.md.';
      yield { about: 'Default', state: 'note', says };
    } else yield { about: 'Default', state: 'problem', says: models.why().replace(/ Run \S+ doctor\.$/, '') };
  } finally {
    await models.close();
  }
}

/** It may cost something, so it is done when it is asked for. */
async function askOneWord(models: Models, model: ModelInfo): Promise<Finding> {
  const about = 'Answer';
  const question = messageItem(ids.uuid(), 'user', 'Answer with the one word: ready');
  const request = { system: '', turns: [{ role: 'user' as const, items: [question] }], tools: [], parameters: {} };
  const began = clock.monotonic();
  let said = '';
  try {
    for await (const events of models.stream(model, request, AbortSignal.timeout(ASK_MS))) {
      for (const event of events) if (event.type === 'text') said += event.text;
    }
  } catch (error) {
    return { about, state: 'problem', says: `${model.id}: ${(error as Error).message}` };
  }
  const seconds = ((clock.monotonic() - began) / 1000).toFixed(1);
  const says = `${model.id} said "${oneLine(said, 40)}" in ${seconds} s`;
  return said === ''
    ? { about, state: 'problem', says: `${model.id} ended without a word.` }
    : { about, state: 'ok', says };
}

function aboutSearch({ search }: Config): Finding {
  const engines = [
    search.searxng && `SearXNG at ${new URL(search.searxng).host}`,
    search.brave && 'Brave',
    search.tavily && 'Tavily',
  ];
  const says =
    engines.filter(Boolean).join(', then ') ||
    "Wikipedia's public search; others by SEARXNG_URL, BRAVE_API_KEY or TAVILY_API_KEY";
  return { about: 'Search', state: 'ok', says };
}

/** Each server is started or connected, asked what it has, and ended. */
async function* aboutTools(config: Config): AsyncGenerator<Finding> {
  const about = 'Tools';
  const mcp = openMcp(config, () => undefined);
  const reports = await mcp.report(config.assistants);
  await mcp.close();
  const listed = new Set(config.assistants.flatMap(({ tools }) => tools.map((entry) => entry.split('/')[0])));
  for (const { name, tools, approved, problem, unknown } of reports) {
    if (problem !== null) yield { about, state: 'problem', says: `${name}: ${problem}` };
    else {
      const count = `${tools} tool${tools === 1 ? '' : 's'}`;
      const approvals = approved === 0 ? '' : `, ${approved === tools ? 'all' : approved} with approval`;
      const unused = listed.has(name) ? '' : '; no assistant lists it';
      yield { about, state: unused === '' ? 'ok' : 'note', says: `${name}: ${count}${approvals}${unused}` };
    }
    for (const tool of unknown) yield { about, state: 'problem', says: `${name} has no tool "${tool}".` };
  }
}

function finding(about: string, ok: boolean, says: string): Finding {
  return { about, state: ok ? 'ok' : 'problem', says };
}
