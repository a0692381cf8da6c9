/** What a site's `robots.txt` says to us: RFC 9309. Pure. */

export interface RobotsRules {
  rules: { allow: boolean; pattern: string }[];
}

/** "Crawlers SHOULD … parse at least 500 kibibytes" (2.5). */
export const MAX_ROBOTS_BYTES = 500 * 1024;
const MAX_RULES = 1000;

export const ALLOW_ALL: RobotsRules = { rules: [] };
/** "If the robots.txt file is unreachable …, the crawler MUST assume complete disallow" (2.3.1.4). */
export const DISALLOW_ALL: RobotsRules = { rules: [{ allow: false, pattern: '/' }] };

/** The rules of the groups that name `product`, all of them together; where there is none, those of the group `*`. */
export function parseRobots(text: string, product: string): RobotsRules {
  const named: RobotsRules['rules'] = [];
  const any: RobotsRules['rules'] = [];
  let forUs = false;
  let forAny = false;
  let isNamed = false;
  let inAgents = false;
  for (const line of text.replace(/^\ufeff/, '').split(/\r\n?|\n/)) {
    const [, field = '', value = ''] = /^[ \t]*([a-z-]+)[ \t]*:[ \t]*([^#]*)/i.exec(line) ?? [];
    switch (field.toLowerCase()) {
      case 'user-agent': {
        if (!inAgents) [forUs, forAny] = [false, false];
        inAgents = true;
        const agent = value.trim().toLowerCase();
        if (agent === '*') forAny = true;
        // "the product token", of which sites often write more than the token.
        else if (/^[a-z_-]*/.exec(agent)?.[0] === product.toLowerCase()) [forUs, isNamed] = [true, true];
        break;
      }
      case 'allow':
      case 'disallow': {
        inAgents = false;
        const pattern = value.trim();
        if (pattern === '') break;
        const rule = { allow: field.toLowerCase() === 'allow', pattern };
        if (forUs && named.length < MAX_RULES) named.push(rule);
        if (forAny && any.length < MAX_RULES) any.push(rule);
        break;
      }
    }
  }
  return { rules: isNamed ? named : any };
}

/** "The most specific match found MUST be used"; "if an allow rule and a disallow rule are equivalent, … allow" (2.2.2). */
export function isAllowedByRobots({ rules }: RobotsRules, { pathname, search }: URL): boolean {
  const path = normal(pathname + search);
  let longest = -1;
  let allowed = true;
  for (const { allow, pattern } of rules) {
    if (pattern.length < longest || (pattern.length === longest && !allow) || !matches(path, normal(pattern))) continue;
    longest = pattern.length;
    allowed = allow;
  }
  return allowed;
}

/** Percent-encoded as a URL is, so that `ü` and `%C3%BC` meet. */
function normal(path: string): string {
  const encoded = path.replace(/[^\x21-\x7e]+/g, (text) => encodeURIComponent(text.toWellFormed()));
  return encoded.replace(/%[0-9a-f]{2}/gi, (code) => {
    const character = String.fromCharCode(Number.parseInt(code.slice(1), 16));
    return /[A-Za-z0-9._~-]/.test(character) ? character : code.toUpperCase();
  });
}

/** `*` is any text and `$` at the end is the end. Each piece is looked for once from the left: no pattern takes long. */
function matches(path: string, pattern: string): boolean {
  const ends = pattern.endsWith('$');
  const [first = '', ...pieces] = (ends ? pattern.slice(0, -1) : pattern).split('*');
  if (!path.startsWith(first)) return false;
  let at = first.length;
  const last = ends ? pieces.pop() : undefined;
  for (const piece of pieces) {
    const found = path.indexOf(piece, at);
    if (found === -1) return false;
    at = found + piece.length;
  }
  if (!ends) return true;
  return last === undefined ? at === path.length : path.length - last.length >= at && path.endsWith(last);
}
