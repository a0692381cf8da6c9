/** The list of conversations in the web app: live, found, named, put away and deleted. */

import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import type { Page } from 'playwright-core';
import { describeBrowser } from '../support/browser.ts';
import { type ModelServer, startModelServer } from '../support/model-server.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { answers, choose, listed, say, settled } from './app.ts';

describeBrowser('the conversations', ({ visit }) => {
  let model: ModelServer;
  let server: TestServer;
  before(async () => {
    model = await startModelServer();
    server = await startServer({ model: model.url });
  });
  after(async () => {
    await server?.close();
    await model?.close();
  });

  let made = 0;
  /** One with this title, and one message with its answer; begun in another dialect. */
  async function begin(title: string, message = 'Hello'): Promise<string> {
    const client = server.visitor();
    const { body } = await client.request<{ id: string }>('POST', '/v1/conversations', { body: { title } });
    const id = `m-${++made}`;
    const sent = { id: body.id, message: { id, role: 'user', parts: [{ type: 'text', text: message }] } };
    await client.request('POST', '/ui/chat', { body: sent });
    return body.id;
  }

  it('of another window, and of another dialect, show at once', async () => {
    const [one, two] = await Promise.all([visit(server.url), visit(server.url, { expected: /404/ })]);
    await say(one, 'From one window');
    await listed(two, 'New chat').first().waitFor();
    const { body } = await server
      .visitor()
      .request<{ id: number }>('POST', '/chats/create', { body: { name: 'From afar' } });
    await listed(one, 'From afar').waitFor();
    await listed(two, 'From afar').click();
    await server.visitor().request('PUT', `/chats/update/${body.id}`, { body: { name: 'Named afar' } });
    await listed(one, 'Named afar').waitFor();
    await server.visitor().request('DELETE', `/chats/delete/${body.id}`);
    await listed(one, 'Named afar').waitFor({ state: 'detached' });
  });

  it('what is said in one window is seen in the other, while it is written', async () => {
    const [one, two] = await Promise.all([visit(server.url), visit(server.url)]);
    await say(one, 'Hello');
    await answers(one).waitFor();
    await settled(one);
    await two.goto(one.url());
    await answers(two).waitFor();
    const asked = model.calls.length;
    model.next({ text: ['Seen ', 'in both'], gated: true });
    await say(one, 'Look');
    const call = await model.call(asked);
    await call.release(1);
    await answers(two).last().getByText('Seen').waitFor();
    await call.releaseAll();
    await answers(two).last().getByText('Seen in both').waitFor();
    await settled(two);
  });

  it('are found by words in any message, with where', async () => {
    await begin('Dinner', 'A recipe with saffron and rice');
    const page = await visit(server.url);
    await listed(page, 'Dinner').waitFor();
    await page.keyboard.press('Control+k');
    await page.locator('input[aria-label="Search all messages"]:focus').waitFor();
    await page.keyboard.type('saffron');
    const found = page.getByRole('region', { name: 'Search all messages' });
    await found.getByText('1 conversation found').waitFor();
    assert.equal(await found.locator('mark').first().innerText(), 'saffron');
    await found.getByRole('link', { name: /Dinner/ }).click();
    await page.getByText('A recipe with saffron and rice', { exact: true }).waitFor();
    await page.getByLabel('Search all messages').first().fill('nothingofthekind');
    await found.getByText('Nothing found for “nothingofthekind”.').waitFor();
    await page.getByRole('button', { name: 'Clear the search' }).click();
    await listed(page, 'Dinner').waitFor();
  });

  it('are renamed in place, and left as they were by Escape', async () => {
    await begin('Old name');
    const page = await visit(server.url);
    await choose(page, 'Old name', 'Rename');
    await page.getByLabel('New name').fill('Other');
    await page.keyboard.press('Escape');
    await choose(page, 'Old name', 'Rename');
    await page.getByLabel('New name').fill('New name');
    await page.keyboard.press('Enter');
    await listed(page, 'New name').waitFor();
    await page.reload();
    await listed(page, 'New name').waitFor();
  });

  it('are put into the archive and taken out of it', async () => {
    await begin('Finished');
    const page = await visit(server.url);
    await choose(page, 'Finished', 'Archive');
    await listed(page, 'Finished').waitFor({ state: 'detached' });
    await page.getByRole('button', { name: 'Archived conversations' }).click();
    const archive = page.getByRole('navigation', { name: 'Archived' });
    await archive.getByRole('link', { name: 'Finished' }).waitFor();
    await choose(page, 'Finished', 'Take out of the archive');
    await archive.getByRole('link', { name: 'Finished' }).waitFor({ state: 'detached' });
    await page.getByRole('button', { name: 'Back to the conversations' }).click();
    await listed(page, 'Finished').waitFor();
  });

  it('are deleted when the time to take it back is over, or the page is left', async () => {
    const kept = await begin('Taken back');
    const gone = await begin('Deleted');
    const page = await visit(server.url, { expected: /404/ });
    const exists = async (id: string) => (await server.visitor().request('GET', `/v1/conversations/${id}`)).status;

    await choose(page, 'Taken back', 'Delete');
    await listed(page, 'Taken back').waitFor({ state: 'detached' });
    assert.equal(await exists(kept), 200);
    await page.getByRole('button', { name: 'Undo' }).click();
    await listed(page, 'Taken back').waitFor();

    await listed(page, 'Deleted').click();
    await choose(page, 'Deleted', 'Delete');
    await page.getByRole('heading', { name: 'What is on your mind?' }).waitFor();
    await page.goto('about:blank');
    await until(async () => (await exists(gone)) === 404);
    assert.equal(await exists(kept), 200);

    await page.goto(`${server.url}/c/${gone}`);
    await page.getByText('This conversation does not exist, or was deleted.').waitFor();
  });

  it('are gone through by the keyboard', async () => {
    const first = await begin('Keys one');
    const second = await begin('Keys two');
    const page = await visit(`${server.url}/c/${second}`);
    await listed(page, 'Keys one').waitFor();
    await page.keyboard.press('Alt+ArrowDown');
    await page.waitForURL(`**/c/${first}`);
    await page.keyboard.press('Alt+ArrowUp');
    await page.waitForURL(`**/c/${second}`);
    await listed(page, 'Keys two').focus();
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Enter');
    await page.waitForURL(`**/c/${first}`);
    await page.keyboard.press('F2');
    await page.getByLabel('New name').waitFor();
    await page.keyboard.press('Escape');
    await page.keyboard.press('Control+Shift+o');
    await page.getByRole('heading', { name: 'What is on your mind?' }).waitFor();
  });

  it('by the thousand are a few rows on the page, and scroll to the last', async () => {
    const other = await startServer({ model: model.url });
    try {
      const client = other.visitor();
      for (let i = 0; i < 1200; i += 50) {
        await Promise.all(
          Array.from({ length: 50 }, (_, j) =>
            client.request('POST', '/v1/conversations', { body: { title: `Number ${i + j}` } }),
          ),
        );
      }
      const page = await visit(other.url, { expected: /ERR_/ });
      const list = page.getByRole('navigation', { name: 'Conversations' });
      await list.getByRole('link').first().waitFor();
      await scrollToEnd(page);
      await list.getByRole('link', { name: 'Number 0', exact: true }).waitFor();
      assert.ok((await list.getByRole('link').count()) < 100);
    } finally {
      await other.close();
    }
  });

  /** Down, until nothing more comes. */
  async function scrollToEnd(page: Page): Promise<void> {
    const list = page.getByRole('navigation', { name: 'Conversations' });
    await until(async () => {
      await list.evaluate((box) => box.scrollTo(0, box.scrollHeight));
      return (await list.getByRole('link', { name: 'Number 0', exact: true }).count()) === 1;
    });
  }
});

async function until(isSo: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 15_000; !(await isSo()); ) {
    assert.ok(Date.now() < end, 'it does not come to be so');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
