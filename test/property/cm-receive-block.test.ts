import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type CmFrame, CmFramer } from '../../src/cm/framer.ts'
import type { PayloadSink } from '../../src/cm/server/port.ts'
import { type BlockSource, receiveBlock } from '../../src/cm/server/receive-block.ts'

/** A file in memory. */
function memorySink(): PayloadSink & { readonly text: () => string } {
  const pieces: Uint8Array[] = []
  return {
    path: '',
    write: async (bytes) => {
      pieces.push(Uint8Array.from(bytes))
    },
    commit: async () => ({ kind: 'unchanged' }),
    discard: async () => undefined,
    text: () => Buffer.concat(pieces).toString('latin1'),
  }
}

/** What a server has of a block, and of the line behind it, when the bytes come in these chunks. */
async function receivedFrom(chunks: readonly Uint8Array[], place: 'memory' | 'file'): Promise<unknown> {
  const framer = new CmFramer()
  const rest = [...chunks]
  const frame = async (): Promise<CmFrame | undefined> => {
    for (;;) {
      const next = framer.next()
      const chunk = next === undefined ? rest.shift() : undefined
      if (chunk === undefined) return next
      framer.push(chunk)
    }
  }
  const sink = memorySink()
  const source: BlockSource = {
    ready: () => framer.next(),
    frame,
    acceptData: async () => (place === 'memory' ? 'memory' : sink),
    acceptLargeText: async () => sink,
  }
  framer.startBlock()
  const received = await receiveBlock(source)
  const written = 'sink' in received ? sink.text() : undefined
  const payload = 'payload' in received ? Buffer.from(received.payload).toString('latin1') : undefined
  return { ...received, sink: written, payload, behind: await frame() }
}

const line = fc.oneof(
  fc.constantFrom(
    'Type: data',
    'Padding: xxxxxxx',
    'padding: EndBlock',
    'Data: 0',
    'Data: 07',
    'LoginUser: none',
    'a lone \r in it',
    'a lone \n in it',
    '',
    'ü',
    '\xff\xfe',
  ),
  fc.string({ maxLength: 20 }).filter((text) => !/[\r\n]/.test(text)),
)
const head = fc.array(line, { maxLength: 12 }).map((lines) => lines.map((text) => `${text}\r\n`).join(''))
const end = fc.oneof(
  fc.constantFrom('EndBlock\r\n', 'ENDBLOCK\r\n'),
  fc.string({ minLength: 1, maxLength: 40 }).map((text) => {
    const payload = Buffer.from(text, 'utf8')
    return `Data: ${payload.length}\r\n${payload.toString('latin1')}`
  }),
)
const cuts = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 30 })

function cutAt(whole: Buffer, fractions: readonly number[]): Uint8Array[] {
  const points = fractions.map((fraction) => Math.floor(fraction * whole.length)).sort((a, b) => a - b)
  const borders = [0, ...points, whole.length]
  return borders.slice(1).map((point, index) => whole.subarray(borders[index], point))
}

describe('a block behind a STORE', () => {
  it('is the same however its bytes are cut, and so is the line behind it', async () => {
    const place = fc.constantFrom('memory' as const, 'file' as const)
    await fc.assert(
      fc.asyncProperty(head, end, cuts, place, async (lines, ending, fractions, where) => {
        const whole = Buffer.from(`${lines}${ending}PING\r\n`, 'latin1')
        const expected = await receivedFrom([whole], where)
        expect(expected).toMatchObject({ behind: { kind: 'line', line: 'PING' } })
        expect(await receivedFrom(cutAt(whole, fractions), where)).toEqual(expected)
      }),
      { numRuns: 500 },
    )
  })

  it('is the same in a file as in memory, beyond what is held', async () => {
    const lines = Array.from(
      { length: 4000 },
      (_, index) => `DataBlock: ${index.toString(16).padStart(40, '0')}`,
    )
    const whole = Buffer.from(`${lines.join('\r\n')}\r\nEndBlock\r\nPING\r\n`)
    const chunks = Array.from({ length: Math.ceil(whole.length / 1000) }, (_, index) =>
      whole.subarray(index * 1000, (index + 1) * 1000),
    )
    expect(await receivedFrom(chunks, 'file')).toMatchObject({
      kind: 'large-text',
      sink: `${lines.join('\n')}\n`,
      behind: { line: 'PING' },
    })
  })

  it('has the hash of its payload wherever that went', async () => {
    const payload = 'payload of a block'
    const sha1 = createHash('sha1').update(payload).digest('hex')
    const whole = Buffer.from(`Type: data\r\nData: ${payload.length}\r\n${payload}PING\r\n`)
    expect(await receivedFrom([whole], 'memory')).toMatchObject({ kind: 'small-data', sha1, payload })
    expect(await receivedFrom([whole], 'file')).toMatchObject({ kind: 'data', sha1, sink: payload })
  })
})
