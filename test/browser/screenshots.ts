/**
 * `npm run screenshots`: every screen of the web app into `docs/images`, in both themes and on a phone. The server is a
 * real one; what the model says and the web search finds is scripted.
 */

import { mkdirSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { startModelServer } from '../support/model-server.ts';
import { startServer } from '../support/server.ts';

const IMAGES = fileURLToPath(new URL('../../docs/images/', import.meta.url));
const WIDE: BrowserContextOptions = { viewport: { width: 1200, height: 760 } };
const PHONE: BrowserContextOptions = { viewport: { width: 390, height: 780 }, isMobile: true, hasTouch: true };

const TABLES = `A **hash table** stores pairs of a key and a value. A hash function $h(k)$ turns the key into the number of a bucket, so looking something up takes $O(1)$ on average.

\`\`\`python
class Table:
    def __init__(self, size: int = 8) -> None:
        self.buckets = [[] for _ in range(size)]

    def get(self, key: str) -> int | None:
        bucket = self.buckets[hash(key) % len(self.buckets)]
        return next((value for known, value in bucket if known == key), None)
\`\`\`

| Structure | Lookup | Ordered |
|---|:-:|---|
| Hash table | $O(1)$ | no |
| Balanced tree | $O(\\log n)$ | yes |
`;
const LISBON = `Lisbon’s trams have run since 1873, first drawn by horses [1]. The electric ones came in 1901 [2], and line 28 still climbs through Alfama with cars of the 1930s [1][3].

Go early: before nine the cars are half empty [3].`;
const PAGES = [
  {
    title: 'Trams in Lisbon',
    url: 'https://encyclopedia.example/trams-in-lisbon',
    content: 'The first tramway in Lisbon entered service on 17 November 1873, as a horsecar line.',
  },
  {
    title: 'Our trams: a history',
    url: 'https://trams.example/history',
    content: 'On 31 August 1901 the first line of electric trams was opened.',
  },
  {
    title: 'Tram 28: when to go',
    url: 'https://lisbon.example/tram-28',
    content: 'Take it before nine in the morning; the historic Remodelado cars date from the 1930s.',
  },
];
const OTHERS = [
  'Plan for the garden',
  'Renaming the API',
  'A letter to the landlord',
  'Why is the sky blue?',
  'Sourdough, second try',
];

const executablePath = process.env.CHROME_PATH;
if (executablePath === undefined) throw new Error('There is no Chromium; PARLANCE_CHROMIUM names one.');
mkdirSync(IMAGES, { recursive: true });
const search = createServer((_request, response) => {
  response.setHeader('content-type', 'application/json').end(JSON.stringify({ results: PAGES }));
});
await new Promise<void>((resolve) => search.listen(0, '127.0.0.1', resolve));
const model = await startModelServer();
model.models = [{ id: 'large-model' }];
const server = await startServer({
  model: model.url,
  env: { SEARXNG_URL: `http://127.0.0.1:${(search.address() as AddressInfo).port}`, PARLANCE_TITLES: 'words' },
});
const guide = await startServer();
const closed = await startServer({ model: model.url, env: { PARLANCE_LOCAL: 'off' } });
const browser = await chromium.launch({ executablePath, args: process.getuid?.() === 0 ? ['--no-sandbox'] : [] });
try {
  for (const title of OTHERS) await server.visitor().request('POST', '/v1/conversations', { body: { title } });
  const explained = await tell('Explain how a hash table works', {
    reasoning: 'A short definition, code and a table.',
    text: TABLES,
    usage: { input: 412, output: 268 },
  });
  model.next({ tools: [{ name: 'web_search', arguments: JSON.stringify({ query: 'history of trams in Lisbon' }) }] });
  const cited = await tell(
    'What is the story of Lisbon’s trams?',
    { text: LISBON, usage: { input: 1310, output: 96 } },
    true,
  );
  const broken = await tell('Write a poem about rain', {
    text: ['Rain ', 'taps ', 'the ', 'window, ', 'soft ', 'and ', 'slow'],
    cut: 6,
  });

  for (const theme of ['light', 'dark'] as const) {
    await shoot(`welcome-${theme}`, server.url, theme, WIDE);
    await shoot(`chat-${theme}`, `${server.url}/c/${explained}`, theme, WIDE, drawn);
    await shoot(`sources-${theme}`, `${server.url}/c/${cited}`, theme, WIDE);
    await shoot(`interrupted-${theme}`, `${server.url}/c/${broken}`, theme, WIDE);
    await shoot(`search-${theme}`, `${server.url}/c/${explained}`, theme, WIDE, async (page) => {
      await drawn(page);
      await page.getByLabel('Search all messages').fill('hash table');
      await page.getByText(/conversations? found/).waitFor();
    });
    await shoot(`settings-${theme}`, server.url, theme, WIDE, (page) => openSettings(page, 'Usage'));
    await shoot(`keys-${theme}`, server.url, theme, WIDE, async (page) => {
      await openSettings(page, 'Keys');
      await page.getByLabel('Owner key').fill(server.ownerKey);
      await page.getByRole('button', { name: 'Unlock' }).click();
      await page.getByRole('button', { name: 'Create the key' }).waitFor();
    });
    await shoot(`guide-${theme}`, guide.url, theme, WIDE, async (page) => {
      await page.getByRole('button', { name: 'How to connect a model' }).click();
    });
    await shoot(`sign-in-${theme}`, closed.url, theme, WIDE, async (page) => {
      await page.getByLabel('Key').waitFor();
    });
    await shoot(`phone-welcome-${theme}`, server.url, theme, PHONE);
    await shoot(`phone-chat-${theme}`, `${server.url}/c/${explained}`, theme, PHONE, drawn);
    await shoot(`phone-conversations-${theme}`, `${server.url}/c/${explained}`, theme, PHONE, async (page) => {
      await drawn(page);
      await page.getByRole('button', { name: 'Show conversations' }).click();
    });
  }
} finally {
  await browser.close();
  await Promise.all([server.close(), guide.close(), closed.close()]);
  await model.close();
  search.close();
}

/** A conversation with one answer. */
async function tell(text: string, answer: Parameters<typeof model.next>[0], webSearch = false): Promise<string> {
  model.next(answer);
  const message = { id: text, role: 'user', parts: [{ type: 'text', text }] };
  const { headers } = await server.visitor().request('POST', '/ui/chat', { body: { id: text, message, webSearch } });
  return String(headers['x-conversation-id']);
}

async function shoot(
  name: string,
  url: string,
  colorScheme: 'light' | 'dark',
  options: BrowserContextOptions,
  act: (page: Page) => Promise<void> = async () => {},
): Promise<void> {
  const context = await (browser as Browser).newContext({
    ...options,
    colorScheme,
    locale: 'en',
    reducedMotion: 'reduce',
    deviceScaleFactor: 1.5,
  });
  const page = await context.newPage();
  await page.goto(url);
  await page.getByRole('heading').first().waitFor();
  if (url.includes('/c/')) await page.getByRole('article').nth(1).waitFor();
  await act(page);
  await page.evaluate(() => document.fonts.ready.then(() => undefined));
  await page.screenshot({ path: `${IMAGES}${name}.png` });
  await context.close();
  console.log(`docs/images/${name}.png`);
}

/** Its colours and formulas are there; it is shown from its beginning. */
async function drawn(page: Page): Promise<void> {
  await page.locator('.katex').first().waitFor();
  await page.locator('[class^="hljs-"]').first().waitFor();
  await page.getByRole('region', { name: 'Messages' }).evaluate((box) => box.scrollTo(0, 0));
}

async function openSettings(page: Page, tab: string): Promise<void> {
  await page.getByRole('button', { name: 'Settings' }).click();
  await page.getByRole('tab', { name: tab }).click();
}
