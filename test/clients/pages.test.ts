/** The examples of `docs/clients`, run as they stand there: each prints what the page says it prints. */

import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { startServer } from '../support/server.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = `${root}docs/clients/`;
const run = promisify(execFile);

/** Without a model: the guide answers, as in the pages. */
const server = await startServer();
after(() => server.close());

/** A block of code, and the block of text behind it. */
const EXAMPLE = /```(js|python)\n([\s\S]*?)```\n```text\n([\s\S]*?)```/g;

const commands = {
  js: (code: string) => [process.execPath, '--input-type=module', '-e', code],
  python: (code: string) => ['python3', '-c', code],
};

/** Python's packages are there where somebody installed them: no test does. */
function isThere(language: keyof typeof commands, code: string): boolean {
  if (language === 'js') return true;
  const modules = [...code.matchAll(/^(?:from|import) ([\w.]+)/gm)].map(([, name]) => `import ${name}`);
  try {
    execFileSync('python3', ['-c', modules.join('\n')], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

for (const name of readdirSync(folder)) {
  const examples = [...readFileSync(folder + name, 'utf8').matchAll(EXAMPLE)];
  if (examples.length === 0) continue;
  describe(`docs/clients/${name}`, () => {
    for (const [, language, code = '', expected = ''] of examples) {
      const [first] = expected.split('\n');
      const known = language as keyof typeof commands;
      const skip = isThere(known, code) ? false : 'its packages are not installed here';
      it(`${language}: ${first}`, { skip }, async () => {
        const [program = '', ...args] = commands[known](code.replaceAll('http://localhost:8000', server.url));
        const env = { ...process.env, PARLANCE_KEY: server.ownerKey };
        const { stdout } = await run(program, args, { cwd: root, env });
        assert.equal(stdout.trimEnd(), expected.trimEnd());
      });
    }
  });
}
