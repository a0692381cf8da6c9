/** A conversation: a tree of turns with a head. */

import type { Item, Turn } from './turn.ts';

export interface Conversation {
  /** UUIDv7. */
  id: string;
  tenant: string;
  user: string;
  /** Per tenant, given when it is listed; null while unlisted. */
  number: number | null;
  /** Null until named by a person or by a title run. */
  title: string | null;
  /** The preset it was made with; it keeps it. */
  assistant: string;
  /** Unlisted ones are in no list, search, change or count. */
  listed: boolean;
  archived: boolean;
  /** Its user's active one: the session made last in dialect 1, and nothing else changes it. */
  active: boolean;
  /** The newest turn of the shown branch; null while empty. */
  head: string | null;
  createdAt: number;
  /** What dialect 3 shows: may be given by a caller; an entry or a rename sets it to now. */
  updatedAt: number;
  /** Newest activity: moved by messages only. Orders lists. */
  activeAt: number;
  metadata: Record<string, string>;
}

/** What is given is set. A new title or `updatedAt` moves `updatedAt` (to now where it is not given), never `activeAt`. */
export interface ConversationUpdate {
  /** Null: nobody has named it. */
  title?: string | null;
  updatedAt?: number;
  archived?: boolean;
  assistant?: string;
  /** The whole of it. */
  metadata?: Record<string, string>;
  /** Shows the branch that ends with this turn; not one of the conversation's: `not_found`. */
  head?: string;
}

/** The end of the branch that a conversation shows. */
export interface Head {
  conversation: string;
  /** The last item on it; null while there is none. */
  item: Item | null;
  /** Its newest turn, items or not: an answer that is being written has none yet. */
  turn: Pick<Turn, 'id' | 'role' | 'status' | 'run'>;
}

/** What an untitled conversation is called in dialects 0–4 and the web app. */
export const UNTITLED = 'New chat';

export const DEFAULT_ASSISTANT = 'default';

/** A named preset. `default` and `movies` are built in; others come from the config file. */
export interface Assistant {
  id: string;
  name: string;
  description: string;
  /** The system prompt; '' for none. */
  instructions: string;
  /** A model's name; null for the server's default. */
  model: string | null;
  /** Models tried in order when the first cannot answer. */
  fallbacks: string[];
  /** Whether its answers may search the web without being asked to. */
  webSearch: boolean;
  /** Tools of this server that its answers may use: `files` for all of an MCP server, `files/read_file` for one. */
  tools: string[];
}
