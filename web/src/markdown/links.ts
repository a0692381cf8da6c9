/** Which addresses a text of somebody else's may lead to. Pure. */

const SCHEMES = new Set(['http:', 'https:', 'mailto:']);
const MAX_ADDRESS = 4096;

/** The address as a browser reads it, or null for what is not followed: other schemes, relative paths, credentials. */
export function safeLink(address: string): string | null {
  if (address.length > MAX_ADDRESS) return null;
  try {
    const url = new URL(address);
    if (!SCHEMES.has(url.protocol) || url.username !== '' || url.password !== '') return null;
    return url.href;
  } catch {
    return null;
  }
}

/** What is shown of an address: its host without `www.`; of others all of it. */
export function hostOf(address: string): string {
  try {
    return new URL(address).host.replace(/^www\./, '') || address;
  } catch {
    return address;
  }
}
