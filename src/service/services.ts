/** All use cases together: what `http` and the dialects are given. */

import type { createAdmit } from './admit.ts';
import type { Assistants } from './assistants.ts';
import type { createAuthenticate } from './authenticate.ts';
import type { createBranches } from './branches.ts';
import type { createChanges } from './changes.ts';
import type { createCompaction } from './compaction.ts';
import type { createCompletions } from './completions.ts';
import type { createConversations } from './conversations.ts';
import type { createFollowRun } from './follow-run.ts';
import type { createItems } from './items.ts';
import type { createKeys } from './keys.ts';
import type { createResponses } from './responses.ts';
import type { createSearch } from './search.ts';
import type { createMessages } from './send-message.ts';
import type { createTickets } from './tickets.ts';
import type { createUsage } from './usage.ts';

export interface Services {
  authenticate: ReturnType<typeof createAuthenticate>;
  admit: ReturnType<typeof createAdmit>;
  conversations: ReturnType<typeof createConversations>;
  messages: ReturnType<typeof createMessages>;
  branches: ReturnType<typeof createBranches>;
  runs: ReturnType<typeof createFollowRun>;
  completions: ReturnType<typeof createCompletions>;
  compaction: ReturnType<typeof createCompaction>;
  responses: ReturnType<typeof createResponses>;
  search: ReturnType<typeof createSearch>;
  items: ReturnType<typeof createItems>;
  keys: ReturnType<typeof createKeys>;
  assistants: Assistants;
  changes: ReturnType<typeof createChanges>;
  tickets: ReturnType<typeof createTickets>;
  usage: ReturnType<typeof createUsage>;
}
