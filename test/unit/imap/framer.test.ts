import { describe, expect, it } from 'vitest'
import { type Frame, Framer } from '../../../src/imap/framer.ts'

const LIMITS = { maxLineBytes: 20, maxSkippedLiteralBytes: 100 }

function bytes(text: string): Buffer {
  return Buffer.from(text, 'latin1')
}

function framerWith(text: string): Framer {
  const framer = new Framer(LIMITS)
  framer.push(bytes(text))
  return framer
}

/** A frame with its octets as text. */
function readable(frame: Frame | undefined): unknown {
  if (frame === undefined) return undefined
  if (frame.kind === 'line') return [frame.kind, Buffer.from(frame.text).toString('latin1'), frame.literal]
  if (frame.kind === 'literal') return [frame.kind, Buffer.from(frame.bytes).toString('latin1'), frame.last]
  if (frame.kind === 'broken-line') {
    return [frame.kind, frame.reason, Buffer.from(frame.start).toString('latin1'), frame.literal]
  }
  return [frame.kind]
}

describe('Framer', () => {
  it('gives a line when its CRLF is there', () => {
    const framer = framerWith('a NOOP\r')
    expect(framer.next()).toBeUndefined()
    expect(framer.isEmpty).toBe(false)
    framer.push(bytes('\nb'))
    expect(readable(framer.next())).toEqual(['line', 'a NOOP', null])
    expect(framer.next()).toBeUndefined()
  })

  it.each([
    ['a {3}', { size: 3, sync: true }],
    ['a {3+}', { size: 3, sync: false }],
    ['a ~{0+}', { size: 0, sync: false }],
    ['a {3} ', null],
    ['a {-3}', null],
    ['a {}', null],
    ['a "{3}"', null],
  ])('%s ends in literal %o', (line, literal) => {
    expect(readable(framerWith(`${line}\r\n`).next())).toEqual(['line', line, literal])
  })

  it('gives an accepted literal as it comes, then the line behind it', () => {
    const framer = framerWith('a {5}\r\nab')
    framer.next()
    framer.acceptLiteral()
    expect(readable(framer.next())).toEqual(['literal', 'ab', false])
    expect(framer.next()).toBeUndefined()
    framer.push(bytes('c\r\n x\r\n'))
    expect(readable(framer.next())).toEqual(['literal', 'c\r\n', true])
    expect(readable(framer.next())).toEqual(['line', ' x', null])
  })

  it('gives an empty literal', () => {
    const framer = framerWith('a {0}\r\n\r\n')
    framer.next()
    framer.acceptLiteral()
    expect(readable(framer.next())).toEqual(['literal', '', true])
    expect(readable(framer.next())).toEqual(['line', '', null])
  })

  it('goes on at once behind a refused synchronizing literal: it never comes', () => {
    const framer = framerWith('a {5}\r\nb NOOP\r\n')
    framer.next()
    framer.refuseLiteral()
    expect(readable(framer.next())).toEqual(['skipped'])
    expect(readable(framer.next())).toEqual(['line', 'b NOOP', null])
  })

  it('drops a refused non-synchronizing literal with the rest of its command, however many literals follow', () => {
    const framer = framerWith('a {9+}\r\nb LOGOUT\r (x {3+}\r\n\r\n\r rest\r\nc NOOP\r\n')
    framer.next()
    framer.refuseLiteral()
    expect(readable(framer.next())).toEqual(['skipped'])
    expect(readable(framer.next())).toEqual(['line', 'c NOOP', null])
  })

  it('is hopeless when a refused literal is too large to skip', () => {
    const framer = framerWith('a {101+}\r\n')
    framer.next()
    framer.refuseLiteral()
    expect(readable(framer.next())).toEqual(['hopeless'])
  })

  it('takes a line of the limit and not one octet more', () => {
    expect(readable(framerWith(`${'x'.repeat(20)}\r\n`).next())).toEqual(['line', 'x'.repeat(20), null])
    // What is kept of it, for its tag, is no longer than the limit and does not depend on how it was cut.
    const tooLong = ['broken-line', 'too-long', 'x'.repeat(20), null]
    expect(readable(framerWith(`${'x'.repeat(21)}\r\n`).next())).toEqual(tooLong)
  })

  it('sees the literal at the end of an over-long line, so that its octets are no commands', () => {
    const framer = framerWith(`${'x'.repeat(200)}{10+}\r\nb LOGOUT\r\n\r\nc NOOP\r\n`)
    const frame = framer.next()
    expect(frame).toMatchObject({ kind: 'broken-line', literal: { size: 10, sync: false } })
    framer.refuseLiteral()
    expect(readable(framer.next())).toEqual(['skipped'])
    expect(readable(framer.next())).toEqual(['line', 'c NOOP', null])
  })

  it('gives up on a line without end', () => {
    const framer = new Framer(LIMITS)
    let frame: Frame | undefined
    for (let sent = 0; frame === undefined && sent < 40; sent += 1) {
      framer.push(Buffer.alloc(65_536, 'x'))
      frame = framer.next()
    }
    expect(readable(frame)).toEqual(['hopeless'])
  })

  it('does not take a line that ends in a bare LF', () => {
    expect(readable(framerWith('a NOOP\n').next())).toEqual(['broken-line', 'bare-lf', 'a NOOP\n', null])
  })

  it('reads no literal in an answer to a continuation request', () => {
    expect(readable(framerWith('x {5+}\r\n').nextContinuationLine())).toEqual(['line', 'x {5+}', null])
  })
})
