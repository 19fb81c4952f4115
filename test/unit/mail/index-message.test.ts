import { describe, expect, it } from 'vitest'
import { indexMessage } from '../../../src/mail/index-message.ts'
import type { BodyPart, MessageIndex } from '../../../src/mail/message-index.ts'
import { chunked, mailCase, mailCases } from '../../support/mail-files.ts'

const bytesOf = (text: string) => Buffer.from(text, 'latin1')
const index = (message: Uint8Array) => indexMessage(chunked(message, 100))

/** `type/subtype` of every part, numbered as IMAP does (RFC 9051 6.4.5.1). */
function outline(part: BodyPart, number = ''): readonly string[] {
  const line = `${number} ${part.type}/${part.subtype}`.trim()
  const under = (child: BodyPart, n: number) => outline(child, number === '' ? `${n}` : `${number}.${n}`)
  if (part.kind === 'multipart') return [line, ...part.parts.flatMap((child, n) => under(child, n + 1))]
  if (part.kind === 'message') return [line, ...outline(part.message, number)]
  return [line]
}

function partAt(structure: BodyPart, ...path: readonly number[]): BodyPart {
  let part = structure
  for (const number of path) {
    const owner = part.kind === 'message' ? part.message : part
    const child = owner.kind === 'multipart' ? owner.parts[number - 1] : undefined
    if (child === undefined) throw new Error(`no part ${path.join('.')}`)
    part = child
  }
  return part
}

function body(message: Uint8Array, part: BodyPart): string {
  return Buffer.from(message).toString('latin1', part.body.start, part.body.end)
}

function header(message: Uint8Array, part: BodyPart): string {
  return Buffer.from(message).toString('latin1', part.header.start, part.header.end)
}

async function indexed(name: string): Promise<[Buffer, MessageIndex]> {
  const bytes = mailCase(name)
  return [bytes, await index(bytes)]
}

