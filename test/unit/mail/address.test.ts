import { describe, expect, it } from 'vitest'
import { addressSpellings, isSameAddress, mailboxesNamed, splitAddress } from '../../../src/mail/address.ts'
import { parseAddressList } from '../../../src/mail/address-list.ts'
import { splitHeader } from '../../../src/mail/header.ts'

/** `name|local|domain`, groups as `[name: members]`. */
function show(text: string): readonly string[] {
  return parseAddressList(text).map((entry) =>
    entry.kind === 'group'
      ? `[${entry.name}: ${entry.members.map((each) => `${each.name}|${each.localPart}|${each.domain}`).join(', ')}]`
      : `${entry.name}|${entry.localPart}|${entry.domain}`,
  )
}

describe('an address list', () => {
  it.each<[string, readonly string[]]>([
    ['bob@example.net', ['null|bob|example.net']],
    ['<bob@example.net>', ['null|bob|example.net']],
    ['Bob Example <bob@example.net>', ['Bob Example|bob|example.net']],
    ['"Bob, Jr." <bob@example.net>, carol@x.y', ['Bob, Jr.|bob|example.net', 'null|carol|x.y']],
    ['bob@example.net (Bob (the) Example)', ['Bob (the) Example|bob|example.net']],
    ['J. R. Smith <j@x.y>', ['J. R. Smith|j|x.y']],
    ['"name surname \\\\ " <bob@example.net>', ['name surname \\ |bob|example.net']],
    ['"a \\"b\\"" <"odd local"@x.y>', ['a "b"|odd local|x.y']],
    ['undisclosed-recipients:;', ['[undisclosed-recipients: ]']],
    ['"undisclosed-recipients (utajeni adresati)":;', ['[undisclosed-recipients (utajeni adresati): ]']],
    [
      'Team:Carol <carol@example.net>,"Dan, Jr." <dan@example.net>;',
      ['[Team: Carol|carol|example.net, Dan, Jr.|dan|example.net]'],
    ],
    ['Team:a@b;, c@d', ['[Team: null|a|b]', 'null|c|d']],
    ['Team: unclosed@x.y', ['[Team: null|unclosed|x.y]']],
    ['a@b; c@d', ['null|a|b', 'null|c|d']],
    [',, a@b,,', ['null|a|b']],
    ['<@relay,@other:bob@example.net>', ['null|bob|example.net']],
    ['=?utf-8?Q?Doe,_John?= <j@x.y>', ['=?utf-8?Q?Doe,_John?=|j|x.y']],
    ['bob@[192.0.2.1]', ['null|bob|[192.0.2.1]']],
    ['<bob@[IPv6:2001:db8::1]>', ['null|bob|[IPv6:2001:db8::1]']],
    ['bob', ['null|bob|null']],
    ['Name <>', ['Name||null']],
    ['bob @ example . net', ['null|bob|example.net']],
    ['"unclosed <bob@example.net>', ['null|unclosed <bob@example.net>|null']],
    ['Bob <bob@example.net', ['Bob|bob|example.net']],
    ['bob@example.net>', ['null|bob|example.net']],
    ['a@b <c@d> <e@f>, g@h', ['a@b|c|d', 'null|g|h']],
    ['(only a comment)', []],
    ['', []],
  ])('%s', (text, expected) => {
    expect(show(text)).toEqual(expected)
  })

  it.each([
    '<'.repeat(50_000),
    '('.repeat(50_000),
    '"'.repeat(50_001),
    ':'.repeat(50_000),
    ';'.repeat(50_000),
    `${'a:'.repeat(30_000)};`,
    '\\'.repeat(50_000),
    '=?'.repeat(50_000),
    'a@b,'.repeat(50_000),
  ])('of hostile text ends soon (%#)', (text) => {
    const started = performance.now()
    expect(parseAddressList(text).length).toBeLessThanOrEqual(10_000)
    expect(performance.now() - started).toBeLessThan(2_000)
  })
})

describe('mailboxes of a field', () => {
  it('come decoded, from every field of the name and from groups, without the group', () => {
    const fields = splitHeader(
      'To: =?utf-8?q?J=C3=B6rg?= <j@x.y>\r\nto: Team: a@b;, undisclosed:;\r\nCc: c@d\r\n',
    )
    expect(mailboxesNamed(fields, 'To')).toEqual([
      { displayName: 'Jörg', address: 'j@x.y' },
      { displayName: '', address: 'a@b' },
    ])
  })
})

describe('an address', () => {
  it('is split at its last @', () => {
    expect(splitAddress('a@b@c')).toEqual({ localPart: 'a@b', domain: 'c' })
    for (const text of ['', '@', 'a@', '@b', 'ab']) expect(splitAddress(text)).toBeUndefined()
  })

  it('has both spellings of an international domain, lower case', () => {
    const both = ['bob@xn--bcher-kva.example', 'bob@bücher.example']
    expect(addressSpellings('Bob@B\u00dcCHER.example')).toEqual(both)
    expect(addressSpellings('bob@xn--bcher-kva.example')).toEqual(both)
    expect(addressSpellings('Bob@Example.NET')).toEqual(['bob@example.net'])
  })

  it('is the same without regard to case and spelling', () => {
    expect(isSameAddress('BOB@bücher.example', 'bob@XN--bcher-KVA.example')).toBe(true)
    expect(isSameAddress('bob@example.net', 'rob@example.net')).toBe(false)
  })
})
