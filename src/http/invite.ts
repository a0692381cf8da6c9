/**
 * The page behind an invite link: it trades the invite for its user's own key, shown once. Opening it uses nothing up,
 * since programs look at links too; the button does.
 */

import { createHash } from 'node:crypto';
import { z } from 'zod';
import { ServiceError } from '#core/errors.ts';
import { type Route, route, type TextReply } from './route.ts';

/** Gives the invite's user and the new key; throws `not_found`. */
export type Redeem = (token: string) => Promise<{ user: string; secret: string }>;

const STYLE = `:root{color-scheme:light dark}body{font:1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:15vh auto 0;padding:0 1.5rem}
h1{font-size:1.5rem}code{display:block;padding:.75rem;border:1px solid;border-radius:.5rem;overflow-wrap:anywhere;user-select:all}
button{font:inherit;padding:.6rem 1.2rem;border-radius:.5rem;border:0;background:#1a56c4;color:#fff;cursor:pointer}
button:focus-visible{outline:3px solid;outline-offset:2px}`;
const HEADERS = {
  'cache-control': 'no-store',
  'content-security-policy': `default-src 'none'; style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'`,
};
const params = z.object({ token: z.string() });

export function inviteRoutes(redeem: Redeem): Route[] {
  const facts = { path: '/invite/:token', scope: 'read', counts: 'none', open: true, params } as const;
  const contentType = 'text/html; charset=utf-8';
  return [
    route({
      ...facts,
      method: 'GET',
      summary: 'An invite: a page with a button that takes it',
      answers: [{ status: 200, description: 'The page', contentType }],
      handle: async () =>
        page(
          200,
          'You are invited',
          '<p>This link gives you an API key for Parlance, once.</p><form method="post"><button>Get my key</button></form>',
        ),
    }),
    route({
      ...facts,
      method: 'POST',
      summary: 'Takes an invite: its user gets a key, shown once',
      answers: [
        { status: 200, description: 'The page with the key', contentType },
        { status: 404, description: 'It is used, expired or unknown', contentType },
      ],
      async handle({ params: { token } }) {
        try {
          const { user, secret } = await redeem(token);
          return page(
            200,
            `Welcome, ${user}`,
            `<p>This is your key. It is shown this once: keep it safe.</p><code>${escapeHtml(secret)}</code><p>Send it as the header <b>Authorization: Bearer</b> followed by the key.</p>`,
          );
        } catch (error) {
          if (!(error instanceof ServiceError) || error.code !== 'not_found') throw error;
          return page(
            404,
            'This invite cannot be used',
            '<p>It was used before, or is too old. Ask for another one.</p>',
          );
        }
      },
    }),
  ];
}

/** @param body HTML */
function page(status: number, title: string, body: string): TextReply {
  const head = `<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>${escapeHtml(title)} – Parlance</title><style>${STYLE}</style>`;
  const text = `<!doctype html>\n<html lang="en"><head>${head}</head><body><main><h1>${escapeHtml(title)}</h1>${body}</main></body></html>\n`;
  return { status, text, contentType: 'text/html; charset=utf-8', headers: HEADERS };
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
