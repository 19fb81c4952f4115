import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CmFramer } from '../../src/cm/framer.ts'

/** Frames as text, payload pieces joined: their borders are the chunks'. A line STORE starts a block, as in a server. */
function framesOf(chunks: readonly Uint8Array[]): string[] {
  const framer = new CmFramer()
  const found: string[] = []
  let payload = ''
  for (const chunk of chunks) {
    framer.push(chunk)
    for (let frame = framer.next(); frame !== undefined; frame = framer.next()) {
      if (frame.kind === 'payload') payload += Buffer.from(frame.bytes).toString('latin1')
      else found.push(JSON.stringify(frame))
      if (frame.kind === 'payload-end') {
        found.push(payload)
        payload = ''
      }
      if (frame.kind === 'line' && frame.line === 'STORE') framer.startBlock()
    }
  }
  return [...found, payload]
}

const piece = fc.oneof(
  fc.constantFrom(
    'STORE\r\n',
    'EndBlock\r\n',
    'Data: 7\r\n',
    'Data: 1\r\n',
    'Padding: x\r\n',
    '\r',
    '\n',
    '\r\n',
  ),
  fc.constantFrom('x'.repeat(16_384), 'x'.repeat(16_385)),
  fc.string({ maxLength: 12 }),
)

describe('CmFramer', () => {
  it('gives the same frames however the bytes are cut', () => {
    const cuts = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 20 })
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 20 }), cuts, (pieces, fractions) => {
        const whole = Buffer.from(pieces.join(''), 'latin1')
        const points = fractions.map((fraction) => Math.floor(fraction * whole.length)).sort((a, b) => a - b)
        const borders = [0, ...points, whole.length]
        const chunks = borders.slice(1).map((end, index) => whole.subarray(borders[index], end))
        expect(framesOf(chunks)).toEqual(framesOf([whole]))
      }),
      { numRuns: 500 },
    )
  })

  it('gives the same frames octet by octet', () => {
    const text = 'PING\r\nSTORE\r\nA: b\r\nData: 3\r\n\r\n!\r\nSTORE\r\nPadding: \r\nEndBlock\r\n\r\r\n'
    const octets = [...Buffer.from(text)].map((octet) => Uint8Array.of(octet))
    expect(framesOf(octets)).toEqual(framesOf([Buffer.from(text)]))
  })
})
