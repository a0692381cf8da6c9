/** The server's own pages in a browser: an invite is taken, a session cookie is set as it should be. */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, before, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describeBrowser } from '../support/browser.ts';
import { startServer, type TestServer } from '../support/server.ts';

const CLI = fileURLToPath(new URL('../../src/cli.ts', import.meta.url));

describeBrowser('an invite link', ({ visit }) => {
  let server: TestServer;
  before(async () => {
    server = await startServer({ env: { PARLANCE_LOCAL: 'off' } });
  });
  after(() => server?.close());

  async function invite(name: string): Promise<string> {
    const env = { PATH: process.env.PATH ?? '', HOME: server.data, PARLANCE_DATA: server.data };
    const { stdout } = await promisify(execFile)(process.execPath, [CLI, 'users', 'invite', name], { env });
    return server.url + new URL(stdout.trim()).pathname;
  }

  it('signs its browser in, once, with a cookie no script sees', async () => {
    const link = await invite('ada');
    const page = await visit(link, { expected: /404/ });
    await page.getByRole('button', { name: 'Accept the invitation' }).click();
    await page.getByRole('heading', { name: 'Welcome, ada' }).waitFor();
    const [cookie] = await page.context().cookies();
    assert.deepEqual([cookie?.httpOnly, cookie?.sameSite, cookie?.path], [true, 'Strict', '/']);
    await page.goto(`${server.url}/docs`);
    const seen = await page.evaluate(async () => {
      const { user, access } = (await (await fetch('/v1/session')).json()) as { user: string; access: string };
      const written = await fetch('/ui/chat/none/stop', { method: 'POST' });
      return { cookies: document.cookie, user, access, status: written.status };
    });
    assert.deepEqual(seen, { cookies: '', user: 'ada', access: 'session', status: 404 });

    const other = await visit(link, { expected: /404/ });
    await other.getByRole('button', { name: 'Accept the invitation' }).click();
    await other.getByRole('heading', { name: 'This invite cannot be used' }).waitFor();
    assert.deepEqual(await other.context().cookies(), []);
  });
});
