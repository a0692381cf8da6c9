/** Requests of the app: to its own origin, with the session's cookie, and with whom the machine's owner wants to be. */

/** An answer that is no success, in the words of the server. */
export class ApiError extends Error {
  override name = 'ApiError';
  readonly status: number;
  readonly code: string;
  /** Seconds; null where the server does not say. */
  readonly retryAfter: number | null;
  constructor(status: number, code: string, message: string, retryAfter: number | null = null) {
    super(message);
    this.status = status;
    this.code = code;
    this.retryAfter = retryAfter;
  }
}

/** Whether the same request may succeed a little later: the network, a restart, an overload. */
export function isPassing(error: unknown): boolean {
  if (!(error instanceof ApiError)) return !(error instanceof DOMException && error.name === 'AbortError');
  return (
    error.status === 0 || error.status === 502 || error.status === 503 || error.status === 504 || error.status === 425
  );
}

interface Identity {
  /** Another of this machine's users, in local mode; null: who the session or the machine says. */
  user: string | null;
}
const identity: Identity = { user: null };

export function actAs(user: string | null): void {
  identity.user = user;
}

export interface CallOptions {
  method?: 'GET' | 'POST' | 'DELETE';
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal;
  /** The owner's key, for what only the owner may. */
  key?: string | null;
  /** Finishes even when the page is closed. */
  keepalive?: boolean;
}

let onSignedOut: () => void = () => {};

/** What is done when the server no longer knows who is asking. */
export function whenSignedOut(action: () => void): void {
  onSignedOut = action;
}

/** Throws `ApiError`; `status` is 0 where there was no answer. */
export async function call(path: string, options: CallOptions = {}): Promise<Response> {
  const { method = 'GET', body, headers = {}, signal, key = null, keepalive = false } = options;
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      headers: {
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...(identity.user !== null && { 'x-user-id': identity.user }),
        ...(key !== null && { authorization: `Bearer ${key}` }),
        ...headers,
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      ...(signal && { signal }),
      keepalive,
      credentials: 'same-origin',
      cache: 'no-store',
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0, 'offline', 'The server cannot be reached.');
  }
  if (response.ok) return response;
  const failure = await readError(response);
  if (failure.status === 401 && key === null) onSignedOut();
  throw failure;
}

async function readError(response: Response): Promise<ApiError> {
  const wait = Number(response.headers.get('retry-after'));
  const retryAfter = wait > 0 ? wait : null;
  try {
    const { error } = (await response.json()) as { error: { message: string; code?: string } };
    return new ApiError(response.status, error.code ?? '', error.message, retryAfter);
  } catch {
    return new ApiError(response.status, '', response.statusText || `HTTP ${response.status}`, retryAfter);
  }
}

export async function getJson<T>(path: string, options: CallOptions = {}): Promise<T> {
  return (await (await call(path, options)).json()) as T;
}

/** A key for one write: the same write tried again under it happens once. */
export function writeKey(): Record<string, string> {
  return { 'idempotency-key': newId() };
}

/** A random UUID, also on pages without TLS, where `crypto.randomUUID` is not there. */
export function newId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

/** Waits, longer each time, up to 5 s; less long if the network comes back. */
export async function backOff(attempt: number, signal: AbortSignal): Promise<void> {
  const wait = Math.min(5_000, 300 * 2 ** attempt) * (0.75 + Math.random() / 2);
  await new Promise<void>((resolve) => {
    const timer = setTimeout(done, wait);
    function done() {
      clearTimeout(timer);
      window.removeEventListener('online', done);
      signal.removeEventListener('abort', done);
      resolve();
    }
    window.addEventListener('online', done);
    signal.addEventListener('abort', done);
  });
}