describe('the index of a message', () => {
  it.each(mailCases)('%s: its size is header and body together (I16)', async (name) => {
    const [bytes, { size, structure, headerBytes }] = await indexed(name)
    expect(size).toBe(bytes.length)
    expect(structure.header.end - structure.header.start + structure.body.end - structure.body.start).toBe(
      size,
    )
    expect(Buffer.from(headerBytes).equals(bytes.subarray(0, structure.header.end))).toBe(true)
  })

  it('M01: two parts, the last one ends with the message', async () => {
    const [bytes, { structure }] = await indexed('M01.eml')
    expect(outline(structure)).toEqual(['multipart/mixed', '1 text/plain', '2 application/pdf'])
    expect(body(bytes, partAt(structure, 1))).toBe('The report is attached.')
    expect(partAt(structure, 2).body.end).toBe(bytes.length)
  })

  it('M02: a boundary with tspecials and without quotes', async () => {
    const [, { structure }] = await indexed('M02.eml')
    expect(outline(structure)).toEqual(['multipart/alternative', '1 text/plain', '2 text/html'])
    expect(structure.parameters).toEqual([['boundary', '----NM-?=_1-1327405538300']])
  })

  it('M03: the header goes on after a stray line', async () => {
    const [, { envelope }] = await indexed('M03.eml')
    expect(envelope).toMatchObject({ subject: 'M03 stray line', to: [{ mailbox: 'bob' }] })
  })

  it('M05: a boundary in continuations', async () => {
    const [bytes, { structure }] = await indexed('M05.eml')
    expect(body(bytes, partAt(structure, 1))).toBe('plain side')
    expect(body(bytes, partAt(structure, 2))).toBe('<p>html side</p>')
  })

  it('M09: quotes and backslashes stand in the envelope as they are meant', async () => {
    const [, { envelope }] = await indexed('M09.eml')
    expect(envelope.messageId).toBe('<1763943481."cv@notice.example"@v-01>')
    expect(envelope.subject).toBe('He said "no" \\ and left')
    expect(envelope.to?.[0]?.name).toBe('name surname \\ ')
  })

  it('M11: groups open and close', async () => {
    const close = { name: null, adl: null, mailbox: null, host: null }
    const open = (mailbox: string) => ({ ...close, mailbox })
    expect((await indexed('M11.eml'))[1].envelope.to).toEqual([open('undisclosed-recipients'), close])
    const { envelope } = (await indexed('M11-quoted.eml'))[1]
    expect(envelope.to).toEqual([open('undisclosed-recipients (utajeni adresati)'), close])
    expect(envelope.cc).toEqual([
      open('Team'),
      { name: 'Carol', adl: null, mailbox: 'carol', host: 'example.net' },
      { name: 'Dan, Jr.', adl: null, mailbox: 'dan', host: 'example.net' },
      close,
    ])
  })

  it('M14: dates are read or null, never guessed; the text stays', async () => {
    expect((await indexed('M14-comment.eml'))[1].dateMs).toBe(Date.UTC(2019, 6, 17, 11, 46, 37))
    expect((await indexed('M14-ut.eml'))[1].dateMs).toBe(Date.UTC(2018, 10, 17, 23, 33, 24))
    const nonsense = (await indexed('M14-nonsense.eml'))[1]
    expect(nonsense.dateMs).toBeNull()
    expect(nonsense.envelope.date).toBe('Mon, 32 Foo 2018 99:33:24 XX')
  })

  it('M22: the calendar is the third alternative with its method', async () => {
    const [, { structure }] = await indexed('M22.eml')
    expect(outline(structure)).toEqual([
      'multipart/mixed',
      '1 multipart/alternative',
      '1.1 text/plain',
      '1.2 text/html',
      '1.3 text/calendar',
      '2 application/ics',
    ])
    expect(partAt(structure, 1, 3).parameters).toEqual([
      ['charset', 'UTF-8'],
      ['method', 'REQUEST'],
    ])
  })

  it('M25: an embedded message has an envelope and a structure; an encoded one is a file', async () => {
    const [bytes, { structure }] = await indexed('M25.eml')
    const part = partAt(structure, 2)
    if (part.kind !== 'message') throw new Error(part.kind)
    expect(part.envelope).toMatchObject({ subject: 'the inner one', messageId: '<inner@example.net>' })
    expect(part.lines).toBe(7)
    expect(header(bytes, part)).toMatch(/^Content-Type: message\/rfc822\r\n/)
    expect(header(bytes, part.message)).toMatch(/^From: carol[\s\S]*\r\n\r\n$/)
    expect(body(bytes, part.message)).toBe('inner text\r\n')
    const encoded = (await indexed('M25-base64.eml'))[1]
    expect(outline(encoded.structure)[2]).toBe('2 application/octet-stream')
  })

  it('M38: an mbox line in front is part of the header', async () => {
    const [bytes, { structure, envelope }] = await indexed('M38.eml')
    expect(header(bytes, structure)).toMatch(/^From alice/)
    expect(envelope).toMatchObject({ subject: 'M38 mbox', from: [{ mailbox: 'alice' }] })
  })

  it('fills Sender and Reply-To from From and joins repeated fields', async () => {
    const { envelope } = await index(
      bytesOf('From: a@b\r\nSender:\r\nTo: c@d\r\nTo: e@f\r\nReply-To: \r\n\r\n'),
    )
    expect(envelope.sender).toEqual(envelope.from)
    expect(envelope.replyTo).toEqual(envelope.from)
    expect(envelope.to?.map((each) => each.mailbox)).toEqual(['c', 'e'])
    expect(envelope.cc).toBeNull()
  })

  it('describes a part with all its fields', async () => {
    const { structure } = await index(
      bytesOf(
        'Content-Type: IMAGE/PNG; Name="a.png"\r\nContent-ID: <i@d>\r\nContent-Description: a\r\n picture\r\nContent-MD5: x==\r\n' +
          'Content-Disposition: Inline; FileName=a.png\r\nContent-Language: en, de (German)\r\nContent-Location: http://x/y\r\n' +
          'Content-Transfer-Encoding: BASE64 (yes)\r\n\r\nAAAA\r\n',
      ),
    )
    expect(structure).toEqual({
      kind: 'basic',
      type: 'image',
      subtype: 'png',
      parameters: [['name', 'a.png']],
      contentId: '<i@d>',
      description: 'a picture',
      md5: 'x==',
      disposition: { type: 'inline', parameters: [['filename', 'a.png']] },
      language: ['en', 'de'],
      location: 'http://x/y',
      encoding: 'base64',
      lines: 1,
      header: { start: 0, end: expect.any(Number) },
      body: { start: expect.any(Number), end: expect.any(Number) },
    })
  })
})

