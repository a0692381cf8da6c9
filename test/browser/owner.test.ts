/** Signing in to the web app, and what owners do in it. */

import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { describeBrowser } from '../support/browser.ts';
import { type ModelServer, startModelServer } from '../support/model-server.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { answers, listed, say, settled } from './app.ts';

describeBrowser('who is who in the web app', ({ visit }) => {
  let model: ModelServer;
  let local: TestServer;
  let closed: TestServer;
  before(async () => {
    model = await startModelServer();
    local = await startServer({ model: model.url });
    closed = await startServer({ model: model.url, env: { PARLANCE_LOCAL: 'off' } });
  });
  after(async () => {
    await Promise.all([local?.close(), closed?.close()]);
    await model?.close();
  });

  it('signs in with a key, stays signed in, and signs out', async () => {
    const key = await closed.createKey('ada');
    const page = await visit(closed.url, { expected: /401/ });
    await page.getByLabel('Key').fill(`plk_${'0'.repeat(64)}`);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page
      .getByRole('alert')
      .getByText(/unknown, revoked or expired/)
      .waitFor();
    await page.getByLabel('Key').fill(key);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await say(page, 'Hello');
    await answers(page).getByText('You said: Hello').waitFor();
    await page.reload();
    await answers(page).getByText('You said: Hello').waitFor();
    const kept = await page.evaluate(() =>
      JSON.stringify([document.cookie, { ...localStorage }, { ...sessionStorage }]),
    );
    assert.ok(!kept.includes('plk_'), 'the key is nowhere a script could read it');
    await page.keyboard.press('Control+,');
    await page.getByRole('tab', { name: 'You' }).click();
    await page.getByText('Signed in as ada').waitFor();
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByRole('heading', { name: 'Sign in' }).waitFor();
    await page.reload();
    await page.getByRole('heading', { name: 'Sign in' }).waitFor();
  });

  it('creates a key, shows it once, and revokes it', async () => {
    const page = await visit(local.url, { expected: /401|403/ });
    await page.getByLabel('Your message').waitFor();
    await page.keyboard.press('Control+,');
    await page.getByRole('tab', { name: 'Keys' }).click();
    await page.getByLabel('Owner key').fill(await local.createKey('nobody'));
    await page.getByRole('button', { name: 'Unlock' }).click();
    await page.getByRole('alert').waitFor();
    await page.getByLabel('Owner key').fill(local.ownerKey);
    await page.getByRole('button', { name: 'Unlock' }).click();
    await page.getByLabel('For the user').fill('robot');
    await page.getByLabel('Name, if you like').fill('Nightly job');
    await page.getByLabel('Expires after').selectOption({ label: '30 days' });
    await page.getByRole('button', { name: 'Create the key' }).click();
    await page.getByText('This key is shown once.').waitFor();
    const secret = await page.getByText(/^plk_[0-9a-f]{64}$/).innerText();
    const use = () => local.visitor({ authorization: `Bearer ${secret}` }).request('GET', '/v1/conversations');
    assert.equal((await use()).status, 200);
    await page.getByRole('tabpanel').getByRole('button', { name: 'Close' }).click();
    assert.equal(await page.getByText(secret).count(), 0);
    const row = page.getByRole('listitem').filter({ hasText: 'robot, Nightly job' });
    await row.getByText(/expires/).waitFor();
    await row.getByRole('button', { name: 'Revoke' }).click();
    await row.getByRole('alert').getByRole('button', { name: 'Revoke' }).click();
    await row.getByText('Revoked').waitFor();
    assert.equal((await use()).status, 401);
  });

  it('invites somebody, whose link signs them in', async () => {
    const page = await visit(closed.url);
    await page.getByLabel('Key').fill(closed.ownerKey);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('button', { name: 'Settings' }).click();
    await page.getByRole('tab', { name: 'Users and invites' }).click();
    await page.getByLabel('Name').fill('linus');
    await page.getByRole('button', { name: 'Make a link' }).click();
    const link = await page.getByText(/\/invite\//).innerText();
    const guest = await visit(closed.url + new URL(link).pathname);
    await guest.getByRole('button', { name: 'Accept the invitation' }).click();
    await guest.goto(closed.url);
    await guest.getByRole('heading', { name: 'What is on your mind?' }).waitFor();
    await guest.getByRole('button', { name: 'Settings' }).click();
    await guest.getByRole('tab', { name: 'You' }).click();
    await guest.getByText('Signed in as linus').waitFor();
  });

  it('in local mode shows the conversations of whom one chooses to be', async () => {
    const page = await visit(local.url);
    await say(page, 'Of the machine');
    await answers(page).waitFor();
    await settled(page);
    await page.keyboard.press('Control+,');
    await page.getByRole('tab', { name: 'You' }).click();
    await page.getByLabel('Other name').fill('margaret');
    await page.getByRole('button', { name: 'Use' }).last().click();
    await page.getByText('Conversations you begin are listed here.').waitFor();
    await say(page, 'Of Margaret');
    await answers(page).waitFor();
    await settled(page);
    assert.equal(await listed(page, 'New chat').count(), 1);
    await page.keyboard.press('Control+,');
    await page.getByRole('tab', { name: 'You' }).click();
    await page.getByText('You are margaret, on this machine').waitFor();
    await page.getByRole('listitem').filter({ hasText: 'local' }).getByRole('button', { name: 'Use' }).click();
    await listed(page, 'New chat').first().click();
    await page.getByText('Of the machine', { exact: true }).waitFor();
  });

  it('shows what was used, and keeps the theme', async () => {
    const page = await visit(local.url);
    await page.getByLabel('Your message').waitFor();
    await page.keyboard.press('Control+,');
    await page.getByRole('tab', { name: 'Usage' }).click();
    await page.getByRole('cell', { name: 'test-model' }).first().waitFor();
    await page.getByRole('tab', { name: 'Appearance' }).click();
    await page.getByText('Dark', { exact: true }).click();
    const paper = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
    assert.equal(await paper(), 'rgb(26, 25, 23)');
    await page.reload();
    assert.equal(await paper(), 'rgb(26, 25, 23)');
  });
});
