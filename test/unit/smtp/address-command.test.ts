import { describe, expect, it } from 'vitest'
import {
  addressAsSent,
  checkMailParameters,
  checkRcptParameters,
  cleanHelloName,
  mailFromCommand,
  rcptToCommand,
} from '../../../src/smtp/address-command.ts'

describe('addressAsSent', () => {
  it.each([
    ['MAIL FROM:<a@example.org>', 'a@example.org'],
    ['MAIL FROM: <a@example.org> SIZE=1', 'a@example.org'],
    ['MAIL FROM:<>', ''],
    ['RCPT TO:<A@XN--BCHER-KVA.example>', 'A@XN--BCHER-KVA.example'],
    ['RCPT TO:<a@bücher.example>', 'a@bücher.example'],
    ['RCPT TO:<@one.example,@two.example:a@example.org>', 'a@example.org'],
    [`RCPT TO:<${'2'.repeat(40)}@cm.invalid>`, `${'2'.repeat(40)}@cm.invalid`],
    ['RCPT TO:<a:b@example.org>', 'a:b@example.org'],
  ])('reads %s', (command, address) => {
    expect(addressAsSent(command)).toBe(address)
  })

  it.each([
    ['no brackets', 'MAIL FROM:a@example.org'],
    ['no colon', 'MAIL FROM <a@example.org>'],
    ['a blank inside', 'RCPT TO:<a b@example.org>'],
    ['text right behind', 'RCPT TO:<a@example.org>SIZE=1'],
    ['a line separator', 'RCPT TO:<a\u2028@example.org>'],
    ['a bidi override', 'RCPT TO:<a\u202E@example.org>'],
    ['octets that are not UTF-8', 'RCPT TO:<a\uFFFD@example.org>'],
    ['more than 254 octets', `RCPT TO:<${'a'.repeat(250)}@x.org>`],
  ])('refuses %s', (_what, command) => {
    expect(addressAsSent(command)).toBeUndefined()
  })
})

describe('parameters', () => {
  it('refuses unknown ones with 555 5.5.4 and names only printable text', () => {
    expect(() => checkMailParameters({ 'FOO\u202E': 'BAR' })).toThrow('555 Parameter FOO? is not supported')
    expect(() => checkRcptParameters({ SIZE: '1' })).toThrow('555')
    expect(() =>
      checkMailParameters({ SIZE: '1', AUTH: '<>', BODY: '8BITMIME', SMTPUTF8: true }),
    ).not.toThrow()
  })

  it.each([
    [{ HOLDFOR: '3600' }, { kind: 'for', seconds: 3600 }],
    [{ HOLDUNTIL: '2026-11-26T18:00:00+01:00' }, { kind: 'until', ms: Date.UTC(2026, 10, 26, 17) }],
  ])('reads %j (RFC 4865)', (parameters, hold) => {
    checkMailParameters(parameters)
    expect(mailFromCommand('a@b.c', parameters).hold).toEqual(hold)
  })

  it.each([
    { HOLDFOR: '0' },
    { HOLDFOR: '-1' },
    { HOLDFOR: '31536001' },
    { HOLDFOR: true as const },
    { HOLDUNTIL: 'tomorrow' },
    { HOLDUNTIL: '2026-11-26T18:00:00' },
    { HOLDUNTIL: '2026-02-30T18:00:00Z' },
    { HOLDFOR: '60', HOLDUNTIL: '2026-11-26T18:00:00Z' },
  ])('refuses %j with 501', (parameters) => {
    expect(() => checkMailParameters(parameters)).toThrow('501')
  })

  it('becomes the port`s MAIL', () => {
    expect(mailFromCommand('a@b.c', { SIZE: '12', RET: 'full', ENVID: 'x y' })).toEqual({
      address: 'a@b.c',
      declaredBytes: 12,
      envelopeId: 'x y',
      returnContent: 'full',
      hold: null,
    })
    expect(mailFromCommand('', {})).toEqual({
      address: '',
      declaredBytes: null,
      envelopeId: null,
      returnContent: null,
      hold: null,
    })
  })

  it('becomes the port`s RCPT', () => {
    expect(rcptToCommand('a@b.c', { NOTIFY: 'Delay,SUCCESS', ORCPT: 'rfc822;A@b.c' })).toEqual({
      address: 'a@b.c',
      notify: ['success', 'delay'],
      originalRecipient: 'rfc822;A@b.c',
    })
  })
})

describe('cleanHelloName', () => {
  it.each([
    ['EHLO [IPv6:::1]', '[IPv6:::1]'],
    ["EHLO John's phone", "John's_phone"],
    ['EHLO bad\x1b[31mname', 'bad?[31mname'],
    ['EHLO', ''],
  ])('makes %j fit for a log', (command, name) => {
    expect(cleanHelloName(command, 255)).toBe(name)
  })
})
