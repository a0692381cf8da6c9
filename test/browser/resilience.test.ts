/** What the web app does when the network, the page or the server goes away in the midst of an answer. */

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, it } from 'node:test';
import { describeBrowser } from '../support/browser.ts';
import { type ModelServer, startModelServer } from '../support/model-server.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { answers, say, settled } from './app.ts';

/** Lines a browser writes for requests that get no answer. */
const LOST = /Failed to load resource|ERR_|net::/;

describeBrowser('a lost connection', ({ visit }) => {
  let model: ModelServer;
  let server: TestServer;
  before(async () => {
    model = await startModelServer();
    server = await startServer({ model: model.url, env: { PORT: String(await freePort()) } });
  });
  after(async () => {
    await server?.close();
    await model?.close();
  });

  it('in mid-answer: the answer goes on by itself, whole and once', async () => {
    const page = await visit(server.url, { expected: LOST });
    const asked = model.calls.length;
    model.next({ text: ['One ', 'two ', 'three ', 'four'], gated: true });
    await say(page, 'Count');
    const call = await model.call(asked);
    await call.release(2);
    await answers(page).getByText('One two').waitFor();
    // What is open is cut, and nothing new gets through.
    const session = await page.context().newCDPSession(page);
    await session.send('Network.enable');
    await page.context().setOffline(true);
    await page.getByText('You are offline.').waitFor();
    await call.releaseAll();
    assert.equal(await call.over, 'end');
    await page.context().setOffline(false);
    await answers(page).getByText('One two three four').waitFor();
    await settled(page);
    assert.equal(await answers(page).count(), 1);
    assert.equal(await page.getByText('You are offline.').count(), 0);
    assert.equal(model.calls.length, asked + 1);
  });

  it('while a message is sent: it is sent again, stored once, and answered once', async () => {
    const page = await visit(server.url, { expected: LOST });
    const asked = model.calls.length;
    let lost = 0;
    await page.route('**/ui/chat', async (route) => {
      if (lost++ > 1) return route.continue();
      // The first one reaches the server, whose answer is lost; the second one does not even get there.
      if (lost === 1) await route.fetch();
      return route.abort('connectionreset');
    });
    await say(page, 'Only once');
    await answers(page).getByText('You said: Only once').waitFor();
    await settled(page);
    await page.reload();
    await answers(page).waitFor();
    assert.equal(await page.getByRole('article').count(), 2);
    assert.equal(model.calls.length, asked + 1);
    assert.equal(lost, 3);
  });

  it('of a page that is loaded anew in mid-answer: the words are there, and more come', async () => {
    const page = await visit(server.url, { expected: LOST });
    const asked = model.calls.length;
    model.next({ text: ['One ', 'two ', 'three'], gated: true });
    await say(page, 'Count');
    const call = await model.call(asked);
    await call.release(2);
    await answers(page).getByText('One two').waitFor();
    await page.reload();
    await answers(page).getByText('One two').waitFor();
    await call.releaseAll();
    await answers(page).getByText('One two three').waitFor();
    await settled(page);
    assert.equal(model.calls.length, asked + 1);
  });

  it('by a server that is killed and comes back: what was saved is marked as interrupted, and goes on when asked', async () => {
    const page = await visit(server.url, { expected: LOST });
    const asked = model.calls.length;
    model.next({ text: ['Half ', 'an ', 'answer'], gated: true }, { text: 'hour.' });
    await say(page, 'Tell');
    const call = await model.call(asked);
    await call.release(2);
    await answers(page).getByText('Half an').waitFor();
    // What is older than the flush interval is on disk.
    await page.waitForTimeout(200);
    await server.kill();
    await page.getByText('The connection was lost.').waitFor();
    await answers(page).getByText('Half an').waitFor();
    await server.start();
    await answers(page).getByText('Interrupted').waitFor();
    assert.equal(await answers(page).locator('.prose').innerText(), 'Half an');
    assert.equal(model.calls.length, asked + 1, 'nothing was asked twice');
    await page.getByRole('button', { name: 'Continue' }).click();
    await answers(page).getByText('Half an hour.').waitFor();
    await settled(page);
    assert.equal(await page.getByText('Interrupted', { exact: true }).count(), 0);
  });
});

async function freePort(): Promise<number> {
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
  const { port } = taken.address() as AddressInfo;
  await new Promise((resolve) => taken.close(resolve));
  return port;
}
