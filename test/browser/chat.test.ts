/** The chat of the web app, as a person uses it. */

import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { describeBrowser } from '../support/browser.ts';
import { type ModelServer, startModelServer } from '../support/model-server.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { answers, say, settled } from './app.ts';

describeBrowser('the chat', ({ visit }) => {
  let model: ModelServer;
  let server: TestServer;
  before(async () => {
    model = await startModelServer();
    model.models = [{ id: 'test-model' }, { id: 'other-model' }];
    server = await startServer({ model: model.url });
  });
  after(async () => {
    await server?.close();
    await model?.close();
  });

  it('answers the first message word by word, and gives the conversation its address', async () => {
    const page = await visit(server.url);
    await page.getByRole('heading', { name: 'What is on your mind?' }).waitFor();
    const asked = model.calls.length;
    model.next({ text: ['Hello ', '**there**', '.'], gated: true });
    await say(page, 'Good day');
    const call = await model.call(asked);
    await page.getByText('Good day').waitFor();
    await call.release(2);
    await answers(page).getByText('Hello there').waitFor();
    assert.equal(await answers(page).getAttribute('aria-busy'), 'true');
    assert.match(page.url(), /\/c\/conv_[0-9a-f-]{36}$/);
    await call.releaseAll();
    await settled(page);
    assert.equal(
      await answers(page).locator('.prose').innerHTML(),
      '<p>Hello <strong class="font-[650]">there</strong>.</p>',
    );
    await page.reload();
    await answers(page).getByText('Hello there.').waitFor();
  });

  it('stops an answer and keeps what was written, by its button and by Escape', async () => {
    const page = await visit(server.url);
    for (const stop of [
      () => page.getByRole('button', { name: 'Stop the answer' }).click(),
      () => page.keyboard.press('Escape'),
    ]) {
      const asked = model.calls.length;
      model.next({ text: ['One ', 'two ', 'three'], gated: true });
      await say(page, 'Count');
      await (await model.call(asked)).release(1);
      await answers(page).last().getByText('One').waitFor();
      await stop();
      await settled(page);
      await answers(page).last().getByText('Stopped').waitFor();
      assert.equal(await answers(page).last().locator('.prose').innerText(), 'One');
    }
  });

  it('answers again beside the first answer, and leads from one to the other', async () => {
    const page = await visit(server.url);
    model.next({ text: 'First' }, { text: 'Second' });
    await say(page, 'Say');
    await answers(page).getByText('First').waitFor();
    await settled(page);
    await page.getByRole('button', { name: 'Answer again' }).click();
    await answers(page).getByText('Second').waitFor();
    await page.getByRole('group', { name: 'Version 2 of 2' }).waitFor();
    await page.getByRole('button', { name: 'Previous version' }).click();
    await answers(page).getByText('First').waitFor();
    await page.getByRole('group', { name: 'Version 1 of 2' }).waitFor();
    assert.equal(await answers(page).getByText('Second').count(), 0);
    await page.reload();
    await answers(page).getByText('First').waitFor();
  });

  it('edits a message into a branch of its own, with what followed kept on the other', async () => {
    const page = await visit(server.url);
    await say(page, 'One');
    await answers(page).getByText('You said: One').waitFor();
    await settled(page);
    await say(page, 'Two');
    await answers(page).getByText('You said: Two').waitFor();
    await settled(page);
    await page.getByRole('button', { name: 'Edit', exact: true }).first().click({ force: true });
    await page.getByLabel('Edit your message').fill('Three');
    await page.getByRole('button', { name: 'Send as a new branch' }).click();
    await answers(page).getByText('You said: Three').waitFor();
    await settled(page);
    assert.equal(await answers(page).count(), 1);
    await page.getByRole('button', { name: 'Previous version' }).click({ force: true });
    await answers(page).getByText('You said: Two').waitFor();
    assert.equal(await answers(page).count(), 2);
    await page.getByRole('button', { name: 'Next version' }).click({ force: true });
    await answers(page).getByText('You said: Three').waitFor();
  });

  it('edits the last message with the arrow up, and lets it be', async () => {
    const page = await visit(server.url);
    await say(page, 'Mistake');
    await answers(page).getByText('You said: Mistake').waitFor();
    await settled(page);
    await page.getByLabel('Your message').press('ArrowUp');
    await page.getByLabel('Edit your message').press('Escape');
    await page.getByText('Mistake', { exact: true }).waitFor();
    await page.getByLabel('Your message').press('ArrowUp');
    await page.getByLabel('Edit your message').fill('Right');
    await page.getByLabel('Edit your message').press('Enter');
    await answers(page).getByText('You said: Right').waitFor();
  });

  it('shows reasoning folded, tokens and the model, and copies without the Markdown being lost', async () => {
    const page = await visit(server.url, { permissions: ['clipboard-read', 'clipboard-write'] });
    model.next({ reasoning: 'Thinking hard', text: 'The *answer*', usage: { input: 1200, output: 34 } });
    await say(page, 'Think');
    await answers(page).getByText('The answer', { exact: true }).waitFor();
    await settled(page);
    const folded = page.getByText('Thought it through');
    await folded.waitFor();
    assert.equal(await page.getByText('Thinking hard').isVisible(), false);
    await folded.click();
    await page.getByText('Thinking hard').waitFor();
    await page.getByText('1,234 tokens').waitFor();
    await page.getByText('test-model', { exact: true }).first().waitFor();
    await page.getByRole('button', { name: 'Copy the answer' }).click();
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), 'The *answer*');
  });

  it('says what went wrong, and tries again', async () => {
    const page = await visit(server.url);
    model.next({ status: 400, error: { error: { message: 'No such parameter' } } });
    await say(page, 'Hello');
    const alert = page.getByRole('alert');
    await alert.getByText('No such parameter').waitFor();
    await page.reload();
    await page.getByRole('alert').getByText('This message was not answered.').waitFor();
    await page.getByRole('button', { name: 'Retry' }).click();
    await answers(page).getByText('You said: Hello').waitFor();
    await settled(page);
    assert.equal(await page.getByRole('alert').count(), 0);
  });

  it('marks an answer that broke off, goes on from it, and answers anew', async () => {
    const page = await visit(server.url);
    model.next({ text: ['Half ', 'an ', 'answer'], cut: 2 }, { text: 'hour passed.' });
    await say(page, 'Tell');
    await answers(page).getByText('Interrupted').waitFor();
    await page.getByRole('button', { name: 'Continue' }).click();
    await answers(page).getByText('Half an hour passed.').waitFor();
    await settled(page);
    assert.equal(await page.getByText('Interrupted', { exact: true }).count(), 0);
  });

  it('keeps what is begun in each conversation', async () => {
    const page = await visit(server.url);
    await say(page, 'A conversation');
    await answers(page).waitFor();
    await settled(page);
    await page.getByLabel('Your message').fill('Begun here');
    await page.getByRole('button', { name: 'New chat' }).first().click();
    await page.getByLabel('Your message').fill('Begun there');
    await page.reload();
    assert.equal(await page.getByLabel('Your message').inputValue(), 'Begun there');
    await page.goBack();
    await answers(page).waitFor();
    assert.equal(await page.getByLabel('Your message').inputValue(), 'Begun here');
  });

  it('asks the chosen model and the chosen assistant', async () => {
    const page = await visit(server.url);
    const asked = model.calls.length;
    await page.getByRole('button', { name: 'Model: test-model' }).click();
    await page.getByRole('menuitemradio', { name: 'other-model' }).click();
    await page.getByRole('button', { name: 'Assistant: Assistant' }).click();
    await page.getByRole('menuitemradio', { name: /Movie expert/ }).click();
    await say(page, 'What shall I watch?');
    await answers(page).waitFor();
    await settled(page);
    const call = await model.call(asked);
    assert.equal(call.body.model, 'other-model');
    assert.match(String(call.body.messages[0]?.content), /movie expert/);
    await page.reload();
    await page.getByRole('button', { name: 'Model: other-model' }).waitFor();
  });

  it('sends images, made smaller, as the model gets them', async () => {
    const page = await visit(server.url);
    const asked = model.calls.length;
    const png = await page.evaluate(async () => {
      const canvas = new OffscreenCanvas(3000, 1200);
      const context = canvas.getContext('2d') as OffscreenCanvasRenderingContext2D;
      context.fillStyle = '#2a8';
      context.fillRect(0, 0, 3000, 1200);
      const blob = await canvas.convertToBlob({ type: 'image/png' });
      return [...new Uint8Array(await blob.arrayBuffer())];
    });
    const [chooser] = await Promise.all([
      page.waitForEvent('filechooser'),
      page.getByRole('button', { name: 'Add images' }).click(),
    ]);
    await chooser.setFiles({ name: 'wide.png', mimeType: 'image/png', buffer: Buffer.from(png) });
    await page.getByRole('button', { name: 'Remove this image' }).waitFor();
    await say(page, 'What is this?');
    await answers(page).waitFor();
    await settled(page);
    const call = await model.call(asked);
    const content = call.body.messages.at(-1)?.content;
    const image = Array.isArray(content) ? content.find(({ type }) => type === 'image_url')?.image_url?.url : undefined;
    assert.match(image ?? '', /^data:image\/jpeg;base64,/);
    const size = await page
      .getByRole('img', { name: 'Image' })
      .evaluate((img: HTMLImageElement) => [img.naturalWidth, img.naturalHeight]);
    assert.deepEqual(size, [1568, 627]);
  });

  it('lets go of the newest words when somebody scrolls away, and takes them up again', async () => {
    const page = await visit(server.url, { viewport: { width: 900, height: 500 } });
    const asked = model.calls.length;
    const lines = Array.from({ length: 60 }, (_, i) => `Line ${i}\n\n`);
    model.next({ text: lines, gated: true });
    await say(page, 'Many lines');
    const call = await model.call(asked);
    await call.release(30);
    await page.getByText('Line 29').waitFor();
    const scroller = page.getByRole('region', { name: 'Messages' });
    const gap = () => scroller.evaluate((box) => box.scrollHeight - box.scrollTop - box.clientHeight);
    assert.ok((await gap()) < 2, 'it follows');
    await scroller.hover();
    await page.mouse.wheel(0, -400);
    const back = page.getByRole('button', { name: 'Go to the newest message' });
    await back.waitFor();
    const at = await scroller.evaluate((box) => box.scrollTop);
    await call.release(20);
    await page.getByText('Line 49').waitFor();
    assert.equal(await scroller.evaluate((box) => box.scrollTop), at);
    await back.click();
    assert.ok((await gap()) < 2, 'it is at the end again');
    await call.releaseAll();
    await page.getByText('Line 59').waitFor();
    await settled(page);
    assert.ok((await gap()) < 2, 'it follows again');
  });
});
