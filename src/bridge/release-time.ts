import { duration } from '../base/clock.ts'
import { parseMailDate } from '../mail/date.ts'
import { fieldsNamed, fieldValue, type HeaderField } from '../mail/header.ts'
import type { HoldRequest } from '../smtp/port.ts'
import { MAX_HOLD_SECONDS } from '../smtp/port.ts'

/** The field a mail program (or its user) names the time with (design 7.11); it never travels. */
export const RELEASE_FIELD = 'X-CM-Release-At'

/** A time so little past is taken for now: two clocks are never quite equal. More is a mistake that cannot be taken back. */
const PAST_TOLERANCE_MS = 5 * duration.minute
/** A server keeps a message that long at most (CM wire 8.5). */
const MAX_SERVER_HOLD_MS = 72 * duration.hour

/** When a message may go out, or why that cannot be said. */
export type ReleaseTime =
  /** Null: at once. */
  | { readonly kind: 'ok'; readonly releaseMs: number | null }
  /** For the reply: what is wrong. */
  | { readonly kind: 'wrong'; readonly problem: string }

/** RFC 3339 with a zone, seconds optional. */
const ISO_DATE = /^(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2})(:\d{2})?(?:\.\d+)?(?:[Zz]|([+-]\d{2}):?(\d{2}))$/
/** A zone that says something; without one nobody knows which hour is meant. */
const MAIL_ZONE = /(?:[+-]\d{4}|\b(?:UT|GMT|[ECMP][SD]T))\s*$/i

/** An instant as a person or a program writes it: RFC 5322 or ISO (RFC 3339), with a zone; undefined for anything else. */
export function parseInstant(text: string): number | undefined {
  const iso = ISO_DATE.exec(text)
  if (iso === null) return MAIL_ZONE.test(text) ? parseMailDate(text)?.epochMs : undefined
  const [, date = '', time = '', seconds = ':00', hours, minutes] = iso
  // A day that is none (30 February) would be taken for another one.
  const midnight = new Date(`${date}T00:00:00Z`)
  if (Number.isNaN(midnight.getTime()) || !midnight.toISOString().startsWith(date)) return undefined
  const ms = Date.parse(`${date}T${time}${seconds}${hours === undefined ? 'Z' : `${hours}:${minutes}`}`)
  return Number.isNaN(ms) ? undefined : ms
}

/**
 * When a submitted message may go out: `HOLDFOR` or `HOLDUNTIL` of MAIL (RFC 4865), else the field `X-CM-Release-At`.
 * Both, the field twice, nonsense, the past, or more than a year ahead is refused: what was meant cannot be guessed.
 */
export function releaseTime(
  fields: readonly HeaderField[],
  hold: HoldRequest | null,
  nowMs: number,
): ReleaseTime {
  const [field, ...others] = fieldsNamed(fields, RELEASE_FIELD)
  if (others.length > 0) return wrong(`the message has more than one ${RELEASE_FIELD} field`)
  if (field === undefined) return hold === null ? atOnce : judge(holdMs(hold, nowMs), 'HOLDUNTIL', nowMs)
  if (hold !== null) return wrong(`the time is given twice, by the command MAIL and by ${RELEASE_FIELD}`)
  const text = fieldValue(field).trim()
  const ms = parseInstant(text)
  if (ms === undefined) {
    return wrong(
      `${RELEASE_FIELD} must be a date and time with a zone, such as 2026-11-26T18:00:00+01:00, not ${JSON.stringify(text.slice(0, 60))}`,
    )
  }
  return judge(ms, RELEASE_FIELD, nowMs)
}

const atOnce: ReleaseTime = { kind: 'ok', releaseMs: null }

function wrong(problem: string): ReleaseTime {
  return { kind: 'wrong', problem }
}

function holdMs(hold: HoldRequest, nowMs: number): number {
  return hold.kind === 'until' ? hold.ms : nowMs + hold.seconds * duration.second
}

function judge(ms: number, name: string, nowMs: number): ReleaseTime {
  if (ms < nowMs - PAST_TOLERANCE_MS) {
    return wrong(`${name} is in the past: ${new Date(ms).toISOString()}. Nothing was sent`)
  }
  if (ms > nowMs + MAX_HOLD_SECONDS * duration.second) {
    return wrong(
      `${name} is more than ${MAX_HOLD_SECONDS / 86_400} days ahead: ${new Date(ms).toISOString()}`,
    )
  }
  return ms <= nowMs ? atOnce : { kind: 'ok', releaseMs: ms }
}

/**
 * When the work on a message begins: at its time, or up to 72 hours before when the owner's server can hold the finished
 * blocks (`STORE PROXY … AFTER`), so that this machine may be off at the time itself (design 7.11).
 */
export function workBeginsMs(releaseMs: number | null, serverHolds: boolean, nowMs: number): number {
  if (releaseMs === null) return nowMs
  return Math.max(nowMs, serverHolds ? releaseMs - MAX_SERVER_HOLD_MS : releaseMs)
}
