/** Every screen, in both themes, on a wide screen and on a phone: accessible, and usable with the keyboard alone. */

import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import type { Page } from 'playwright-core';
import { assertAccessible } from '../support/axe.ts';
import { describeBrowser, type VisitOptions } from '../support/browser.ts';
import { type ModelServer, startModelServer } from '../support/model-server.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { answers, field, links, questions, say, settled, shows } from './app.ts';

const RICH = `# Title

Some **bold** text with \`code\`, a [link](https://example.com) and $x^2$.

| a | b |
|---|---|
| 1 | 2 |

\`\`\`js
const answer = 42;
\`\`\`

> quoted

1. one
2. two`;

const PHONE: VisitOptions = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };

describeBrowser('the screens', ({ visit }) => {
  let model: ModelServer;
  let server: TestServer;
  let keyed: TestServer;
  before(async () => {
    model = await startModelServer();
    [server, keyed] = await Promise.all([
      startServer({ model: model.url }),
      startServer({ model: model.url, env: { PARLANCE_LOCAL: 'off' } }),
    ]);
  });
  after(async () => {
    await Promise.all([server?.close(), keyed?.close()]);
    await model?.close();
  });

  for (const colorScheme of ['light', 'dark'] as const) {
    it(`are accessible, ${colorScheme}`, async () => {
      const page = await visit(server.url, { colorScheme });
      await field(page).waitFor();
      await assertAccessible(page, 'a new chat');

      model.next({ reasoning: 'Let me think.', text: RICH });
      await say(page, 'Show me');
      await settled(page);
      await answers(page).locator('.katex').first().waitFor();
      await assertAccessible(page, 'an answer');

      const from = model.calls.length;
      model.next({ text: ['Slow', 'ly'], gated: true });
      await say(page, 'Slowly');
      const call = await model.call(from);
      await call.release(1);
      await shows(page, 'Slow');
      await assertAccessible(page, 'an answer that is being written');
      await page.getByRole('button', { name: 'Stop the answer' }).click();
      await answers(page).getByText('Stopped').waitFor();
      await assertAccessible(page, 'a stopped answer');

      model.next({ status: 400, error: { error: { message: 'No.' } } });
      await say(page, 'Fail');
      await page.getByRole('alert').waitFor();
      await assertAccessible(page, 'no answer');

      await questions(page).first().hover();
      await page.getByRole('button', { name: 'Edit' }).first().click();
      await assertAccessible(page, 'editing');
      await page.keyboard.press('Escape');

      await page.getByRole('button', { name: /^Model/ }).click();
      await page.getByRole('menu').waitFor();
      await assertAccessible(page, 'the models');
      await page.keyboard.press('Escape');

      await page.getByRole('textbox', { name: 'Search all messages' }).fill('show');
      await page.getByText(/conversations? found/).waitFor();
      await assertAccessible(page, 'what was found');
      await page.keyboard.press('Escape');
      await page.getByRole('button', { name: 'Archived conversations' }).click();
      await assertAccessible(page, 'the archive');

      await page.getByRole('button', { name: 'Settings' }).click();
      await page.getByRole('dialog').waitFor();
      for (const name of ['Appearance', 'Keyboard', 'You', 'Usage', 'Keys', 'Users and invites']) {
        await page.getByRole('tab', { name, exact: true }).click();
        await page.getByRole('tabpanel', { name, exact: true }).waitFor();
        await assertAccessible(page, `the settings: ${name}`);
      }
    });

    it(`of owners are accessible, ${colorScheme}`, async () => {
      const page = await visit(server.url, { colorScheme });
      await page.getByRole('button', { name: 'Settings' }).click();
      await page.getByRole('tab', { name: 'Keys' }).click();
      await page.getByLabel('Owner key').fill(server.ownerKey);
      await page.getByRole('button', { name: 'Unlock' }).click();
      await page.getByRole('button', { name: 'Create the key' }).waitFor();
      await assertAccessible(page, 'keys');
      await page.getByRole('tab', { name: 'Users and invites' }).click();
      await page.getByRole('button', { name: 'Make a link' }).waitFor();
      await assertAccessible(page, 'people');
    });

    it(`of signing in are accessible, ${colorScheme}`, async () => {
      const page = await visit(keyed.url, { colorScheme });
      await page.getByRole('heading', { name: 'Sign in' }).waitFor();
      await assertAccessible(page, 'signing in');
    });

    it(`are accessible on a phone, ${colorScheme}`, async () => {
      const page = await visit(server.url, { ...PHONE, colorScheme });
      await field(page).waitFor();
      await assertAccessible(page, 'a new chat');
      model.next({ text: RICH });
      await say(page, 'Show me');
      await settled(page);
      await assertAccessible(page, 'an answer');
      await page.getByRole('button', { name: 'Show conversations' }).click();
      await links(page).first().waitFor();
      await assertAccessible(page, 'the conversations');
    });
  }

  it('fit on a phone: nothing is wider than it, and everything can be reached', async () => {
    const page = await visit(server.url, PHONE);
    model.next({ text: `${RICH}\n\n${'long'.repeat(200)}\n\n\`\`\`\n${'wide '.repeat(100)}\n\`\`\`` });
    await say(page, 'A long and wide answer please');
    await settled(page);
    await assertFits(page);
    await page.getByRole('button', { name: 'Show conversations' }).tap();
    await links(page).first().tap();
    await links(page).first().waitFor({ state: 'hidden' });
    await field(page).tap();
    await page.getByRole('button', { name: 'New chat' }).tap();
    await assertFits(page);
    assert.equal(await answers(page).count(), 0);
  });

  it('are used with the keyboard alone', async () => {
    const page = await visit(server.url);
    await field(page).waitFor();
    model.next({ text: 'By keyboard.' });
    await page.keyboard.type('Hello');
    await page.keyboard.press('Enter');
    await shows(page, 'By keyboard.');
    await settled(page);
    const from = model.calls.length;
    model.next({ text: ['To be', ' stopped'], gated: true });
    await page.keyboard.type('Stop this');
    await page.keyboard.press('Enter');
    await (await model.call(from)).release(1);
    await shows(page, 'To be');
    await page.keyboard.press('Escape');
    await answers(page).getByText('Stopped').waitFor();

    model.next({ text: 'Edited by keyboard.' });
    await page.getByRole('button', { name: 'Send' }).waitFor();
    await page.keyboard.press('ArrowUp');
    await page.getByRole('textbox', { name: 'Edit your message' }).waitFor();
    await page.keyboard.press('ControlOrMeta+a');
    await page.keyboard.type('Another');
    await page.keyboard.press('Enter');
    await shows(page, 'Edited by keyboard.');
    await settled(page);
    assert.equal(await questions(page).last().getByRole('paragraph').textContent(), 'Another');

    await page.keyboard.press('ControlOrMeta+Shift+o');
    await page.getByText('What is on your mind?').waitFor();
    await page.keyboard.press('ControlOrMeta+k');
    await page.locator('input:focus').waitFor();
    await page.keyboard.type('keyboard');
    await page.getByText('1 conversation found').waitFor();
    // From the field to the first hit, and into it.
    for (let i = 0; i < 10 && !(await focusedIs(page, 'A')); i++) await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await shows(page, 'Edited by keyboard.');

    await page.keyboard.press('ControlOrMeta+,');
    await page.getByRole('dialog').waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'hidden' });
    assert.ok(await seesFocus(page), 'what has the focus is seen');
  });

  it('say so where an address is nobody’s', async () => {
    const page = await visit(`${server.url}/c/conv_0198c7c1-5d00-7000-8000-5717b3fc2c96`, { expected: /404/ });
    await page.getByText('This conversation does not exist, or was deleted.').waitFor();
    await assertAccessible(page, 'nobody’s');
    await page.getByRole('button', { name: 'Begin a new chat' }).click();
    await field(page).waitFor();
  });

  it('move little for those who want little motion', async () => {
    const page = await visit(server.url, { reducedMotion: 'reduce' });
    await field(page).waitFor();
    const longest = await page.evaluate(() =>
      Math.max(
        0,
        ...document.getAnimations().map((animation) => Number(animation.effect?.getComputedTiming().activeDuration)),
      ),
    );
    assert.ok(longest <= 10, `${longest} ms`);
  });
});

async function assertFits(page: Page): Promise<void> {
  const { wide, view } = await page.evaluate(() => ({
    wide: document.documentElement.scrollWidth,
    view: document.documentElement.clientWidth,
  }));
  assert.ok(wide <= view, `${wide} px on a screen of ${view}`);
}

const focusedIs = (page: Page, tag: string) => page.evaluate((name) => document.activeElement?.tagName === name, tag);

/** Something other than the page itself has the focus, and is on the screen. */
const seesFocus = (page: Page) =>
  page.evaluate(() => {
    const box = document.activeElement?.getBoundingClientRect();
    return document.activeElement !== document.body && box !== undefined && box.width > 0 && box.bottom <= innerHeight;
  });
