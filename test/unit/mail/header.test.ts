import { describe, expect, it } from 'vitest'
import { encodeAddressField, encodeMailbox, encodeTextField } from '../../../src/mail/encode-field.ts'
import { decodeHeaderText } from '../../../src/mail/encoded-words.ts'
import { fieldValue, filterHeader, firstValue, replaceFields, splitHeader } from '../../../src/mail/header.ts'
import { messageIdOf, parseMessageIds } from '../../../src/mail/message-id.ts'
import { mailCase } from '../../support/mail-files.ts'

const names = (header: string) => splitHeader(header).map((field) => field.name)

describe('splitting a header', () => {
  it('keeps folded lines with their field and stops at the empty line', () => {
    const fields = splitHeader('A: 1\r\n 2\r\n\t3\r\nB : 4\n\r\nC: body\r\n')
    expect(fields).toEqual([
      { name: 'A', raw: 'A: 1\r\n 2\r\n\t3\r\n' },
      { name: 'B', raw: 'B : 4\n' },
    ])
    expect(fields.map(fieldValue)).toEqual(['1 2\t3', '4'])
  })

  it('goes on after a line that is no field (M03) and before the first (M38)', () => {
    expect(names(mailCase('M03.eml').toString('latin1'))).toEqual([
      'From',
      'Subject',
      '',
      'To',
      'Date',
      'Message-ID',
    ])
    expect(names(mailCase('M38.eml').toString('latin1')).slice(0, 3)).toEqual(['', 'From', 'To'])
  })

  it.each([
    ['', []],
    ['\r\nA: 1', []],
    ['A', ['']],
    [' folded first\r\nA: 1\r\n', ['', 'A']],
    [': no name\r\nA: 1\r\n', ['', 'A']],
    ['A\r: 1\r\n', ['']],
    ['Ä: 1\r\n', ['']],
  ])('of %j gives %j', (header, expected) => {
    expect(names(header)).toEqual(expected)
  })

  it('reads the first field of a name, in either case', () => {
    const fields = splitHeader('x-a: 1\r\nX-A: 2\r\n')
    expect(firstValue(fields, 'X-a')).toBe('1')
    expect(firstValue(fields, 'missing')).toBeUndefined()
  })
})

describe('parts of a header', () => {
  const header = Buffer.from('A: 1\r\n x\r\njunk\r\nB: 2\r\na: 3\r\n\r\n')

  it('are selected byte for byte, with an empty line', () => {
    expect(Buffer.from(filterHeader(header, (name) => name === 'a')).toString()).toBe(
      'A: 1\r\n x\r\na: 3\r\n\r\n',
    )
    expect(Buffer.from(filterHeader(header, () => false)).toString()).toBe('\r\n')
  })

  it('are replaced or removed, the rest stays byte for byte', () => {
    expect(Buffer.from(replaceFields(header, 'a', undefined)).toString()).toBe('junk\r\nB: 2\r\n\r\n')
    expect(Buffer.from(replaceFields(header, 'a', 'A: new\r\n')).toString()).toBe(
      'A: new\r\njunk\r\nB: 2\r\n\r\n',
    )
  })
})

describe('decoding header text', () => {
  it.each([
    ['plain', 'plain'],
    ['=?UTF-8?Q?Gr=C3=BC=C3=9Fe?=', 'Grüße'],
    ['=?iso-8859-1?q?Gr=FC=DFe?= rest', 'Grüße rest'],
    ['=?utf-8?b?R3LDvA==?= =?utf-8?b?w59l?=', 'Grüße'],
    // Cut inside a character.
    ['=?UTF-8?Q?=C3?=\r\n =?UTF-8?Q?=BC?=', 'ü'],
    ['a =?utf-8?q?b?= c', 'a b c'],
    ['=?utf-8*en?q?hi?=', 'hi'],
    ['=?unknown-9?q?hi?=', 'hi'],
    ['=?utf-8?q?a=0D=0ABcc:_x?=', 'a Bcc: x'],
    ['=?utf-8?x?a?=', '=?utf-8?x?a?='],
    ['=?utf-8?q?unfinished', '=?utf-8?q?unfinished'],
    [Buffer.from('Grüße').toString('latin1'), 'Grüße'],
    ['Gr\u00fc\u00dfe', 'Grüße'],
    ['=?utf-8?q?=F0=9F=93?=', '�'],
  ])('%j is %j', (encoded, text) => {
    expect(decodeHeaderText(encoded)).toBe(text)
  })
})

describe('encoding a field', () => {
  const evil = 'a\r\nBcc: eve@example.org\0\u2028b'

  it.each([
    'plain',
    'Grüße',
    'x'.repeat(2000),
    '📎 '.repeat(100),
    'word '.repeat(60).trim(),
    '=?utf-8?q?x?=',
    evil,
  ])('comes back as it went in: %j', (text) => {
    const field = encodeTextField('Subject', text)
    expect(field).toMatch(/^Subject: [ -~]*\r\n(?: [ -~]*[!-~]\r\n)*$/)
    for (const line of field.split('\r\n')) expect(line.length).toBeLessThanOrEqual(998)
    const [parsed, ...others] = splitHeader(field)
    expect(others).toEqual([])
    expect(decodeHeaderText(parsed === undefined ? '' : fieldValue(parsed))).toBe(
      text.replace(/[\r\n\0\u2028]+/g, ' ').trim(),
    )
  })

  it('quotes names, encodes what is not ASCII and folds between addresses', () => {
    expect(encodeMailbox('Bob "B" Example', 'bob@example.net')).toBe(
      '"Bob \\"B\\" Example" <bob@example.net>',
    )
    expect(encodeMailbox('Jörg', 'j@example.net')).toBe('=?UTF-8?B?SsO2cmc=?= <j@example.net>')
    expect(encodeMailbox('', 'j@example.net>\r\nBcc: <x')).toBe('<j@example.netBcc:x>')
    expect(
      encodeAddressField(
        'To',
        Array.from({ length: 3 }, () => '"Bob Example" <bob@example.net>'),
      ),
    ).toBe(
      'To: "Bob Example" <bob@example.net>, "Bob Example" <bob@example.net>,\r\n "Bob Example" <bob@example.net>\r\n',
    )
  })
})

describe('message ids', () => {
  it.each([
    ['<a@b>', ['<a@b>']],
    ['<a@b>\r\n <c@d>(comment)', ['<a@b>', '<c@d>']],
    ['<1763943481."cv@notice.example"@v-01>', ['<1763943481."cv@notice.example"@v-01>']],
    ['none', []],
    ['<a b@c> <>', []],
  ])('of %j are %j', (value, ids) => {
    expect(parseMessageIds(value)).toEqual(ids)
  })
})

describe('messageIdOf', () => {
  it.each([
    ['<a@example.org>', '<a@example.org>'],
    [' <a@example.org> (a comment)', '<a@example.org>'],
    ['<a@example.org> <b@example.org>', '<a@example.org>'],
    ['a@example.org', 'a@example.org'],
    [' a@example.org ', 'a@example.org'],
    ['<a b@example.org>', '<a b@example.org>'],
    [' ', null],
    [null, null],
    ['x'.repeat(2000), null],
  ])('of %j is %j', (value, id) => {
    expect(messageIdOf(value)).toBe(id)
  })
})
