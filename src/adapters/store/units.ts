/** The store's units and reads by name: one SQL for every database. An adapter runs them, each unit in a transaction. */

import { deleteAnswer, findAnswer } from './answers.ts';
import { claimCall } from './calls.ts';
import { readChanges } from './changes.ts';
import {
  createConversation,
  deleteConversation,
  deleteConversations,
  deleteItems,
  findConversation,
  listConversations,
  nameConversation,
  updateConversation,
} from './conversations.ts';
import { createInvite, redeemInvite } from './invites.ts';
import { appendEvents, readEvents } from './logs.ts';
import { acceptMessage, answerAgain, answerTurn } from './messages.ts';
import {
  findRun,
  findRunOfTurn,
  finishRun,
  openRuns,
  readRunFacts,
  recordRun,
  startNextRun,
  startTitleRun,
} from './runs.ts';
import { keepSecret } from './secrets.ts';
import { createSession, endSession, extendSession, findSession } from './sessions.ts';
import { sweep } from './sweep.ts';
import { createTicket, hasTicket, useTicket } from './tickets.ts';
import {
  findItem,
  findMessage,
  findTurn,
  readBranch,
  readChain,
  readContext,
  readHeads,
  readPath,
  readTree,
} from './turns.ts';
import { readUsage } from './usage.ts';
import { createKey, createUser, findKey, findKeyById, listKeys, listUsers, pageUsers, revokeKey } from './users.ts';

/** They write. */
export const units = {
  acceptMessage,
  answerAgain,
  answerTurn,
  appendEvents,
  claimCall,
  createConversation,
  createInvite,
  createKey,
  createSession,
  createTicket,
  createUser,
  deleteAnswer,
  deleteConversation,
  deleteConversations,
  deleteItems,
  endSession,
  extendSession,
  finishRun,
  keepSecret,
  nameConversation,
  recordRun,
  redeemInvite,
  revokeKey,
  startNextRun,
  startTitleRun,
  sweep,
  updateConversation,
  useTicket,
};

/** They do not. */
export const reads = {
  findAnswer,
  findConversation,
  findItem,
  findKey,
  findKeyById,
  findMessage,
  findRun,
  findRunOfTurn,
  findSession,
  findTurn,
  hasTicket,
  listConversations,
  listKeys,
  listUsers,
  openRuns,
  pageUsers,
  readBranch,
  readChain,
  readChanges,
  readContext,
  readEvents,
  readHeads,
  readPath,
  readRunFacts,
  readTree,
  readUsage,
};
