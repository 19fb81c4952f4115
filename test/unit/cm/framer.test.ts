import { describe, expect, it } from 'vitest'
import {
  type CmFrame,
  CmFramer,
  encodeBlockLines,
  encodeLine,
  MAX_LINE_BYTES,
} from '../../../src/cm/framer.ts'

function frames(framer: CmFramer, text: string): CmFrame[] {
  framer.push(Buffer.from(text, 'latin1'))
  const found: CmFrame[] = []
  for (let frame = framer.next(); frame !== undefined; frame = framer.next()) found.push(frame)
  return found
}

function line(text: string, bare = false): CmFrame {
  return { kind: 'line', line: text, bare }
}

describe('CmFramer', () => {
  it('gives lines without their CRLF, octet for octet', () => {
    expect(frames(new CmFramer(), 'PING\r\n\r\nPING \xfc \r\nrest')).toEqual([
      line('PING'),
      line(''),
      line('PING \xfc '),
    ])
  })

  it('marks lines with a lone CR or LF', () => {
    expect(frames(new CmFramer(), 'a\nb\r\na\rb\r\na\r\r\n')).toEqual([
      line('a\nb', true),
      line('a\rb', true),
      line('a\r', true),
    ])
  })

  it('takes a line of 16384 octets and gives up at one more, with or without a line end', () => {
    const full = 'x'.repeat(MAX_LINE_BYTES)
    expect(frames(new CmFramer(), `${full}\r\n`)).toEqual([line(full)])
    expect(frames(new CmFramer(), `${full}x\r\n`)).toEqual([{ kind: 'too-long' }])
    expect(frames(new CmFramer(), `${full}\r`)).toEqual([])
    const framer = new CmFramer()
    expect(frames(framer, `${full}x`)).toEqual([{ kind: 'too-long' }])
    expect(frames(framer, '\r\nPING\r\n')).toEqual([])
  })

  it('ends a text block at EndBlock in any case and drops padding', () => {
    const framer = new CmFramer()
    framer.startBlock()
    expect(
      frames(framer, 'Padding: x\r\nA: b\r\npadding: y\r\nENDBLOCK\r\nEndBlock\r\nPadding: z\r\n'),
    ).toEqual([line('A: b'), { kind: 'end-block' }, line('EndBlock'), line('Padding: z')])
  })

  it('gives exactly n payload octets after Data: n, whatever they look like', () => {
    const framer = new CmFramer()
    framer.startBlock()
    expect(frames(framer, 'dATA: 10\r\nEndBlock\r\nPING\r\n')).toEqual([
      { kind: 'data-line', line: 'dATA: 10', payloadBytes: 10 },
      { kind: 'payload', bytes: Buffer.from('EndBlock\r\n') },
      { kind: 'payload-end' },
      line('PING'),
    ])
  })

  it.each(['Data: 0', 'Data: x', 'Data: 05', 'Data:5', 'Data: 5 ', 'Data:  5', ' Data: 5'])(
    'takes %j as an ordinary line',
    (text) => {
      const framer = new CmFramer()
      framer.startBlock()
      expect(frames(framer, `${text}\r\n`)).toEqual([line(text)])
    },
  )

  it('says when something waits in it', () => {
    const framer = new CmFramer()
    frames(framer, 'STARTTLS\r\n')
    expect(framer.isEmpty).toBe(true)
    frames(framer, 'PI')
    expect(framer.isEmpty).toBe(false)
  })
})

describe('encoding', () => {
  it('writes lines and blocks with CRLF and refuses a line end inside a line', () => {
    expect(Buffer.from(encodeLine('DONE')).toString()).toBe('DONE\r\n')
    expect(() => encodeLine('DONE\r\nFAILED')).toThrow('line end')
    expect(Buffer.from(encodeBlockLines('A: ü\n\nB: c\n')).toString()).toBe('A: ü\r\n\r\nB: c\r\n')
    expect(Buffer.from(encodeBlockLines('A: b\n\n')).toString()).toBe('A: b\r\n\r\n')
  })
})
