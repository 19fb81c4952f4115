import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { safeAttachmentName, safeAttachmentNames } from '../../../../src/cm/message/attachment-name.ts'

describe('an attachment name', () => {
  it.each([
    ['report.pdf', 'report.pdf'],
    ['/etc/passwd', 'passwd'],
    ['..\\..\\x.txt', 'x.txt'],
    ['a/', 'a'],
    ['...hidden', 'hidden'],
    ['line\r\nbreak.txt', 'linebreak.txt'],
    ['nul\u0000byte.txt', 'nulbyte.txt'],
    ['inv\u202efdp.exe', 'invfdp.exe'],
    ['CON', 'file-CON'],
    ['com1.tar.gz', 'file-com1.tar.gz'],
    ['console.txt', 'console.txt'],
    ['trailing. . ', 'trailing'],
    ['e\u0301.txt', '\u00e9.txt'],
    ['\ud800.txt', '\ufffd.txt'],
    ['', 'attachment'],
    ['///', 'attachment'],
    ['. .', 'attachment'],
    ['_x', '_x'],
  ])('%j becomes %j', (raw, safe) => {
    expect(safeAttachmentName(raw)).toBe(safe)
  })

  it('keeps its extension when it is cut', () => {
    const name = safeAttachmentName(`${'ž'.repeat(300)}.pdf`)
    expect(name.endsWith('ž.pdf')).toBe(true)
    expect(Buffer.byteLength(name)).toBeLessThanOrEqual(199)
  })

  it('is always safe, and the names of a message differ in more than case', () => {
    const raw = fc.array(fc.string({ unit: 'binary', maxLength: 250 }), { maxLength: 30 })
    fc.assert(
      fc.property(raw, (names) => {
        const safe = safeAttachmentNames([...names, ...names, 'a.txt', 'A.TXT', 'a (2).txt'])
        expect(new Set(safe.map((name) => name.toLowerCase())).size).toBe(safe.length)
        for (const name of safe) {
          expect(name).not.toMatch(/[\u0000-\u001f\u007f/\\]|^\.|^$/)
          expect(Buffer.byteLength(`_${name}`)).toBeLessThanOrEqual(200)
        }
        expect(safeAttachmentNames(safe)).toEqual(safe)
      }),
    )
  })
})
