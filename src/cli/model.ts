/** `model list|pull`. */

import { setTimeout as wait } from 'node:timers/promises';
import { ModelError } from '#ports/model.ts';
import { type PullProgress, pullOllamaModel } from '../adapters/model/local-servers.ts';
import type { ModelRegistry } from '../adapters/model/registry.ts';
import type { Config } from '../config.ts';
import { openModels } from '../main.ts';
import { CommandError, type Invocation } from './command.ts';
import { bytes, createProgress, print, say, table } from './terminal.ts';

/** Where Ollama listens when nobody said otherwise. */
const OLLAMA = 'http://127.0.0.1:11434';
/** A provider that needs longer for its list of models is not waited for. */
const SLOW_MS = 6000;
const POLL_MS = 50;
/** Exit code of a command that was ended by Ctrl-C. */
const INTERRUPTED = 130;

export async function list(invocation: Invocation): Promise<number> {
  const models = await lookForModels(await invocation.config());
  try {
    const all = models.list();
    const usual = models.find(null);
    if (invocation.flag('json')) {
      const wire = all.map(({ id, provider, window, chat, local }) => ({ id, provider, window, chat, local }));
      print(JSON.stringify({ default: usual?.id ?? null, models: wire }));
    } else if (all.length > 0) {
      const rows = all.map(({ id, provider, window, chat, local }) => [
        id,
        provider,
        window.toLocaleString('en'),
        `${chat ? 'chat' : 'no chat'}${local ? ', on this machine' : ''}${id === usual?.id ? ', the default' : ''}`,
      ]);
      print(table(['MODEL', 'PROVIDER', 'WINDOW', ''], rows));
    }
    if (usual === null) say(models.why());
    return usual === null ? 1 : 0;
  } finally {
    await models.close();
  }
}

/** All providers that answer, asked once. To be closed. */
export async function lookForModels(config: Config): Promise<ModelRegistry> {
  const models = openModels(config);
  await models.start();
  const until = performance.now() + SLOW_MS;
  while (models.sources().some(({ state }) => state === 'waiting') && performance.now() < until) await wait(POLL_MS);
  return models;
}

export async function pull(invocation: Invocation): Promise<number> {
  const { models } = await invocation.config();
  const [name = ''] = invocation.args;
  const progress = createProgress();
  const leave = new AbortController();
  process.once('SIGINT', () => leave.abort());
  const show = ({ status, completed, total }: PullProgress) => {
    // A digest tells nobody anything.
    const step = `${name}: ${status.replace(/ [0-9a-f]{12,}$/, '')}`;
    if (total === null) progress.update(step, null);
    else progress.update(step, (completed ?? 0) / total, `${bytes(completed ?? 0)} of ${bytes(total)}`);
  };
  try {
    await pullOllamaModel(models.ollama?.url ?? OLLAMA, name, models, show, leave.signal);
  } catch (error) {
    progress.end();
    if (leave.signal.aborted) {
      say('Left; the same command goes on where it was.');
      return INTERRUPTED;
    }
    if (!(error instanceof ModelError)) throw error;
    const advice = error.code === 'unreachable' ? ' Start Ollama, or set OLLAMA_HOST to where it is.' : '';
    throw new CommandError(error.message + advice);
  }
  progress.end();
  say(`${name} is there: ask for it as ollama/${name}.`);
  return 0;
}
