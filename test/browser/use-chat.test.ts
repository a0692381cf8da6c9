/**
 * `useChat` of the AI SDK in a real browser, in an application of another origin that the server lists: sending, watching
 * the words come, stopping, regenerating, editing, and coming back to an answer that is being written.
 */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { after, before, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Page } from 'playwright-core';
import { describeBrowser } from '../support/browser.ts';
import { type ModelServer, startModelServer } from '../support/model-server.ts';
import { startServer, type TestServer } from '../support/server.ts';

const VITE = fileURLToPath(new URL('../../web/node_modules/vite/bin/vite.js', import.meta.url));
const PAGE = fileURLToPath(new URL('use-chat', import.meta.url));

const TYPES: Record<string, string> = { '.html': 'text/html', '.js': 'text/javascript' };

describeBrowser('useChat', ({ visit }) => {
  const built = mkdtempSync(join(tmpdir(), 'parlance-use-chat-'));
  let application: Server;
  let origin: string;
  let model: ModelServer;
  let server: TestServer;

  before(async () => {
    const options = ['build', PAGE, '--outDir', built, '--emptyOutDir', '--logLevel=error', '--configLoader=native'];
    await promisify(execFile)(process.execPath, [VITE, ...options]);
    application = createServer((request, response) => {
      const { pathname } = new URL(request.url ?? '', 'http://localhost');
      const file = join(built, pathname === '/' ? 'index.html' : pathname);
      if (!existsSync(file)) response.writeHead(204).end();
      else response.setHeader('content-type', TYPES[extname(file)] ?? '').end(readFileSync(file));
    });
    await new Promise<void>((resolve) => application.listen(0, '127.0.0.1', resolve));
    origin = `http://127.0.0.1:${(application.address() as AddressInfo).port}`;
    model = await startModelServer();
    server = await startServer({ model: model.url, env: { PARLANCE_ORIGINS: origin } });
  });
  after(async () => {
    application?.close();
    rmSync(built, { recursive: true, force: true });
    await server?.close();
    await model?.close();
  });

  const open = (chat: string) =>
    visit(`${origin}/?server=${encodeURIComponent(server.url)}&chat=${chat}`, { offOrigin: true, expected: /404/ });

  async function say(page: Page, text: string): Promise<void> {
    await page.getByLabel('Message', { exact: true }).fill(text);
    await page.getByRole('button', { name: 'Send' }).click();
  }
  const shown = (page: Page) =>
    page.getByRole('listitem').evaluateAll((items) => items.map((item) => item.firstChild?.textContent));
  const ready = (page: Page) =>
    page
      .getByRole('status')
      .filter({ hasText: /^ready$/ })
      .waitFor();
  const shows = (page: Page, text: string) => page.getByRole('listitem').filter({ hasText: text }).waitFor();

  it('sends, and shows the words while they come', async () => {
    const page = await open('first');
    const from = model.calls.length;
    model.next({ text: ['One', ' two', ' three'], gated: true });
    await say(page, 'Count');
    const call = await model.call(from);
    await call.release(2);
    await shows(page, 'assistant: One two');
    assert.deepEqual(await shown(page), ['user: Count', 'assistant: One two']);
    await call.releaseAll();
    await ready(page);
    assert.deepEqual(await shown(page), ['user: Count', 'assistant: One two three']);
    assert.equal(await page.getByRole('alert').textContent(), '');

    await say(page, 'And now?');
    await shows(page, 'You said: And now?');
    await ready(page);
    assert.deepEqual(
      model.calls
        .at(-1)
        ?.body.messages.filter(({ role }) => role !== 'system')
        .map(({ content }) => content),
      ['Count', 'One two three', 'And now?'],
    );
  });

  it('comes back to an answer that is being written, after a reload and in another window', async () => {
    const page = await open('second');
    const from = model.calls.length;
    model.next({ text: ['Slowly', ' but', ' surely'], gated: true });
    await say(page, 'Go');
    const call = await model.call(from);
    await call.release(1);
    await shows(page, 'assistant: Slowly');
    await page.reload();
    await shows(page, 'assistant: Slowly');
    const other = await open('second');
    await shows(other, 'assistant: Slowly');
    await call.releaseAll();
    for (const window of [page, other]) {
      await ready(window);
      assert.deepEqual(await shown(window), ['user: Go', 'assistant: Slowly but surely']);
    }
    assert.equal(model.calls.length, from + 1, 'the model is asked once');
  });

  it('stops, and the text stays', async () => {
    const page = await open('third');
    const from = model.calls.length;
    model.next({ text: ['Never', ' ending'], gated: true });
    await say(page, 'Go');
    const call = await model.call(from);
    await call.release(1);
    await shows(page, 'assistant: Never');
    await page.getByRole('button', { name: 'Stop' }).click();
    await ready(page);
    assert.equal(await call.over, 'left');
    await page.reload();
    await shows(page, 'assistant: Never');
  });

  it('regenerates and edits', async () => {
    const page = await open('fourth');
    model.next({ text: 'First try' }, { text: 'Second try' });
    await say(page, 'Try');
    await shows(page, 'First try');
    await ready(page);
    await page.getByRole('button', { name: 'Regenerate' }).click();
    await shows(page, 'Second try');
    await ready(page);
    assert.deepEqual(await shown(page), ['user: Try', 'assistant: Second try']);

    await page.getByLabel('Message', { exact: true }).fill('Try harder');
    await page.getByRole('button', { name: 'Edit' }).click();
    await shows(page, 'assistant: You said: Try harder (edited)');
    await ready(page);
    await page.reload();
    await shows(page, 'assistant: You said: Try harder (edited)');
    assert.deepEqual(await shown(page), ['user: Try harder (edited)', 'assistant: You said: Try harder (edited)']);
  });

  it('shows why there is no answer', async () => {
    const page = await open('fifth');
    model.next({ status: 400, error: { error: { message: 'No such parameter.' } } });
    await say(page, 'Fail');
    await page.getByRole('alert').filter({ hasText: /\S/ }).waitFor();
  });
});
