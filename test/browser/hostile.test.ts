/**
 * Nothing that is written in a conversation runs, loads or sends anything (QUALITY.md, 2): whatever a model writes, cut at
 * every character on its way, what is stored, and what people write themselves. What is seen live is what is seen later.
 */

import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import type { Page } from 'playwright-core';
import { describeBrowser } from '../support/browser.ts';
import { type ModelServer, startModelServer } from '../support/model-server.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { answers, links, questions, say, settled, shows } from './app.ts';
import { HOSTILE } from './hostile.ts';

const ALL = HOSTILE.join('\n\n');
/** So many at once: one that opens something and never closes it hides what comes after. */
const GROUP = 4;
const FRAME = 'new Promise((resolve) => requestAnimationFrame(resolve))';

/** Elements that load, run or send, attributes that run, and addresses that are more than a link, as texts. */
const findings = (page: Page): Promise<string[]> =>
  page.evaluate(() => {
    const found: string[] = [];
    const elements =
      'script, iframe, object, embed, form form, style, link, meta, base, video, audio, source, template';
    for (const element of document.querySelectorAll(`article :is(${elements}), nav :is(${elements})`)) {
      found.push(element.outerHTML);
    }
    for (const element of document.querySelectorAll('body *')) {
      for (const { name, value } of element.attributes) {
        if (name.startsWith('on')) found.push(`${element.tagName} ${name}=${value}`);
      }
      if (
        element instanceof HTMLImageElement &&
        !/^(data:image\/(?!svg)|blob:|\/favicon)/.test(element.getAttribute('src') ?? '')
      ) {
        found.push(`an image of ${element.src}`);
      }
      if (element instanceof HTMLAnchorElement && element.origin !== location.origin) {
        const { protocol, rel, target } = element;
        const harmless =
          /^(https?|mailto):$/.test(protocol) && target === '_blank' && /noopener/.test(rel) && /noreferrer/.test(rel);
        if (!harmless) found.push(`a link to ${element.href} (${rel}, ${target})`);
      }
    }
    if ('pwned' in window) found.push('a script ran');
    return found;
  });

describeBrowser('hostile texts', ({ visit }) => {
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

  it('run, load and send nothing while they are written, whatever of them has come', async () => {
    const page = await visit(server.url);
    const from = model.calls.length;
    model.next({ text: [...ALL], gated: true });
    await say(page, 'Write');
    const call = await model.call(from);
    for (let i = 0; i < ALL.length; i++) {
      await call.release(1);
      await page.evaluate(FRAME);
      if (i % 50 === 0)
        assert.deepEqual(await findings(page), [], `after ${JSON.stringify(ALL.slice(0, i).slice(-60))}`);
    }
    await call.releaseAll();
    await settled(page);
    assert.deepEqual(await findings(page), []);
  });

  it('look the same when they are read again', async () => {
    const live = await visit(server.url);
    const later = await live.context().newPage();
    for (let i = 0; i < HOSTILE.length; i += GROUP) {
      const text = HOSTILE.slice(i, i + GROUP).join('\n\n');
      await live.getByRole('button', { name: 'New chat' }).first().click();
      model.next({ text: text.match(/[\s\S]{1,7}/g) ?? [] });
      await say(live, 'Write');
      await settled(live);
      await later.goto(live.url());
      await settled(later);
      // What draws a formula is loaded with the first one.
      const same = async () => (await answers(live).last().innerHTML()) === (await answers(later).last().innerHTML());
      for (let frame = 0; frame < 300 && !(await same()); frame++) await later.evaluate(FRAME);
      assert.equal(await answers(live).last().innerHTML(), await answers(later).last().innerHTML(), text);
      assert.deepEqual([...(await findings(live)), ...(await findings(later))], [], text);
    }
  });

  it('of people, in titles, messages and what is found run, load and send nothing', async () => {
    const somebody = server.visitor();
    for (const text of HOSTILE) {
      const name = text.replace(/\s+/g, ' ');
      const { body } = await somebody.request<{ id: string }>('POST', '/chats/create', { body: { name } });
      for (const role of ['Human', 'Assistant']) {
        const entry = { chat_id: body.id, role, message: `needle ${text}` };
        assert.equal((await somebody.request('POST', '/conversations/create', { body: entry })).status, 201);
      }
    }
    const page = await visit(server.url);
    await links(page).first().waitFor();
    assert.deepEqual(await findings(page), []);
    await page.getByRole('textbox', { name: 'Search all messages' }).fill('needle');
    await page.getByText(/conversations found/).waitFor();
    assert.deepEqual(await findings(page), []);
    await page.getByRole('button', { name: 'Clear the search' }).click();
    await links(page).first().click();
    await questions(page).first().waitFor();
    await shows(page, 'needle');
    assert.deepEqual(await findings(page), []);
  });
});
