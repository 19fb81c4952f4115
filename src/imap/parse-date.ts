import type { Parser } from './parser.ts'

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']

/** A calendar day as a number that grows by the day: days since 1970-01-01. */
export type CalendarDay = number

const DAY_MS = 86_400_000

/** The day of an instant in UTC. */
export function calendarDayOf(epochMs: number): CalendarDay {
  return Math.floor(epochMs / DAY_MS)
}

// date = date-text / DQUOTE date-text DQUOTE ; date-text = date-day "-" date-month "-" date-year
export function parseDate(p: Parser): CalendarDay {
  const quoted = p.accept('"')
  const text = p.matching('date-text', /[0-9]{1,2}-[A-Za-z]{3}-[0-9]{4}/y)
  if (quoted) p.expect('"')
  const [day = '', month = '', year = ''] = text.split('-')
  const epochMs = utcDay(Number(day), month, Number(year))
  if (epochMs === undefined) throw p.fail('date')
  return calendarDayOf(epochMs)
}

// date-time = DQUOTE date-day-fixed "-" date-month "-" date-year SP time SP zone DQUOTE
// date-day-fixed = (SP DIGIT) / 2DIGIT ; zone = ("+" / "-") 4DIGIT
const DATE_TIME = /"(?: [0-9]|[0-9]{2})-[A-Za-z]{3}-[0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} [+-][0-9]{4}"/y

export function parseDateTime(p: Parser): Date {
  const text = p.matching('date-time', DATE_TIME)
  const dayMs = utcDay(Number(text.slice(1, 3)), text.slice(4, 7), Number(text.slice(8, 12)))
  const [hours = 0, minutes = 0, seconds = 0] = text.slice(13, 21).split(':').map(Number)
  const zoneMinutes = Number(text.slice(23, 25)) * 60 + Number(text.slice(25, 27))
  // 60: a leap second (RFC 5322 3.3).
  if (dayMs === undefined || hours > 23 || minutes > 59 || seconds > 60 || Number(text.slice(25, 27)) > 59) {
    throw p.fail('date-time')
  }
  const offsetMinutes = text[22] === '-' ? -zoneMinutes : zoneMinutes
  return new Date(dayMs + ((hours * 60 + minutes - offsetMinutes) * 60 + seconds) * 1000)
}

/** Start of the day in UTC, milliseconds since 1970; undefined for a day that is in no calendar. */
function utcDay(day: number, monthName: string, year: number): number | undefined {
  const month = MONTHS.indexOf(monthName.toLowerCase())
  const date = new Date(0)
  date.setUTCFullYear(year, month, day)
  const exists = month >= 0 && date.getUTCDate() === day && date.getUTCMonth() === month
  return exists ? date.getTime() : undefined
}
