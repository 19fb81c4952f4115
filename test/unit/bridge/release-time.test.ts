import { describe, expect, it } from 'vitest'
import { parseInstant, releaseTime, workBeginsMs } from '../../../src/bridge/release-time.ts'
import { splitHeader } from '../../../src/mail/header.ts'

const NOW_MS = Date.UTC(2026, 10, 25, 12)
const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

function fields(...values: string[]) {
  return splitHeader(Buffer.from(values.map((value) => `X-CM-Release-At: ${value}\r\n`).join('')))
}

describe('parseInstant', () => {
  it.each([
    ['2026-11-26T18:00:00+01:00', Date.UTC(2026, 10, 26, 17)],
    ['2026-11-26T18:00Z', Date.UTC(2026, 10, 26, 18)],
    ['2026-11-26 18:00:00.25-0330', Date.UTC(2026, 10, 26, 21, 30)],
    ['Thu, 26 Nov 2026 18:00:00 +0100', Date.UTC(2026, 10, 26, 17)],
    ['26 Nov 2026 18:00 GMT', Date.UTC(2026, 10, 26, 18)],
    ['29 Feb 2028 00:00 +0000', Date.UTC(2028, 1, 29)],
  ])('reads %s', (text, ms) => {
    expect(parseInstant(text)).toBe(ms)
  })

  it.each([
    '',
    'tomorrow',
    '2026-11-26',
    '2026-11-26T18:00:00',
    '2026-02-30T18:00:00Z',
    '2026-13-01T18:00:00Z',
    '2026-11-26T25:00:00Z',
    '30 Feb 2026 18:00 +0000',
    'Thu, 26 Nov 2026 18:00:00',
    '1764180000',
  ])('does not guess at %j', (text) => {
    expect(parseInstant(text)).toBeUndefined()
  })
})

describe('releaseTime', () => {
  it('is at once without a field or a parameter', () => {
    expect(releaseTime([], null, NOW_MS)).toEqual({ kind: 'ok', releaseMs: null })
  })

  it.each([
    ['2026-11-25T13:00:00Z', HOUR_MS],
    ['Thu, 26 Nov 2026 12:00:00 +0000', DAY_MS],
  ])('is %s', (value, afterMs) => {
    expect(releaseTime(fields(value), null, NOW_MS)).toEqual({ kind: 'ok', releaseMs: NOW_MS + afterMs })
  })

  it('comes from MAIL too', () => {
    const inAnHour = { kind: 'ok', releaseMs: NOW_MS + HOUR_MS }
    expect(releaseTime([], { kind: 'for', seconds: 3600 }, NOW_MS)).toEqual(inAnHour)
    expect(releaseTime([], { kind: 'until', ms: NOW_MS + HOUR_MS }, NOW_MS)).toEqual(inAnHour)
  })

  it('takes a time that has just passed for now', () => {
    expect(releaseTime(fields('2026-11-25T11:57:00Z'), null, NOW_MS)).toEqual({ kind: 'ok', releaseMs: null })
  })

  it.each([
    ['the past', fields('2025-11-26T12:00:00Z'), 'in the past'],
    ['more than a year ahead', fields('2028-01-01T00:00:00Z'), '365 days'],
    ['no date', fields('soon'), 'must be a date and time with a zone'],
    ['an empty field', fields(''), 'must be a date and time with a zone'],
    ['two fields', fields('2026-11-26T12:00:00Z', '2026-11-27T12:00:00Z'), 'more than one'],
  ])('refuses %s', (_, given, problem) => {
    const outcome = releaseTime(given, null, NOW_MS)
    expect(outcome).toMatchObject({ kind: 'wrong', problem: expect.stringContaining(problem) })
  })

  it('refuses a field beside a parameter', () => {
    const outcome = releaseTime(fields('2026-11-26T12:00:00Z'), { kind: 'for', seconds: 60 }, NOW_MS)
    expect(outcome).toMatchObject({ kind: 'wrong', problem: expect.stringContaining('twice') })
  })
})

describe('workBeginsMs', () => {
  it.each([
    ['without a time', null, true, 0],
    ['within 72 h, held by the server', 71 * HOUR_MS, true, 0],
    ['within 72 h, held here', 71 * HOUR_MS, false, 71 * HOUR_MS],
    ['beyond 72 h, held by the server from then on', 100 * HOUR_MS, true, 28 * HOUR_MS],
    ['beyond 72 h, held here', 100 * HOUR_MS, false, 100 * HOUR_MS],
  ])('%s', (_, afterMs, serverHolds, waitMs) => {
    const releaseMs = afterMs === null ? null : NOW_MS + afterMs
    expect(workBeginsMs(releaseMs, serverHolds, NOW_MS)).toBe(NOW_MS + waitMs)
  })
})
