import { describe, expect, it } from 'vitest'
import { AuthFileError, parseAuthFile } from '../../../../src/cm/server/auth-file.ts'

describe('parseAuthFile', () => {
  it('reads accounts, comments, dates and CRLF; the later line for a key wins', () => {
    const text = [
      '# accounts',
      '',
      'C38830C357EF0AEA6992FB756A7E1664812EBED4 ACCOUNTKEY000001',
      'undefined NEWKEY0001\r',
      'administrator ADMINKEY00000001 2026-11-25T09:43:15Z',
      'disabled ACCOUNTKEY000001 2026-11-26T00:00:00Z',
    ].join('\n')
    expect(parseAuthFile(text)).toEqual([
      { userId: 'disabled', authKey: 'ACCOUNTKEY000001' },
      { userId: 'undefined', authKey: 'NEWKEY0001' },
      { userId: 'administrator', authKey: 'ADMINKEY00000001' },
    ])
  })

  it.each([
    'ACCOUNTKEY000001',
    'user ACCOUNTKEY000001',
    'C38830C3  ACCOUNTKEY000001',
    'C38830C3 KEY-WITH-DASH',
  ])('refuses %j and does not repeat it', (line) => {
    const read = () => parseAuthFile(`# x\n${line}\n`)
    expect(read).toThrow(AuthFileError)
    expect(read).toThrow(/^line 2 is not/)
    expect(read).not.toThrow(line)
  })
})
