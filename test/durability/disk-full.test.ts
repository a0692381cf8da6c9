/**
 * A full disk: a real one, a small file system in memory, which only root can mount. Skipped, with the reason, elsewhere;
 * the store's own test (test/contract/store/sqlite.test.ts) limits the size of a file instead and needs no rights.
 */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { inspect } from '../../torture/inspect.ts';
import { type Client, startServer } from '../support/server.ts';

/** The system's own; names, so that nobody takes them for dependencies. */
const tools = { mount: 'mount', umount: 'umount' };
const SIZE = '6m';
const HEAL_MS = 5000;
const mount = mkdtempSync(join(tmpdir(), 'parlance-full-'));
const why = whyNoMount();

function whyNoMount(): string | null {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'needs root on Linux, to mount a small tmpfs';
  try {
    execFileSync(tools.mount, ['-t', 'tmpfs', '-o', `size=${SIZE}`, 'tmpfs', mount], { stdio: 'pipe' });
    return null;
  } catch (error) {
    return `no tmpfs can be mounted here: ${String((error as { stderr?: unknown }).stderr).trim()}`;
  }
}

after(() => {
  if (why === null) execFileSync(tools.umount, [mount]);
  rmdirSync(mount);
});

interface Stored {
  id: string;
  message: string;
}

/** Writes entries until one is refused; gives the refusal. */
async function fill(client: Client, chat: string, stored: Stored[]) {
  for (let i = 0; ; i++) {
    const message = `${stored.length} ${'x'.repeat(20_000)}`;
    const body = { chat_id: chat, role: 'Human', message };
    const answer = await client.request<Stored>('POST', '/conversations/create', { body });
    if (answer.status !== 201) return answer;
    stored.push({ id: answer.body.id, message });
    assert(i < 2000, 'the disk is never full');
  }
}

describe('A full disk', { skip: why ?? false }, () => {
  it('is 507 in the shape of each dialect, leaves reads alone, heals by itself, and loses nothing', async () => {
    const ballast = join(mount, 'ballast');
    writeFileSync(ballast, Buffer.alloc(2 * 1024 * 1024));
    const server = await startServer({ env: { PARLANCE_DATA: join(mount, 'data') } });
    const alice = server.client();
    const { body: chat } = await alice.request<{ id: string }>('POST', '/chats/create', { body: { name: 'Full' } });
    const stored: Stored[] = [];

    const refusal = await fill(alice, chat.id, stored);
    assert.equal(refusal.status, 507);
    assert.match(
      refusal.text,
      /^\{"error":\{"code":507,"reason":"Insufficient Storage","description":"Nothing can be stored: /,
    );
    const shapes: [method: string, path: string, body: object, shape: RegExp][] = [
      ['POST', '/api/chat', { title: 'A' }, /^\{"detail":"Nothing can be stored: /],
      ['POST', '/api/chat_sessions', { title: 'A' }, /^\{"errors":"Insufficient Storage","details":/],
      ['POST', '/chat', { message: 'A'.repeat(20_000) }, /^\{"detail":"Nothing can be stored: /],
      ['POST', '/ask', { prompt: 'A'.repeat(20_000) }, /^\{"error":"Nothing can be stored: /],
    ];
    for (const [method, path, body, shape] of shapes) {
      // A small unit may still find a page's room: then it takes it, and the next one does not.
      let answer = await alice.request(method, path, { body });
      for (let i = 0; i < 50 && answer.status < 300; i++) answer = await alice.request(method, path, { body });
      assert.deepEqual([path, answer.status], [path, 507]);
      assert.match(answer.text, shape);
    }

    const read = await alice.request<Stored[]>('GET', `/chats/${chat.id}/conversations?limit=5`);
    assert.deepEqual([read.status, read.body.at(-1)?.id], [200, stored.at(-1)?.id], 'reads go on');

    rmSync(ballast);
    const room = performance.now();
    for (;;) {
      const body = { chat_id: chat.id, role: 'Human', message: 'Room again' };
      const { status, body: made } = await alice.request<Stored>('POST', '/conversations/create', { body });
      if (status === 201) {
        stored.push({ id: made.id, message: body.message });
        break;
      }
      assert.equal(status, 507);
      assert(performance.now() - room < HEAL_MS, `not healed ${HEAL_MS} ms after there was room`);
      await wait(50);
    }

    await server.kill();
    await server.start();
    const found: Stored[] = [];
    for (let before = ''; ; ) {
      const page = await alice.request<Stored[]>('GET', `/chats/${chat.id}/conversations?limit=100${before}`);
      found.unshift(...page.body);
      const next = /[?&](before=\d+)/.exec(String(page.headers.link ?? ''))?.[1];
      if (next === undefined) break;
      before = `&${next}`;
    }
    const brief = ({ id, message }: Stored) => ({ id, message });
    assert.deepEqual(found.map(brief), stored, 'all that was acknowledged is there, in order, and nothing else');
    await server.stop();
    assert.deepEqual(inspect(server.data), []);
    await server.close();
  });
});
