/** The consoles in the documents, typed again: each command prints what stands below it, but for ids and times. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { startServer } from '../support/server.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'parlance-console-'));
after(() => rmSync(folder, { recursive: true }));

interface Step {
  command: string;
  output: string;
}

/** `$` begins a command, `>` goes on with it, and all else is printed. */
function stepsOf(document: string): Step[] {
  const steps: Step[] = [];
  for (const [, block = ''] of document.matchAll(/```console\n([\s\S]*?)```/g)) {
    for (const line of block.trimEnd().split('\n')) {
      const step = steps.at(-1);
      if (line.startsWith('$ ')) steps.push({ command: line.slice(2), output: '' });
      else if (step !== undefined && line.startsWith('> ')) step.command += `\n${line.slice(2)}`;
      else if (step !== undefined) step.output += `${line}\n`;
    }
  }
  return steps;
}

const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g;

/** What differs from one time to the next. */
function plain(text: string): string {
  return text
    .replace(UUID, 'UUID')
    .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/g, 'TIME')
    .replace(/"(created|created_at|updated_at|active_at)":\d+/g, '"$1":SECONDS')
    .replace(/UUID\.[0-9a-z]+"/g, 'UUID.TIME"')
    .trim();
}

/** One shell for a whole document, as its variables go on. */
function openShell(env: Record<string, string>) {
  const shell = spawn('bash', { cwd: folder, env: { ...process.env, ...env }, stdio: ['pipe', 'pipe', 'inherit'] });
  const mark = '--- typed ---';
  let printed = '';
  let resolve: (text: string) => void = () => {};
  shell.stdout.setEncoding('utf8').on('data', (text: string) => {
    printed += text;
    if (!printed.endsWith(`${mark}\n`)) return;
    resolve(printed.slice(0, -mark.length - 1));
    printed = '';
  });
  return {
    type: (command: string) =>
      new Promise<string>((done) => {
        resolve = done;
        shell.stdin.write(`${command}\nprintf '%s\\n' '${mark}'\n`);
      }),
    close: () => shell.kill(),
  };
}

for (const name of ['README.md', 'docs/clients/conversations.md', 'docs/clients/curl.md']) {
  describe(name, async () => {
    const server = await startServer();
    const KEY = await server.createKey('ada');
    const shell = openShell({ KEY, PATH: `${dirname(process.execPath)}:${process.env.PATH}` });
    after(async () => {
      shell.close();
      await server.close();
    });
    /** The ids of the document, and those of this time. */
    const ids = new Map<string, string>();
    for (const { command, output } of stepsOf(readFileSync(join(root, name), 'utf8'))) {
      if (command.startsWith('KEY=')) continue;
      it(command.split('\n')[0] ?? '', async () => {
        const known = command.replace(UUID, (id) => ids.get(id) ?? id);
        const printed = await shell.type(known.replaceAll('localhost:8000', new URL(server.url).host));
        assert.equal(plain(printed), plain(output));
        const now = printed.match(UUID) ?? [];
        for (const [i, id] of (output.match(UUID) ?? []).entries()) ids.set(id, now[i] ?? id);
      });
    }
  });
}
