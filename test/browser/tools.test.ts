/** Tools of an MCP server in the web app: folded where they only read, asked for where they write. */

import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { assertAccessible } from '../support/axe.ts';
import { describeBrowser } from '../support/browser.ts';
import { type ModelServer, startModelServer } from '../support/model-server.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { answers, say, settled } from './app.ts';

const MCP = fileURLToPath(new URL('../support/mcp-server.ts', import.meta.url));

describeBrowser('tools in the web app', ({ visit }) => {
  const folder = mkdtempSync(join(tmpdir(), 'parlance-web-tools-'));
  const notes = join(folder, 'notes');
  let model: ModelServer;
  let server: TestServer;
  before(async () => {
    model = await startModelServer();
    server = await startServer({
      model: model.url,
      config: {
        assistants: [{ id: 'default', tools: ['it'] }],
        mcpServers: { it: { command: process.execPath, args: [MCP], env: { MCP_NOTES: notes } } },
      },
    });
  });
  after(async () => {
    await server?.close();
    await model?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it('that only read are folded, with what they were given and gave', async () => {
    const page = await visit(server.url);
    model.next(
      { text: 'Wait.', tools: [{ name: 'it__read', arguments: '{"text":"a page"}' }] },
      { text: 'It is read.' },
    );
    await say(page, 'Read it');
    await answers(page).getByText('It is read.').waitFor();
    await settled(page);
    await page.getByText('Used it__read').click();
    await page.getByText('read a page').waitFor();
  });

  it('that write wait for a person, who lets them or does not', async () => {
    const page = await visit(server.url);
    for (const [answer, shown] of [
      ['Do not allow', 'it__note was not allowed'],
      ['Allow once', 'Used it__note'],
    ] as const) {
      model.next(
        { text: 'May I?', tools: [{ name: 'it__note', arguments: '{"text":"remember"}' }] },
        { text: 'So be it.' },
      );
      await say(page, 'Note it');
      const asked = page.getByRole('region', { name: 'May it__note run?' });
      await asked.getByText('remember').waitFor();
      await settled(page);
      assert.equal(existsSync(notes), false);
      await assertAccessible(page, 'a call that asks');
      await asked.getByRole('button', { name: answer }).click();
      await answers(page).last().getByText('So be it.').waitFor();
      await settled(page);
      await answers(page).last().getByText(shown).waitFor();
      assert.equal(await asked.count(), 0);
      await page.reload();
      await answers(page).last().getByText(shown).waitFor();
    }
    assert.equal(readFileSync(notes, 'utf8').trim(), 'remember');
  });
});
