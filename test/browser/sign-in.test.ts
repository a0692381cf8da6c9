/** Sessions in a browser: they end with their key, leave nothing for the next person, and begin with an invite. */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, before, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describeBrowser } from '../support/browser.ts';
import { type Keys, openKeys } from '../support/keys.ts';
import { type ModelServer, startModelServer } from '../support/model-server.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { answers, field, say, settled, shows } from './app.ts';

const CLI = fileURLToPath(new URL('../../src/cli.ts', import.meta.url));

describeBrowser('a session', ({ visit }) => {
  let model: ModelServer;
  let server: TestServer;
  let keys: Keys;
  before(async () => {
    model = await startModelServer();
    server = await startServer({ model: model.url, env: { PARLANCE_LOCAL: 'off' } });
    keys = await openKeys(server.data);
  });
  after(async () => {
    await keys?.close();
    await server?.close();
    await model?.close();
  });

  async function invite(name: string): Promise<string> {
    const env = { PATH: process.env.PATH ?? '', HOME: server.data, PARLANCE_DATA: server.data };
    const { stdout } = await promisify(execFile)(process.execPath, [CLI, 'users', 'invite', name], { env });
    return server.url + new URL(stdout.trim()).pathname;
  }

  it('ends when the key is revoked, and goes on with another one', async () => {
    const first = await keys.create({ user: 'bob' });
    const second = await keys.create({ user: 'bob' });
    const page = await visit(server.url, { expected: /401/ });
    await page.getByLabel('Key').fill(first.secret);
    await page.getByRole('button', { name: 'Sign in' }).click();
    model.next({ text: 'Kept.' });
    await say(page, 'Keep this');
    await settled(page);
    await keys.revoke(first);
    await page.getByText('You were signed out.').waitFor();
    await page.getByLabel('Key').fill(second.secret);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await shows(page, 'Kept.');
    assert.equal(await answers(page).count(), 1);

    // Somebody else on the same page sees nothing of it, what was begun neither.
    await field(page).fill('A secret that is begun');
    await keys.revoke(second);
    await page.getByText('You were signed out.').waitFor();
    await page.getByLabel('Key').fill((await keys.create({ user: 'mallory' })).secret);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByText('Conversations you begin are listed here.').waitFor();
    assert.equal(new URL(page.url()).pathname, '/');
    assert.equal(await field(page).inputValue(), '');
    assert.equal(await page.getByText('Keep this').count(), 0);
  });

  it('with an invite works once, and opens the app', async () => {
    const link = await invite('eve');
    const page = await visit(link, { expected: /404/ });
    await page.getByRole('button', { name: 'Accept the invitation' }).click();
    await page.getByRole('heading', { name: 'Welcome, eve' }).waitFor();
    const [cookie] = await page.context().cookies();
    assert.deepEqual([cookie?.httpOnly, cookie?.sameSite, cookie?.path], [true, 'Strict', '/']);
    await page.getByRole('link', { name: 'Open Parlance' }).click();
    await field(page).waitFor();
    const user = await page.evaluate(
      async () => ((await (await fetch('/v1/session')).json()) as { user: string }).user,
    );
    assert.equal(user, 'eve');

    const other = await visit(link, { expected: /404/ });
    await other.getByRole('button', { name: 'Accept the invitation' }).click();
    await other.getByRole('heading', { name: 'This invite cannot be used' }).waitFor();
    assert.deepEqual(await other.context().cookies(), []);
  });
});
