/** Who is asking. Made once per request or socket by `service/authenticate.ts`; every service function takes it first. */

export type Scope = 'read' | 'write' | 'admin';

/** The tenant and owner made at the first start. */
export const DEFAULT_TENANT = 'default';
export const LOCAL_USER = 'local';

/** A limit on requests: 0 switches one off. */
export interface Rates {
  perMinute: number;
  perHour: number;
}

export interface Principal {
  tenant: string;
  user: string;
  scopes: readonly Scope[];
  /** The key used; null for a keyless request in local mode. */
  keyId: string | null;
  /** The digest of the session cookie it came with; absent where it came with the key itself, or without. */
  session?: string;
  /** The key's own rates, where it has some. */
  rates: Rates | null;
  /** A request in local mode without a key. A user whose row it makes is a keyless user. */
  keyless: boolean;
  /**
   * A keyless call that names no user: it finds, by id, the conversations of every user who was made by a keyless call
   * (DESIGN.md, Access). Never true with a key.
   */
  findsKeyless: boolean;
}

/** Whose things a query may touch; in every query of a user's things. */
export type Owner = Pick<Principal, 'tenant' | 'user' | 'keyless' | 'findsKeyless'>;

/** A key as its owner sees it; the secret itself is shown once and kept only as a hash. */
export interface ApiKey {
  id: string;
  tenant: string;
  user: string;
  /** A user key acts for its own user; a service key for any user of its tenant. */
  kind: 'user' | 'service';
  name: string | null;
  /** The last four characters, to tell keys apart. */
  hint: string;
  scopes: Scope[];
  rates: Rates | null;
  createdAt: number;
  expiresAt: number | null;
  revokedAt: number | null;
}

export interface User {
  tenant: string;
  id: string;
  /** Made by a keyless call in local mode. */
  keyless: boolean;
  createdAt: number;
}

/** A browser that signed in: it acts as its key, and dies with it. */
export interface Session {
  tenant: string;
  /** The key's id. */
  key: string;
  createdAt: number;
  expiresAt: number;
}

/**
 * Stands for its maker in the address of one stream or socket, where browsers can set no header (DESIGN.md, Access). It
 * gives what its maker's key gives at that moment; with no key, what a keyless request gives.
 */
export interface Ticket extends Pick<Principal, 'tenant' | 'user' | 'keyId' | 'keyless' | 'findsKeyless'> {
  /** Of a GET, without its query. */
  path: string;
  createdAt: number;
  /** Until it is used for the first time; then of what it may be used for again. */
  expiresAt: number;
}

/** A link that gives its user a key, once. */
export interface Invite {
  tenant: string;
  user: string;
  createdAt: number;
  expiresAt: number;
}
