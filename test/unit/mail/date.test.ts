import { describe, expect, it } from 'vitest'
import { formatMailDate, parseMailDate } from '../../../src/mail/date.ts'

const iso = (text: string) => {
  const date = parseMailDate(text)
  return date === null ? null : `${new Date(date.epochMs).toISOString().slice(0, 19)}Z ${date.offsetMinutes}`
}

describe('a date field', () => {
  it.each([
    ['Tue, 03 Feb 2026 09:15:00 +0100', '2026-02-03T08:15:00Z 60'],
    ['3 Feb 2026 09:15 -0330', '2026-02-03T12:45:00Z -210'],
    ['Wed, 17 Jul 2019 11:46:37 +0000 (GMT+00:00)', '2019-07-17T11:46:37Z 0'],
    ['Sat, 17 Nov 2018 23:33:24 UT', '2018-11-17T23:33:24Z 0'],
    ['Fri, 21 Nov 1997 09:55:06 EST', '1997-11-21T14:55:06Z -300'],
    ['Fri, 21 Nov 97 09(comment):   55  :  06 -0600', '1997-11-21T15:55:06Z -360'],
    ['21 Nov 25 00:00:00 Z', '2025-11-21T00:00:00Z 0'],
    ['21 Nov 2025 00:00:00', '2025-11-21T00:00:00Z 0'],
    ['Fri 21 November 2025 00:00:00 CEST', '2025-11-21T00:00:00Z 0'],
    ['Thursday, 21-Nov-25 10:20:30 GMT', '2025-11-21T10:20:30Z 0'],
    ['31 Dec 2016 23:59:60 +0000', '2017-01-01T00:00:00Z 0'],
    ['Tue, 03 Feb 2026 09:15:00 +01:00', '2026-02-03T08:15:00Z 60'],
    ['Mon, 32 Foo 2018 99:33:24 XX', null],
    ['30 Feb 2026 00:00:00 +0000', null],
    ['01 Jan 2026 24:00:00 +0000', null],
    ['01 Jan 2026 00:60:00 +0000', null],
    ['01 Jan 2026 00:00:00 +0099', null],
    ['01 Jan 2026', null],
    ['', null],
    ['yesterday', null],
    ['('.repeat(190), null],
    [`01 Jan 2026 ${' '.repeat(500)}00:00:00`, null],
  ])('%s', (text, expected) => {
    expect(iso(text)).toBe(expected)
  })

  it('is written in UTC and reads back', () => {
    const epochMs = Date.UTC(2026, 1, 3, 8, 15)
    expect(formatMailDate(epochMs)).toBe('Tue, 03 Feb 2026 08:15:00 +0000')
    expect(parseMailDate(formatMailDate(epochMs))?.epochMs).toBe(epochMs)
  })
})
