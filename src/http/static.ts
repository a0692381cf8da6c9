/**
 * The web app's files, as `web/` builds them: its page at the paths that are its own, and what the page loads. Anybody may
 * have them; what they show comes over the API. They are read when they are asked for, so that a build shows at once.
 */

import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { z } from 'zod';
import { notFound } from '#core/errors.ts';
import { plainPage } from './page.ts';
import { type BytesReply, type Call, type Reply, type Route, route } from './route.ts';

/** Where the app's own router shows something (web/src/state/route.ts). */
const PAGES = ['/', '/c/:id'];

/** Nothing but its own files runs, and nothing leaves for another origin. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data: blob:",
  "font-src 'self'",
  "connect-src 'self'",
  "manifest-src 'self'",
  "worker-src 'self'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
].join('; ');

const PAGE_HEADERS = {
  'cache-control': 'no-cache',
  'content-security-policy': CONTENT_SECURITY_POLICY,
  'cross-origin-opener-policy': 'same-origin',
  'permissions-policy': 'camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()',
};
/** The build gives each of these files a name that changes with its content. */
const ASSET_HEADERS = { 'cache-control': 'public, max-age=31536000, immutable' };

const TYPES: Record<string, string> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.ico': 'image/x-icon',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json; charset=utf-8',
  '.map': 'application/json; charset=utf-8',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.txt': 'text/plain; charset=utf-8',
  '.wasm': 'application/wasm',
  '.webmanifest': 'application/manifest+json; charset=utf-8',
  '.webp': 'image/webp',
  '.woff2': 'font/woff2',
};

/** Names the build gives. None leads out of the folder, and none is hidden. */
const NAME = /^[\w@~-][\w.@~-]*$/;

/** By preference; the build lays `name.js.br` and `name.js.gz` beside `name.js`. */
const ENCODINGS = [
  { name: 'br', suffix: '.br' },
  { name: 'gzip', suffix: '.gz' },
];

/** @param folder where the app is built; may not be there */
export function webRoutes(folder: string): Route[] {
  const facts = { method: 'GET', scope: 'read', counts: 'none', open: true } as const;
  return [
    ...PAGES.map((path) =>
      route({
        ...facts,
        path,
        summary: 'The web app',
        answers: [{ status: 200, description: 'Its page', contentType: 'text/html' }],
        handle: async ({ headers }) => (await sendNamed(folder, 'index.html', PAGE_HEADERS, headers)) ?? unbuilt(),
      }),
    ),
    ...filesIn(folder).map((name) =>
      route({
        ...facts,
        path: `/${name}`,
        summary: 'A file of the web app',
        answers: [{ status: 200, description: 'The file', contentType: typeOf(name) }],
        handle: async ({ headers }) =>
          (await sendNamed(folder, name, { 'cache-control': 'no-cache' }, headers)) ?? missing(),
      }),
    ),
    route({
      ...facts,
      path: '/assets/:file',
      summary: 'What the web app loads, by names that change with the content',
      params: z.object({ file: z.string() }),
      answers: [{ status: 200, description: 'The file', contentType: 'text/javascript' }],
      handle: async ({ params: { file }, headers }) =>
        (NAME.test(file) ? await send(join(folder, 'assets'), file, ASSET_HEADERS, headers) : null) ?? missing(),
    }),
  ];
}

/** What lies beside the page, such as its icon. */
function filesIn(folder: string): string[] {
  try {
    const files = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isFile());
    return files
      .map(({ name }) => name)
      .filter((name) => name !== 'index.html' && NAME.test(name) && extname(name) in TYPES);
  } catch {
    return [];
  }
}

/** A file under a name that stays: whoever has it already is told so. */
async function sendNamed(
  folder: string,
  name: string,
  own: Record<string, string>,
  headers: Call['headers'],
): Promise<Reply | null> {
  const reply = await send(folder, name, own, headers);
  if (reply === null) return null;
  const etag = `"${createHash('sha256').update(reply.bytes).digest('base64url').slice(0, 22)}"`;
  const known = { ...reply.headers, etag };
  const has = headers['if-none-match']?.split(',').some((tag) => tag.trim().replace(/^W\//, '') === etag) === true;
  return has ? { status: 304, headers: known } : { ...reply, headers: known };
}

/** The file in the best encoding the caller takes; null where there is none. */
async function send(
  folder: string,
  name: string,
  own: Record<string, string>,
  headers: Call['headers'],
): Promise<BytesReply | null> {
  const accepted = acceptedEncodings(headers['accept-encoding']);
  for (const { name: encoding, suffix } of ENCODINGS) {
    if (!accepted.has(encoding)) continue;
    const bytes = await readOptional(join(folder, name + suffix));
    if (bytes !== null) return reply(bytes, { 'content-encoding': encoding });
  }
  const bytes = await readOptional(join(folder, name));
  return bytes === null ? null : reply(bytes, {});

  function reply(bytes: Buffer, encoded: Record<string, string>): BytesReply {
    return {
      status: 200,
      bytes,
      contentType: typeOf(name),
      headers: { ...own, ...encoded, vary: 'accept-encoding' },
    };
  }
}

/** Encodings with a weight above 0 (RFC 9110, 12.5.3). `*` is not read: no browser sends it alone. */
function acceptedEncodings(header: string | string[] | undefined): Set<string> {
  const accepted = new Set<string>();
  for (const part of String(header ?? '')
    .toLowerCase()
    .split(',')) {
    const [name = '', ...parameters] = part.split(';').map((text) => text.trim());
    if (!parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter))) accepted.add(name);
  }
  return accepted;
}

async function readOptional(path: string): Promise<Buffer | null> {
  try {
    return await readFile(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'EISDIR') return null;
    throw error;
  }
}

function typeOf(name: string): string {
  return TYPES[extname(name)] ?? 'application/octet-stream';
}

function missing(): never {
  throw notFound('File');
}

function unbuilt(): Reply {
  return plainPage(
    200,
    'Parlance is running',
    '<p>Its web app has not been built yet. In its folder, this builds it; then load this page again:</p><code>npm run build</code><p>The API works without it: <a href="/docs">its documentation</a>.</p>',
  );
}
