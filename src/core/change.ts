/** The feed of a user: one numbered line for each thing that happened to a conversation of theirs that is listed. */

export type ChangeType =
  | 'conversation-created'
  | 'conversation-renamed'
  /** Taken into the archive, or out of it. */
  | 'conversation-archived'
  /** Anything else about it that is no run: an entry made by hand or waiting, an item deleted, another branch shown. */
  | 'conversation-updated'
  | 'conversation-deleted'
  | 'run-started'
  | 'run-ended';

export interface Change {
  /** From 1, growing by one within a user's feed. */
  number: number;
  type: ChangeType;
  conversation: string;
  run: string | null;
  /** The answer turn of that run, while it is there. */
  answer: string | null;
  createdAt: number;
}
