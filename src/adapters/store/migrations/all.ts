/** The changes of the tables in their order. The version of a database is how many of them it has had. */

import { first } from './0001-first.ts';
import { webActions } from './0002-web-actions.ts';
import { itemsById } from './0003-items-by-id.ts';
import { answers } from './0004-answers.ts';
import { sessions } from './0005-sessions.ts';
import { searchChanges } from './0006-search-changes.ts';
import { usageAndTickets } from './0007-usage-and-tickets.ts';
import { callClaims } from './0008-call-claims.ts';

export const migrations: readonly string[] = [
  first,
  webActions,
  itemsById,
  answers,
  sessions,
  searchChanges,
  usageAndTickets,
  callClaims,
];
