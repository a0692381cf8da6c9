/** What goes wrong with MCP servers, as sentences without secrets. */

const MAX_REASON = 300;

const REASONS: Record<string, string> = {
  ENOENT: 'its command is not found',
  EACCES: 'its command may not be run',
  ECONNREFUSED: 'the connection is refused',
  ECONNRESET: 'the connection was reset',
  ENOTFOUND: 'its name is not known',
  EAI_AGAIN: 'its name could not be looked up',
  ETIMEDOUT: 'connecting took too long',
  UND_ERR_CONNECT_TIMEOUT: 'connecting took too long',
  UND_ERR_SOCKET: 'it closed the connection',
  CONNECTION_CLOSED: 'it ended',
  REQUEST_TIMEOUT: 'it does not answer',
};

/** Longest first, so that none hides a part of another. */
export function hideSecrets(text: string, secrets: readonly string[]): string {
  return secrets
    .toSorted((a, b) => b.length - a.length)
    .reduce((hidden, secret) => hidden.replaceAll(secret, '•••'), text);
}

export function codeOf(error: unknown): unknown {
  return (error as { code?: unknown }).code;
}

function statusOf(error: unknown): number | null {
  const { status } = error as { status?: unknown };
  return typeof status === 'number' ? status : null;
}

/**
 * A session that a server does not know is one whose calls it has not run. It has to say 404 (Streamable HTTP, Session
 * Management); many say 400, and what is missing.
 */
export function isUnknownSession(error: unknown): boolean {
  const status = statusOf(error);
  return status === 404 || (status === 400 && /session/i.test(String((error as Error).message)));
}

/** `fetch` failed: the connection, not the answer. */
export function isNetwork(error: unknown): boolean {
  return error instanceof TypeError && error.cause !== undefined;
}

/** One line for people and models. */
export function reasonOf(error: unknown, secrets: readonly string[]): string {
  const { message, cause } = error as { message?: unknown; cause?: unknown };
  const status = statusOf(error);
  if (status === 401 || status === 403) return `it refuses the key in its headers (${status})`;
  const code = (cause as { code?: unknown } | undefined)?.code ?? codeOf(error);
  const known = typeof code === 'string' ? REASONS[code] : undefined;
  return known ?? oneLine(typeof message === 'string' && message !== '' ? message : 'unknown error', secrets);
}

function oneLine(text: string, secrets: readonly string[]): string {
  return bare(text, secrets).slice(0, MAX_REASON).toWellFormed();
}

/** The end of what a server wrote. */
export function lastLine(text: string, secrets: readonly string[]): string {
  return bare(text, secrets).slice(-MAX_REASON).toWellFormed();
}

function bare(text: string, secrets: readonly string[]): string {
  return hideSecrets(text, secrets).replace(/\s+/g, ' ').trim();
}
