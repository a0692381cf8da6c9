/** The web app's session cookie: out of reach of scripts and of other sites, and of plain HTTP where there is TLS. */

import type { IncomingHttpHeaders } from 'node:http';
import type { AccessRules } from './access.ts';

const NAME = 'parlance_session';
/** A browser takes it over TLS only, from this very host only (RFC 6265bis, 4.1.3.2). */
const SECURE_NAME = `__Host-${NAME}`;
/** As long as browsers keep any cookie; when a session ends is the server's to say. Seconds. */
const MAX_AGE = 400 * 24 * 60 * 60;
const TOKEN = /^[0-9a-f]{64}$/;

/** The token of a request's cookie; null without one. Where the server is known by an https address, only that cookie counts. */
export function sessionOf({ publicOrigin }: AccessRules, cookies: string | undefined): string | null {
  if (cookies === undefined) return null;
  const names = publicOrigin?.startsWith('https:') === true ? [SECURE_NAME] : [SECURE_NAME, NAME];
  const pairs = cookies.split(';').map((pair) => pair.trim());
  for (const name of names) {
    const token = pairs.find((pair) => pair.startsWith(`${name}=`))?.slice(name.length + 1);
    if (token !== undefined && TOKEN.test(token)) return token;
  }
  return null;
}

/** `Set-Cookie` for a session. The page that signs in says by its `Origin` whether there is TLS before this server. */
export function sessionCookie(rules: AccessRules, headers: IncomingHttpHeaders, token: string): string {
  const secure = rules.publicOrigin?.startsWith('https:') === true || headers.origin?.startsWith('https:') === true;
  return cookie(secure, token, MAX_AGE);
}

/** `Set-Cookie` that removes whichever of the two a request has. */
export function endedCookie({ cookie: sent = '' }: IncomingHttpHeaders): string {
  return cookie(sent.includes(SECURE_NAME), '', 0);
}

function cookie(secure: boolean, token: string, maxAge: number): string {
  const name = secure ? `${SECURE_NAME}=${token}; Secure` : `${NAME}=${token}`;
  return `${name}; Path=/; Max-Age=${maxAge}; HttpOnly; SameSite=Strict`;
}
