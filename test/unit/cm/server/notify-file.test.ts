import { describe, expect, it } from 'vitest'
import { parseKeyId } from '../../../../src/cm/ids.ts'
import { NotifyFileError, parseNotifyFile } from '../../../../src/cm/server/notify-file.ts'

const ALICE = 'A1B2C3D4E5F60718293A4B5C6D7E8F9011223344'
const BOB = 'B1B2C3D4E5F60718293A4B5C6D7E8F9011223355'

describe('parseNotifyFile', () => {
  it("reads the reference's file", () => {
    const text = `# who is told\r
fromaddr=cm@example.org
smtpserver=mail.example.org
smtpport=587
smtpuser=cm
smtppass=secret=with=equals

${ALICE},email,alice@example.org
${BOB},smtp,bob@example.net
${ALICE.toLowerCase()},email,alice@new.example.org
`
    const settings = parseNotifyFile(text)
    expect(settings).toMatchObject({ fromAddress: 'cm@example.org', host: 'mail.example.org', port: 587 })
    expect(settings?.login?.user).toBe('cm')
    expect(settings?.login?.password.reveal()).toBe('secret=with=equals')
    expect([...(settings?.addressByKeyId ?? [])]).toEqual([
      [parseKeyId(ALICE), 'alice@new.example.org'],
      [parseKeyId(BOB), 'bob@example.net'],
    ])
  })

  it('takes localhost, port 25 and no login when they are not given', () => {
    const settings = parseNotifyFile(`fromaddr=cm@example.org\n${ALICE},email,alice@example.org`)
    expect(settings).toMatchObject({ host: 'localhost', port: 25, login: undefined })
  })

  it('is nothing without people', () => {
    expect(parseNotifyFile('smtpserver=mail.example.org\n')).toBeUndefined()
  })

  it.each([
    [`${ALICE},email,alice@example.org`, '"fromaddr="'],
    [`fromaddr=cm@example.org\n${ALICE},email,a@example.org, b@example.org`, 'line 2'],
    [`fromaddr=cm@example.org\n${ALICE},email,Alice <alice@example.org>`, 'line 2'],
    ['fromaddr=cm@example.org\nABCDEF,email,alice@example.org', 'line 2'],
    [`fromaddr=cm@example.org\nsmtpport=x\n${ALICE},email,alice@example.org`, '"smtpport="'],
  ])('refuses %j without showing the line', (text, message) => {
    expect(() => parseNotifyFile(text)).toThrow(NotifyFileError)
    expect(() => parseNotifyFile(text)).toThrow(message)
    expect(() => parseNotifyFile(text)).not.toThrow('alice')
  })
})
