/** Wire → service: times in any ISO 8601 form, and the cursor of a reconnecting EventSource. Pure. */

import { invalid } from '#core/errors.ts';
import { type Cursor, parseCursor } from '#core/page.ts';

const DAY = 86_400_000;
const DATE = /^(\d{4})(?:-?(\d{2})(?:-?(\d{2}))?|-?(\d{3})|-?W(\d{2})(?:-?([1-7]))?)$/;
const TIME = /^(\d{2})(?::?(\d{2})(?::?(\d{2})(?:[.,](\d{1,9}))?)?)?(Z|[+-]\d{2}(?::?\d{2})?)?$/;

/**
 * A time in any ISO 8601 form (calendar, ordinal or week date; basic or extended; a blank for `T`) as Unix milliseconds.
 * Without a zone it is UTC. Throws `invalid_request`.
 */
export function parseTime(text: string): number {
  const [dateText = '', timeText] = text.trim().toUpperCase().split(/[T ]/, 2);
  const day = parseDate(dateText);
  const time = timeText === undefined ? 0 : parseClock(timeText);
  if (day === null || time === null) {
    throw invalid('updated_at must be an ISO 8601 time, such as 2024-01-01T00:00:00.000Z.', 'updated_at');
  }
  return day + time;
}

function parseDate(text: string): number | null {
  const match = DATE.exec(text);
  if (match === null) return null;
  const [, year, month, dayOfMonth, ordinal, week, weekday] = match;
  const newYear = Date.UTC(Number(year), 0, 1);
  if (ordinal !== undefined) {
    const days = Number(ordinal);
    return days >= 1 && days <= (Date.UTC(Number(year) + 1, 0, 1) - newYear) / DAY ? newYear + (days - 1) * DAY : null;
  }
  if (week !== undefined) {
    if (Number(week) < 1 || Number(week) > 53) return null;
    // ISO 8601: week 1 is the week of January 4th, and weeks begin on Monday.
    const fourth = newYear + 3 * DAY;
    const monday = fourth - ((new Date(fourth).getUTCDay() + 6) % 7) * DAY;
    return monday + ((Number(week) - 1) * 7 + Number(weekday ?? '1') - 1) * DAY;
  }
  const time = Date.UTC(Number(year), Number(month) - 1, Number(dayOfMonth ?? '1'));
  const date = new Date(time);
  return date.getUTCMonth() === Number(month) - 1 && date.getUTCDate() === Number(dayOfMonth ?? '1') ? time : null;
}

function parseClock(text: string): number | null {
  const match = TIME.exec(text);
  if (match === null) return null;
  const [, hours, minutes = '0', seconds = '0', fraction = '', zone = 'Z'] = match;
  if (Number(hours) > 24 || Number(minutes) > 59 || Number(seconds) > 60) return null;
  const ms = Number(`0.${fraction}`) * 1000;
  return ((Number(hours) * 60 + Number(minutes)) * 60 + Number(seconds)) * 1000 + Math.floor(ms) - parseZone(zone);
}

function parseZone(zone: string): number {
  if (zone === 'Z') return 0;
  const minutes = Number(zone.slice(1, 3)) * 60 + Number(zone.slice(3).replace(':', '') || '0');
  return (zone.startsWith('-') ? -minutes : minutes) * 60_000;
}

/** `Last-Event-ID` as the number of the last event received; 0, the beginning, for anything else. */
export function parseLastEventId(header: string | string[] | undefined): number {
  return typeof header === 'string' && /^\d{1,15}$/.test(header) ? Number(header) : 0;
}

/** The `after` of a list. Throws `invalid_request`. */
export function parseAfter(text: string | undefined): Cursor | null {
  if (text === undefined) return null;
  const cursor = parseCursor(text);
  if (cursor === null) throw invalid('after must be taken from a Link header of this list.', 'after');
  return cursor;
}
