/**
 * `npm run bench web`: how much the web app loads, how soon it can be used, and how smoothly it draws while an answer
 * streams into a long conversation. In headless Chromium, which draws without a graphics card; wants the machine for itself.
 */

import { readFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import { type Browser, chromium, type Page } from 'playwright-core';
import { type ModelServer, startModelServer } from '../test/support/model-server.ts';
import { startServer, type TestServer } from '../test/support/server.ts';

const DIST = fileURLToPath(new URL('../web/dist', import.meta.url));
const ROUNDS = 5;
const MESSAGES = 2_000;
const TOKENS_PER_SECOND = 200;
const SECONDS = 10;
/** One frame at 60 Hz, in milliseconds. */
const FRAME = 1000 / 60;
const FIELD = 'main textarea';

const executablePath = process.env.CHROME_PATH;
if (executablePath === undefined) throw new Error('There is no Chromium; PARLANCE_CHROMIUM names one.');
const model = await startModelServer();
const server = await startServer({ model: model.url });
const browser = await chromium.launch({ executablePath, args: process.getuid?.() === 0 ? ['--no-sandbox'] : [] });
try {
  console.log(
    `${cpus().length} cores (${cpus()[0]?.model.trim()}), load ${loadavg()[0]?.toFixed(1)}, ${browser.version()}\n`,
  );
  console.log('| what | figure | aim |\n|---|---|---|');
  row('script of the first load, gzipped', `${kilobytes(firstLoad('script'))} kB`, '≤ 250 kB');
  row('styles of the first load, gzipped', `${kilobytes(firstLoad('style'))} kB`, '–');
  const usable = await timesToUsable(browser, server);
  row(`usable, median of ${ROUNDS} with an empty cache`, `${median(usable).toFixed(0)} ms`, '≤ 1000 ms');
  const address = await makeConversation(server);
  for (const act of ['reading', 'scrolling', 'typing'] as const) {
    const frames = await framesWhile(act, browser, address, model);
    const late = frames.filter((ms) => ms > 1.5 * FRAME).length / frames.length;
    row(
      `${act} while ${TOKENS_PER_SECOND} tokens/s stream into ${MESSAGES} messages`,
      `frame p50 ${percentile(frames, 0.5)}, p95 ${percentile(frames, 0.95)}, p99 ${percentile(frames, 0.99)} ms; ${(late * 100).toFixed(1)} % late`,
      '60 frames/s',
    );
  }
} finally {
  await browser.close();
  await server.close();
  await model.close();
}

function row(...cells: string[]): void {
  console.log(`| ${cells.join(' | ')} |`);
}

/** Bytes that the page asks for by itself, as they are sent. */
function firstLoad(kind: 'script' | 'style'): number {
  const page = readFileSync(`${DIST}/index.html`, 'utf8');
  const pattern = kind === 'script' ? /(?:src|href)="(\/[^"]+\.js)"/g : /href="(\/[^"]+\.css)"/g;
  return [...page.matchAll(pattern)].reduce((sum, [, path]) => {
    try {
      return sum + readFileSync(`${DIST}${path}.gz`).length;
    } catch {
      return sum + readFileSync(`${DIST}${path}`).length;
    }
  }, 0);
}

/** Milliseconds from the navigation to a field one can write in. */
async function timesToUsable(browser: Browser, { url }: TestServer): Promise<number[]> {
  const times: number[] = [];
  for (let round = 0; round <= ROUNDS; round++) {
    const context = await browser.newContext();
    const page = await context.newPage();
    await page.goto(url, { waitUntil: 'commit' });
    const time = await page.waitForFunction(
      (field) => (document.querySelector(field) === null ? null : performance.now()),
      FIELD,
    );
    // The first one warms the server up.
    if (round > 0) times.push(Number(await time.jsonValue()));
    await context.close();
  }
  return times;
}

/** A conversation of many messages; its address. */
async function makeConversation(server: TestServer): Promise<string> {
  const client = server.visitor();
  const { body: chat } = await client.request<{ id: string }>('POST', '/chats/create', { body: { name: 'Long' } });
  for (let i = 0; i < MESSAGES; i++) {
    const role = i % 2 === 0 ? 'Human' : 'Assistant';
    const code = i % 10 === 1 ? '\n\n```js\nconst answer = 42;\nfor (const word of words) say(word);\n```' : '';
    const message = `Message ${i}: some **words**, a list\n\n- one\n- two with \`code\`\n\nand an end.${code}`;
    await client.request('POST', '/conversations/create', { body: { chat_id: chat.id, role, message } });
  }
  return `${server.url}/c/conv_${chat.id}`;
}

/** The times between frames, in milliseconds, while an answer comes and somebody reads, scrolls or types. */
async function framesWhile(
  act: 'reading' | 'scrolling' | 'typing',
  browser: Browser,
  address: string,
  model: ModelServer,
): Promise<number[]> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  const page = await context.newPage();
  await page.goto(address);
  await page.locator(FIELD).waitFor();
  await page.getByRole('article').first().waitFor();
  const from = model.calls.length;
  const words = Array.from({ length: TOKENS_PER_SECOND * SECONDS }, (_, i) =>
    i % 40 === 39 ? ' end.\n\n' : ` word${i}`,
  );
  model.next({ text: words, gated: true });
  await page.locator(FIELD).fill('Go');
  await page.locator(FIELD).press('Enter');
  const call = await model.call(from);
  const pace = setInterval(() => void call.release(1), 1000 / TOKENS_PER_SECOND);
  await page.getByText('word0').waitFor();
  const measuring = page.evaluate(
    (ms) =>
      new Promise<number[]>((resolve) => {
        const times: number[] = [];
        const end = performance.now() + ms;
        let last = performance.now();
        const onFrame = (now: number) => {
          times.push(now - last);
          last = now;
          if (now < end) requestAnimationFrame(onFrame);
          else resolve(times.slice(1));
        };
        requestAnimationFrame(onFrame);
      }),
    (SECONDS - 3) * 1000,
  );
  let over = false;
  const acting = perform(act, page, () => over);
  const frames = await measuring;
  over = true;
  await acting;
  clearInterval(pace);
  await call.releaseAll();
  await context.close();
  return frames;
}

/** What somebody does, by hand, until it is over. */
async function perform(act: 'reading' | 'scrolling' | 'typing', page: Page, isOver: () => boolean): Promise<void> {
  if (act === 'reading') return;
  if (act === 'scrolling') await page.mouse.move(800, 300);
  for (let i = 0; !isOver(); i++) {
    if (act === 'typing') await page.keyboard.type('a');
    else await page.mouse.wheel(0, i % 60 < 30 ? -120 : 120);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

function percentile(values: number[], share: number): string {
  return (values.toSorted((a, b) => a - b)[Math.floor(values.length * share)] ?? Number.NaN).toFixed(1);
}

function kilobytes(bytes: number): string {
  return (bytes / 1000).toFixed(0);
}
