/** Conversations by the day of their newest activity. Pure. */

import type { Conversation } from '../api/conversations.ts';

export type Group = 'today' | 'yesterday' | 'week' | 'month' | { year: number; month: number };
export type Row = { type: 'heading'; group: Group } | { type: 'conversation'; conversation: Conversation };

/** @param conversations newest activity first @param now the local time that days are counted from */
export function groupByDay(conversations: readonly Conversation[], now: Date): Row[] {
  const rows: Row[] = [];
  let last = '';
  for (const conversation of conversations) {
    const group = groupOf(new Date(conversation.activeAt * 1000), now);
    const name = JSON.stringify(group);
    if (name !== last) rows.push({ type: 'heading', group });
    last = name;
    rows.push({ type: 'conversation', conversation });
  }
  return rows;
}

function groupOf(date: Date, now: Date): Group {
  const days = daysBetween(date, now);
  if (days <= 0) return 'today';
  if (days === 1) return 'yesterday';
  if (days < 7) return 'week';
  if (days < 30) return 'month';
  return { year: date.getFullYear(), month: date.getMonth() };
}

/** Midnights between two times; a day of a clock change is one day too. */
function daysBetween(from: Date, to: Date): number {
  const day = (date: Date) => Date.UTC(date.getFullYear(), date.getMonth(), date.getDate()) / 86_400_000;
  return day(to) - day(from);
}