describe('malformed MIME', () => {
  it.each<[string, string, readonly string[]]>([
    ['nothing', '', ['text/plain']],
    ['no empty line', 'Subject: x', ['text/plain']],
    ['no header', '\r\nbody', ['text/plain']],
    ['a type that is none', 'Content-Type: nonsense\r\n\r\nx', ['text/plain']],
    ['a type with an odd character', 'Content-Type: te xt/plain\r\n\r\nx', ['text/plain']],
    ['a multipart without boundary', 'Content-Type: multipart/mixed\r\n\r\nx', ['text/plain']],
    [
      'a multipart without parts',
      'Content-Type: multipart/mixed; boundary=a\r\n\r\nx\r\n--a--\r\n',
      ['text/plain'],
    ],
    ['an empty boundary', 'Content-Type: multipart/mixed; boundary=""\r\n\r\n--\r\n\r\nx', ['text/plain']],
    [
      'a delimiter without line break at the end',
      'Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\r\nx\r\n--a--',
      ['multipart/mixed', '1 text/plain'],
    ],
    [
      'blanks after delimiters, LF line breaks',
      'Content-Type: multipart/mixed; boundary=a\n\n--a  \n\nx\n--a\t\n\ny\n--a-- \nend',
      ['multipart/mixed', '1 text/plain', '2 text/plain'],
    ],
    [
      'a longer line that begins like a delimiter',
      'Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\r\nx\r\n--ab\r\n--a-\r\n--a --\r\ny\r\n--a--',
      ['multipart/mixed', '1 text/plain'],
    ],
    [
      'delimiters in the epilogue',
      'Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\r\nx\r\n--a--\r\n--a\r\n\r\nz\r\n',
      ['multipart/mixed', '1 text/plain'],
    ],
    [
      'an inner multipart that is never closed',
      'Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--a\r\n\r\ny\r\n--a--\r\n',
      ['multipart/mixed', '1 multipart/mixed', '1.1 text/plain', '2 text/plain'],
    ],
    [
      'the same boundary inside and outside',
      'Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\r\nx\r\n--a--\r\n--a\r\n\r\ny\r\n--a--\r\n',
      ['multipart/mixed', '1 multipart/mixed', '1.1 text/plain', '2 text/plain'],
    ],
    [
      'a part that ends inside its header',
      'Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: image/png\r\n--a\r\n--a--\r\n',
      ['multipart/mixed', '1 image/png', '2 text/plain'],
    ],
    [
      'a digest, whose parts are messages',
      'Content-Type: multipart/digest; boundary=a\r\n\r\n--a\r\n\r\nSubject: x\r\n\r\ny\r\n--a--\r\n',
      ['multipart/digest', '1 message/rfc822', '1 text/plain'],
    ],
  ])('with %s is still something', async (_what, message, expected) => {
    expect(outline((await index(bytesOf(message))).structure)).toEqual(expected)
  })

  it('leaves the line break before a delimiter out of the part, and counts lines without it', async () => {
    const message = bytesOf(
      'Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\r\n1\r\n2\r\n\r\n--a\r\n\r\n--a--\r\n',
    )
    const { structure } = await index(message)
    const [first, second] = [partAt(structure, 1), partAt(structure, 2)]
    expect(body(message, first)).toBe('1\r\n2\r\n')
    expect(first).toMatchObject({ lines: 2 })
    expect(body(message, second)).toBe('')
    expect(second).toMatchObject({ lines: 0 })
  })
})
