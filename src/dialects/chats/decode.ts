/** Wire → service: times in any ISO 8601 form, and the cursor of a reconnecting EventSource. Pure. */

import { invalid } from '#core/errors.ts';
import { type Cursor, parseCursor } from '#core/page.ts';

const DAY = 86_400_000;
const FORM = /^([^T ]+)(?:[T ]([^T ]+))?$/;
const DATE = /^(\d{4})(?:-?(\d{2})(?:-?(\d{2}))?|-?(\d{3})|-?W(\d{2})(?:-?([1-7]))?)$/;
const TIME = /^(\d{2})(?::?(\d{2})(?::?(\d{2})(?:[.,](\d{1,9}))?)?)?(Z|[+-]\d{2}(?::?\d{2})?)?$/;
/** What is written with a year of four digits. */
const FIRST = utc(1, 0, 1);
const LAST = utc(10_000, 0, 1) - 1;

/**
 * A time in any ISO 8601 form (calendar, ordinal or week date; basic or extended; a blank for `T`) as Unix milliseconds.
 * Without a zone it is UTC. Throws `invalid_request`.
 */
export function parseTime(text: string): number {
  const [, dateText = '', timeText] = FORM.exec(text.trim().toUpperCase()) ?? [];
  const day = parseDate(dateText);
  const time = timeText === undefined ? 0 : parseClock(timeText);
  const at = day === null || time === null ? Number.NaN : day + time;
  if (!(at >= FIRST && at <= LAST)) {
    throw invalid('updated_at must be an ISO 8601 time, such as 2024-01-01T00:00:00.000Z.', 'updated_at');
  }
  return at;
}

function parseDate(text: string): number | null {
  const match = DATE.exec(text);
  if (match === null) return null;
  const [, yearText, month, dayOfMonth, ordinal, week, weekday] = match;
  const year = Number(yearText);
  if (ordinal !== undefined) {
    const time = utc(year, 0, Number(ordinal));
    return Number(ordinal) > 0 && yearOf(time) === year ? time : null;
  }
  if (week !== undefined) {
    // ISO 8601: weeks begin on Monday, and each belongs to the year of its Thursday; week 1 has January 4th in it.
    const fourth = utc(year, 0, 4);
    const monday = fourth - ((new Date(fourth).getUTCDay() + 6) % 7) * DAY + (Number(week) - 1) * 7 * DAY;
    return yearOf(monday + 3 * DAY) === year ? monday + (Number(weekday ?? '1') - 1) * DAY : null;
  }
  const time = utc(year, Number(month) - 1, Number(dayOfMonth ?? '1'));
  const date = new Date(time);
  return date.getUTCMonth() === Number(month) - 1 && date.getUTCDate() === Number(dayOfMonth ?? '1') ? time : null;
}

function parseClock(text: string): number | null {
  const match = TIME.exec(text);
  if (match === null) return null;
  const [, hours, minutes = '0', seconds = '0', fraction = '', zoneText = 'Z'] = match;
  // 24:00 is the end of the day, and 60 a leap second.
  if (Number(minutes) > 59 || Number(seconds) > 60) return null;
  const time = ((Number(hours) * 60 + Number(minutes)) * 60 + Number(seconds)) * 1000;
  const ms = time + Number(fraction.slice(0, 3).padEnd(3, '0'));
  const zone = parseZone(zoneText);
  return zone === null || (Number(hours) > 23 && ms > DAY) ? null : ms - zone;
}

/** How far a zone is ahead of UTC. */
function parseZone(zone: string): number | null {
  if (zone === 'Z') return 0;
  const hours = Number(zone.slice(1, 3));
  const minutes = Number(zone.slice(3).replace(':', '') || '0');
  if (hours > 23 || minutes > 59) return null;
  return (zone.startsWith('-') ? -1 : 1) * (hours * 60 + minutes) * 60_000;
}

/** `Date.UTC` takes the years 0 to 99 for 1900 to 1999. */
function utc(year: number, month: number, day: number): number {
  return new Date(0).setUTCFullYear(year, month, day);
}

function yearOf(time: number): number {
  return new Date(time).getUTCFullYear();
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
