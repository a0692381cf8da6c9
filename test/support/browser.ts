/**
 * A real Chromium before a real server, for the tests of the web app.
 *
 *     describeBrowser('the first message', ({ visit }) => {
 *       it('is answered', async () => {
 *         const page = await visit(server.url);
 *         …
 *       });
 *     });
 *
 * The launcher says by CHROME_PATH where the browser is (scripts/chromium.mjs); without it these tests are skipped. Every
 * page is watched: a dialog, a request to another origin, an uncaught error or a breach of the content security policy
 * fails its test. Where a test fails, what its pages looked like is kept in a folder under the system's temporary one.
 */

import assert from 'node:assert/strict';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe } from 'node:test';
import {
  type Browser,
  type BrowserContext,
  type BrowserContextOptions,
  type ConsoleMessage,
  chromium,
  type Page,
} from 'playwright-core';

export interface VisitOptions extends BrowserContextOptions {
  /** Console errors that belong to what is tested, such as the line a browser writes for a request that fails. */
  expected?: RegExp;
  /** The page is there to try requests to another origin: what it asks for is not held against it. */
  offOrigin?: true;
}

export interface Given {
  /** Opens an address in a browser of its own, without cookies; each a window of another person. */
  visit(url: string, options?: VisitOptions): Promise<Page>;
  /** What the pages of this test did that none should: sentences. */
  breaches(): string[];
}

const PATIENCE_MS = 15_000;

/** Tests in a browser that they share; each test has pages of its own. */
export function describeBrowser(name: string, body: (given: Given) => void): void {
  const executablePath = process.env.CHROME_PATH;
  describe(name, { skip: executablePath === undefined && 'there is no Chromium (PARLANCE_CHROMIUM names one)' }, () => {
    let browser: Browser;
    let contexts: BrowserContext[] = [];
    let breaches: string[] = [];
    let lines: string[] = [];

    before(async () => {
      // Chromium's own sandbox wants a user that is not root.
      const args = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
      browser = await chromium.launch({ ...(executablePath !== undefined && { executablePath }), args });
    });
    after(() => browser?.close());
    afterEach(async (test) => {
      const found = breaches;
      const failed = 'passed' in test && !test.passed;
      if (failed || found.length > 0) await keep(test.name, contexts, [...found, ...lines]);
      await Promise.all(contexts.map((context) => context.close()));
      contexts = [];
      breaches = [];
      lines = [];
      assert.deepEqual(found, []);
    });

    async function visit(url: string, options: VisitOptions = {}): Promise<Page> {
      const { expected, offOrigin, ...wanted } = options;
      const context = await browser.newContext({ locale: 'en', timezoneId: 'UTC', ...wanted });
      contexts.push(context);
      context.setDefaultTimeout(PATIENCE_MS);
      const origin = new URL(url).origin;
      context.on('request', (request) => {
        const to = request.url();
        if (offOrigin === undefined && !/^(data|blob):/.test(to) && new URL(to).origin !== origin)
          breaches.push(`A request left for ${to}`);
      });
      context.on('dialog', (dialog) => {
        breaches.push(`A dialog: ${dialog.message()}`);
        void dialog.dismiss();
      });
      context.on('weberror', (error) => void breaches.push(`An uncaught error: ${error.error().stack}`));
      context.on('console', (message) => watch(message, expected));
      const page = await context.newPage();
      await page.goto(url);
      return page;
    }

    function watch(message: ConsoleMessage, expected: RegExp | undefined): void {
      const text = `${message.type()}: ${message.text()} (${message.location().url})`;
      lines.push(text);
      if (message.type() === 'error' && expected?.test(text) !== true) breaches.push(`In the console: ${text}`);
    }

    body({ visit, breaches: () => breaches });
  });
}

/** Keeps what the pages of a failed test looked like, and says where. */
async function keep(name: string, contexts: BrowserContext[], lines: string[]): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'parlance-browser-'));
  for (const [i, page] of contexts.flatMap((context) => context.pages()).entries()) {
    await page.screenshot({ path: join(folder, `page-${i}.png`) }).catch(() => {});
    writeFileSync(join(folder, `page-${i}.html`), await page.content().catch(() => ''));
  }
  writeFileSync(join(folder, 'console.txt'), lines.join('\n'));
  console.error(`${name}: what its pages looked like is in ${folder}`);
}
