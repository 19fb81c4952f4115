/** A date of a header field (RFC 5322 3.3, 4.3). */
export interface MailDate {
  /** Milliseconds since 1970 UTC. */
  readonly epochMs: number
  /** Minutes east of UTC as written, so that the calendar day the sender saw can be had (SEARCH SENTON). */
  readonly offsetMinutes: number
}

/** A date field longer than this is nonsense. */
const MAX_DATE_CHARS = 200

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']
const MONTH_NAMES = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
const DAY_NAMES = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat']

/** RFC 5322 4.3 obs-zone in minutes; every other name (military letters too) counts as -0000. */
const OBSOLETE_ZONES: Readonly<Record<string, number>> = {
  EST: -300,
  EDT: -240,
  CST: -360,
  CDT: -300,
  MST: -420,
  MDT: -360,
  PST: -480,
  PDT: -420,
}

const MINUTE_MS = 60_000

const DATE =
  /^(?:[A-Za-z]{1,9}\.?\s*,?\s*)?(\d{1,2})[\s-]+([A-Za-z]{3})[A-Za-z]*\.?[\s-]+(\d{2,4})\s*,?\s+(\d{1,2})\s*[:.]\s*(\d{1,2})(?:\s*[:.]\s*(\d{1,2}))?(?:\.\d+)?\s*([+-]\d{4}|[+-]\d{1,2}:\d{2}|[A-Za-z]{1,9})?(?:\s|$)/

/**
 * Parses a Date field: comments, two-digit years, obsolete and missing zones are understood (RFC 5322 4.3).
 * Null for anything that is no real instant: never a guess, never the present (case M14).
 */
export function parseMailDate(text: string): MailDate | null {
  if (text.length > MAX_DATE_CHARS) return null
  const match = DATE.exec(withoutComments(text).trim())
  if (match === null) return null
  const [, day, monthName, year, hour, minute, second, zone] = match
  const month = MONTHS.indexOf((monthName ?? '').toLowerCase())
  const offsetMinutes = parseZone(zone ?? '')
  if (month < 0 || offsetMinutes === null) return null
  const utc = calendarMs(fullYear(year ?? ''), month, Number(day))
  const time = timeMs(Number(hour), Number(minute), Number(second ?? 0))
  if (utc === null || time === null) return null
  return { epochMs: utc + time - offsetMinutes * MINUTE_MS, offsetMinutes }
}

function withoutComments(text: string): string {
  let depth = 0
  let result = ''
  for (const char of text) {
    if (char === '(') depth++
    else if (char === ')' && depth > 0) {
      depth--
      result += ' '
    } else if (depth === 0) result += char
  }
  return result
}

/** RFC 5322 4.3: two digits below 50 are 2000 and up, other two and three digits are after 1900. */
function fullYear(digits: string): number {
  const year = Number(digits)
  if (digits.length === 4) return year
  return digits.length === 2 && year < 50 ? 2000 + year : 1900 + year
}

function calendarMs(year: number, month: number, day: number): number | null {
  const ms = Date.UTC(year, month, day)
  const date = new Date(ms)
  return date.getUTCMonth() === month && date.getUTCDate() === day && year >= 1900 ? ms : null
}

function timeMs(hour: number, minute: number, second: number): number | null {
  // 60 is a leap second (RFC 5322 3.3).
  if (hour > 23 || minute > 59 || second > 60) return null
  return ((hour * 60 + minute) * 60 + second) * 1000
}

function parseZone(zone: string): number | null {
  const match = /^([+-])(\d{1,2}):?(\d{2})$/.exec(zone)
  if (match === null) return OBSOLETE_ZONES[zone.toUpperCase()] ?? 0
  const minutes = Number(match[2]) * 60 + Number(match[3])
  if (Number(match[3]) > 59) return null
  return match[1] === '-' ? -minutes : minutes
}

/** A Date field body in UTC: `Tue, 03 Feb 2026 09:15:00 +0000` (RFC 5322 3.3). */
export function formatMailDate(epochMs: number): string {
  const date = new Date(epochMs)
  const two = (value: number) => String(value).padStart(2, '0')
  const day = `${DAY_NAMES[date.getUTCDay()]}, ${two(date.getUTCDate())} ${MONTH_NAMES[date.getUTCMonth()]}`
  const year = String(date.getUTCFullYear()).padStart(4, '0')
  return `${day} ${year} ${two(date.getUTCHours())}:${two(date.getUTCMinutes())}:${two(date.getUTCSeconds())} +0000`
}
