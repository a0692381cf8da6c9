import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { brotliCompressSync, brotliDecompressSync } from 'node:zlib';
import { call, type Served, serve } from './serve.ts';

const folder = mkdtempSync(join(tmpdir(), 'parlance-web-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const PAGE = '<!doctype html><title>App</title>';
const SCRIPT = 'console.log("app")';
mkdirSync(join(folder, 'assets'));
writeFileSync(join(folder, 'index.html'), PAGE);
writeFileSync(join(folder, 'icon.svg'), '<svg xmlns="http://www.w3.org/2000/svg"/>');
writeFileSync(join(folder, '.stamp'), 'hidden');
writeFileSync(join(folder, 'assets/app-a1.js'), SCRIPT);
writeFileSync(join(folder, 'assets/app-a1.js.br'), brotliCompressSync(SCRIPT));
writeFileSync(join(folder, 'assets/font-b2.woff2'), Buffer.from([0xff, 0, 0x80]));
writeFileSync(join(folder, '../parlance-secret.js'), 'secret');
after(() => rmSync(join(folder, '../parlance-secret.js')));

const built = await serve({ dialects: [], webFolder: folder });
const outside = await serve({ dialects: [], webFolder: folder, local: false });
const unbuilt = await serve({ dialects: [] });

describe('the web app', () => {
  for (const path of ['/', '/c/conv_0198c7c1-5d00-7000-8000-5717b3fc2c96']) {
    test(`has its page at ${path}, for anybody`, async () => {
      for (const served of [built, outside]) {
        const reply = await call(served, 'GET', path, { headers: { 'sec-fetch-site': 'cross-site' } });
        assert.deepEqual([reply.status, reply.text], [200, PAGE]);
        assert.equal(reply.headers['content-type'], 'text/html; charset=utf-8');
      }
    });
  }
  test('may load and run its own files only, and is nobody’s frame', async () => {
    const { headers } = await call(built, 'GET', '/');
    const policy = new Map(
      String(headers['content-security-policy'])
        .split('; ')
        .map((directive): [string, string] => [directive.split(' ', 1)[0] ?? '', directive.replace(/^\S+ /, '')]),
    );
    assert.equal(policy.get('default-src'), "'none'");
    assert.equal(policy.get('script-src'), "'self'");
    assert.equal(policy.get('connect-src'), "'self'");
    assert.equal(policy.get('img-src'), "'self' data: blob:");
    assert.equal(policy.get('base-uri'), "'none'");
    assert.equal(policy.get('form-action'), "'self'");
    assert.equal(policy.get('frame-ancestors'), "'none'");
    assert.doesNotMatch(String(headers['content-security-policy']), /unsafe|https?:|\*/);
    assert.equal(headers['x-content-type-options'], 'nosniff');
    assert.equal(headers['referrer-policy'], 'no-referrer');
    assert.equal(headers['cross-origin-opener-policy'], 'same-origin');
    assert.match(String(headers['permissions-policy']), /camera=\(\).*microphone=\(\)/);
  });
  test('is asked for again each time, and sent only when it has changed', async () => {
    const first = await call(built, 'GET', '/');
    assert.equal(first.headers['cache-control'], 'no-cache');
    const etag = String(first.headers.etag);
    for (const tag of [etag, `"other", ${etag}`, `W/${etag}`]) {
      const again = await call(built, 'GET', '/', { headers: { 'if-none-match': tag } });
      assert.deepEqual([again.status, again.text, again.headers.etag], [304, '', etag]);
      assert.equal(again.headers['content-length'], undefined);
    }
    assert.equal((await call(built, 'GET', '/', { headers: { 'if-none-match': '"other"' } })).status, 200);
  });
  test('keeps files whose names change with their content for ever', async () => {
    const reply = await call(built, 'GET', '/assets/app-a1.js');
    assert.deepEqual([reply.status, reply.text], [200, SCRIPT]);
    assert.equal(reply.headers['content-type'], 'text/javascript; charset=utf-8');
    assert.equal(reply.headers['cache-control'], 'public, max-age=31536000, immutable');
    assert.equal(reply.headers['x-content-type-options'], 'nosniff');
  });
  test('is sent compressed to whoever takes that', async () => {
    const [encoded, bytes] = await readBytes(built, '/assets/app-a1.js', 'gzip, deflate, br');
    assert.equal(encoded['content-encoding'], 'br');
    assert.equal(encoded.vary, 'accept-encoding');
    assert.equal(brotliDecompressSync(bytes).toString(), SCRIPT);
    for (const accepted of ['', 'identity', 'gzip', 'br;q=0', 'br;q=0.0, gzip;q=1']) {
      const [plain, text] = await readBytes(built, '/assets/app-a1.js', accepted);
      assert.deepEqual([plain['content-encoding'], text.toString()], [undefined, SCRIPT], accepted);
    }
  });
  test('is sent byte for byte', async () => {
    const [headers, bytes] = await readBytes(built, '/assets/font-b2.woff2', '');
    assert.deepEqual([headers['content-type'], [...bytes]], ['font/woff2', [0xff, 0, 0x80]]);
  });
  test('has the files beside its page', async () => {
    const reply = await call(built, 'GET', '/icon.svg');
    assert.deepEqual([reply.status, reply.headers['content-type']], [200, 'image/svg+xml']);
  });
  for (const path of [
    '/assets/none.js',
    '/assets/..%2findex.html',
    '/assets/..%2f..%2fparlance-secret.js',
    '/assets/%2e%2e%2findex.html',
    '/assets/..%5cindex.html',
    '/assets/.hidden',
    '/assets/%00.js',
    '/assets/x/y.js',
    '/assets',
    '/.stamp',
    '/index.html.br',
    '/c',
    '/c/1/2',
    '/settings',
    '/anything',
    '/v1/anything',
    '/api/anything',
  ]) {
    test(`has nothing at ${path}`, async () => {
      const reply = await call(built, 'GET', path);
      assert.ok([400, 404].includes(reply.status), `${reply.status} ${reply.text}`);
      const { error } = reply.json as { error: { message: string; type: string; param: string; code: string } };
      assert.deepEqual(Object.keys(error), ['message', 'type', 'param', 'code']);
      assert.doesNotMatch(reply.text, /secret|hidden|doctype/);
    });
  }
  test('is only to be read: 405', async () => {
    for (const path of ['/', '/c/1', '/assets/app-a1.js']) {
      for (const method of ['POST', 'DELETE', 'HEAD']) {
        const reply = await call(built, method, path);
        assert.deepEqual([reply.status, reply.headers.allow], [405, 'GET'], `${method} ${path}`);
      }
    }
  });
});

describe('without a built web app', () => {
  test('its page says how to build it, and where the API is described', async () => {
    const reply = await call(unbuilt, 'GET', '/');
    assert.equal(reply.status, 200);
    assert.match(reply.text, /npm run build[\s\S]*href="\/docs"/);
    assert.match(String(reply.headers['content-security-policy']), /^default-src 'none'; style-src 'sha256-/);
  });
  test('there are no files', async () => {
    assert.equal((await call(unbuilt, 'GET', '/assets/app-a1.js')).status, 404);
  });
});

async function readBytes({ port }: Served, path: string, encodings: string) {
  const asking = request({ host: '127.0.0.1', port, path, headers: { 'accept-encoding': encodings }, agent: false });
  asking.end();
  const [response] = await once(asking, 'response');
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk);
  return [response.headers, Buffer.concat(chunks)] as const;
}
