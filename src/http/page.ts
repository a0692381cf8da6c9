/** Plain pages of the server itself, in one style and without a script. */

import { createHash } from 'node:crypto';
import type { TextReply } from './route.ts';

const STYLE = `:root{color-scheme:light dark}body{font:1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:15vh auto 0;padding:0 1.5rem}
h1{font-size:1.5rem}code{display:block;padding:.75rem;border:1px solid;border-radius:.5rem;overflow-wrap:anywhere;user-select:all}
button,.button{display:inline-block;font:inherit;padding:.6rem 1.2rem;border-radius:.5rem;border:0;background:#1a56c4;color:#fff;cursor:pointer;text-decoration:none}
:focus-visible{outline:3px solid;outline-offset:2px}`;
const HEADERS = {
  'cache-control': 'no-store',
  'content-security-policy': `default-src 'none'; style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'`,
  // Without a referrer the Origin of a page's own form would be null; the address still goes to nobody else.
  'referrer-policy': 'same-origin',
};

/** @param body HTML */
export function plainPage(
  status: number,
  title: string,
  body: string,
  headers: Record<string, string> = {},
): TextReply {
  const head = `<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>${escapeHtml(title)} – Parlance</title><style>${STYLE}</style>`;
  const text = `<!doctype html>\n<html lang="en"><head>${head}</head><body><main><h1>${escapeHtml(title)}</h1>${body}</main></body></html>\n`;
  return { status, text, contentType: 'text/html; charset=utf-8', headers: { ...HEADERS, ...headers } };
}

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
