import { describe, expect, it } from 'vitest'
import { parseReplyText, replyLines, replyText } from '../../../src/smtp/reply.ts'

const reply = (text: string) => ({ replyCode: 550, enhancedStatusCode: '5.1.1', text })

describe('replyLines', () => {
  it('gives one line with the enhanced status code for a short text', () => {
    expect(replyLines(reply('No such recipient'), { utf8: false })).toEqual(['5.1.1 No such recipient'])
  })

  it('folds a long text into lines of at most 512 octets, each with the status code (RFC 2034 4)', () => {
    const lines = replyLines(reply('word '.repeat(400).trim()), { utf8: false })
    expect(lines.length).toBeGreaterThan(3)
    for (const line of lines) {
      expect(Buffer.byteLength(`550-${line}\r\n`)).toBeLessThanOrEqual(512)
      expect(line).toMatch(/^5\.1\.1 word/)
    }
    expect(lines.join(' ').replaceAll('5.1.1 ', '')).toBe('word '.repeat(400).trim())
  })

  it('cuts a word that fits no line between its characters', () => {
    const lines = replyLines(reply('ü'.repeat(600)), { utf8: true })
    expect(lines.map((line) => line.replace('5.1.1 ', '')).join('')).toBe('ü'.repeat(600))
    expect(lines.every((line) => Buffer.byteLength(line) < 512)).toBe(true)
  })

  it.each([
    ['a CRLF', 'one\r\n250 two', '5.1.1 one 250 two'],
    ['a line separator', 'one\u2028two', '5.1.1 one two'],
    ['a bidi override', 'one\u202Etwo', '5.1.1 one two'],
    ['NUL', 'one\0two', '5.1.1 one two'],
  ])('never lets %s through', (_what, text, line) => {
    expect(replyLines(reply(text), { utf8: true })).toEqual([line])
  })

  it('is ASCII for a client that did not ask for UTF-8', () => {
    expect(replyLines(reply('<änn@bücher.example>: no'), { utf8: false })).toEqual([
      '5.1.1 <?nn@xn--bcher-kva.example>: no',
    ])
    expect(replyLines(reply('ann@bücher.example'), { utf8: true })).toEqual(['5.1.1 ann@bücher.example'])
  })
})

describe('parseReplyText', () => {
  it('takes apart what replyText joined', () => {
    expect(parseReplyText(550, replyText(reply('x')))).toEqual(reply('x'))
  })

  it('sees no status code of another class', () => {
    expect(parseReplyText(250, '5.1.1 x')).toBeUndefined()
    expect(parseReplyText(550, 'plain words')).toBeUndefined()
  })
})
