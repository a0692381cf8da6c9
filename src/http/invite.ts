/**
 * The page behind an invite link: it signs its browser in, and shows the user's own key, once, for other devices and
 * programs. Opening it uses nothing up, since programs look at links too; the button does.
 */

import { z } from 'zod';
import { ServiceError } from '#core/errors.ts';
import type { ApiKey } from '#core/principal.ts';
import { type AccessRules, isOwnPage } from './access.ts';
import { sessionCookie } from './cookie.ts';
import { escapeHtml, plainPage } from './page.ts';
import { type Route, route } from './route.ts';
import { requireOwnPage, type Sessions } from './session.ts';

/** Gives the new key of the invite's user; throws `not_found`. */
export type Redeem = (token: string) => Promise<{ key: ApiKey; secret: string }>;

const params = z.object({ token: z.string() });

export function inviteRoutes(parts: { redeem: Redeem; sessions: Sessions; rules: AccessRules }): Route[] {
  const { redeem, sessions, rules } = parts;
  const facts = { path: '/invite/:token', scope: 'read', counts: 'none', open: true, params } as const;
  const contentType = 'text/html; charset=utf-8';
  return [
    route({
      ...facts,
      method: 'GET',
      summary: 'An invite: a page with a button that takes it',
      answers: [{ status: 200, description: 'The page', contentType }],
      handle: async () =>
        plainPage(
          200,
          'You are invited',
          '<p>This link lets you in to Parlance, once.</p><form method="post"><button>Accept the invitation</button></form>',
        ),
    }),
    route({
      ...facts,
      method: 'POST',
      summary: 'Takes an invite: signs the browser in, and shows a key of its user, once',
      answers: [
        { status: 200, description: 'The page with the key', contentType },
        { status: 404, description: 'It is used, expired or unknown', contentType },
      ],
      async handle({ params: { token }, headers, address }) {
        // A program that is no browser says neither; it gets the key alone.
        const program = headers.origin === undefined && headers['sec-fetch-site'] === undefined;
        if (!program) requireOwnPage(rules, headers);
        sessions.admitTry(address);
        try {
          const { key, secret } = await redeem(token);
          const welcome = `<p>This is your key. It is shown this once: keep it safe. It signs you in on another device, and programs send it as the header <b>Authorization: Bearer</b> followed by the key.</p><code>${escapeHtml(secret)}</code>`;
          if (!isOwnPage(rules, headers)) return plainPage(200, `Welcome, ${key.user}`, welcome);
          const session = await sessions.open(key);
          return plainPage(
            200,
            `Welcome, ${key.user}`,
            `<p>You are signed in.</p>${welcome}<p><a class="button" href="/">Open Parlance</a></p>`,
            { 'set-cookie': sessionCookie(rules, headers, session.token) },
          );
        } catch (error) {
          if (!(error instanceof ServiceError) || error.code !== 'not_found') throw error;
          return plainPage(
            404,
            'This invite cannot be used',
            '<p>It was used before, or is too old. Ask for another one.</p>',
          );
        }
      },
    }),
  ];
}
