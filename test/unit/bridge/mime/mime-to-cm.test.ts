import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { InputNormalizer } from '../../../../src/bridge/mime/input-normalizer.ts'
import { parseRecipe, rebuildFromRecipe, recipeEntries } from '../../../../src/bridge/mime/mime-recipe.ts'
import { convertMimeToCm } from '../../../../src/bridge/mime/mime-to-cm.ts'
import {
  chunked,
  collect,
  mailCase,
  mailCases,
  messageSource,
  withDirectory,
} from '../../../support/mail-files.ts'

function normalized(bytes: Uint8Array): Buffer {
  const normalizer = new InputNormalizer()
  return Buffer.concat([normalizer.push(bytes), normalizer.finish()])
}

/** What a message becomes, with every file read, and the entity another bridge makes of it. */
async function convert(input: string | Uint8Array) {
  const bytes = normalized(Buffer.from(input as Uint8Array))
  const source = messageSource(bytes)
  return withDirectory(async (directory) => {
    const content = await convertMimeToCm(source, directory)
    const files = content.attachments.map(({ name, path, size }) => {
      const file = readFileSync(path)
      expect(file.length).toBe(size)
      return { name, bytes: file }
    })
    const entries = new Map(files.map((file) => [`_${file.name}`, file.bytes]))
    for (const entry of content.extraEntries) {
      entries.set(entry.name, 'bytes' in entry ? Buffer.from(entry.bytes) : readFileSync(entry.path))
    }
    const recipe = parseRecipe(entries.get('MIME.JSON') ?? Buffer.alloc(0))
    if (recipe === undefined) throw new Error('no recipe')
    expect(recipeEntries(recipe).every((name) => entries.has(name))).toBe(true)
    const rebuilt = await collect(
      rebuildFromRecipe(recipe, (name) => chunked(entries.get(name) ?? Buffer.alloc(0), 333)),
    )
    return { ...content, files, recipe, rebuilt, body: bytes.subarray(source.index.structure.body.start) }
  })
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

function lines(...text: readonly string[]): string {
  return text.map((line) => `${line}\r\n`).join('')
}

describe('a message on its way to CM', () => {
  it.each(mailCases)('%s is rebuilt octet for octet from its recipe', async (name) => {
    const { rebuilt, body, recipe } = await convert(mailCase(name))
    const header = `${recipe.header.join('')}\r\n`
    expect(rebuilt.toString('latin1')).toBe(header + body.toString('latin1'))
    expect(header).not.toMatch(/^(?:from|to|cc|bcc|subject|received|x-[^:]*|resent-[^:]*):/im)
  })

  it('M01: a closing boundary that never comes costs nothing', async () => {
    const { bodyText, files } = await convert(mailCase('M01.eml'))
    expect(bodyText).toBe('The report is attached.\n')
    expect(files.map((file) => [file.name, sha256(file.bytes)])).toEqual([
      ['report.pdf', '072278564ed1da5b877856ea2f7c0feb96a98bd5d07357de6815214a4e7ea70d'],
    ])
  })

  it('M02: both sides of an alternative are found behind an unquoted boundary', async () => {
    const { bodyText, bodyHtml } = await convert(mailCase('M02.eml'))
    expect(bodyText).toBe('plain side\n')
    expect(bodyHtml).toContain('html side')
  })

  it('M06, M07: file names are joined first and decoded after', async () => {
    expect((await convert(mailCase('M06.eml'))).files.map((file) => file.name)).toEqual(['📎 Angebot.pdf'])
    expect((await convert(mailCase('M07.eml'))).files.map((file) => file.name)).toEqual([
      '�.xlsx',
      'attached.bat',
    ])
  })

  it('M19: a patch keeps every blank, tab and empty line', async () => {
    const { bodyText } = await convert(mailCase('M19.eml'))
    expect(sha256(Buffer.from(bodyText))).toBe(
      'e51dd361e5c5f4471cef466a7f9d625fc1e92bf8875db665d6c09c6cafb7f378',
    )
  })

  it('M21: a signed message is readable and travels whole beside it, once', async () => {
    const { bodyText, files, recipe } = await convert(mailCase('M21.eml'))
    expect(bodyText).toContain('Grüße')
    expect(files.map((file) => file.name)).toEqual(['signed message.eml'])
    expect(files[0]?.bytes.toString('latin1')).toMatch(
      /^MIME-Version: 1\.0\r\nContent-Type: multipart\/signed/,
    )
    expect(recipe.segments).toEqual([{ entry: '_signed message.eml', skip: expect.any(Number) }])
  })

  it('M22: an invitation has one .ics, and keeps its method for another bridge', async () => {
    const { bodyText, files, rebuilt } = await convert(mailCase('M22.eml'))
    expect(bodyText).toBe('You are invited.\n')
    expect(files.map((file) => file.name)).toEqual(['invite.ics'])
    expect(rebuilt.toString()).toContain('text/calendar; charset=UTF-8; method=REQUEST')
  })

  it('a calendar that is only an alternative becomes invite.ics', async () => {
    const message = mailCase('M22.eml')
      .toString('latin1')
      .replace(/--m\r\nContent-Type: application\/ics[\s\S]*--m--/, '--m--')
    expect((await convert(Buffer.from(message, 'latin1'))).files.map((file) => file.name)).toEqual([
      'invite.ics',
    ])
  })

  it('M25: forwarded messages are files of their own octets, however they were encoded', async () => {
    const inner = '76d783a32efd94724e63f411ef27b66b5fcd440d737b4c4c3c9be038d5953f79'
    const { files } = await convert(mailCase('M25.eml'))
    expect(files.map((file) => [file.name, sha256(file.bytes)])).toEqual([['the inner one.eml', inner]])
    const encoded = await convert(mailCase('M25-base64.eml'))
    expect(encoded.files.map((file) => [file.name, sha256(file.bytes)])).toEqual([['inner.eml', inner]])
  })

  it('M27: eleven files keep their contents and get names no system trips over', async () => {
    const { files } = await convert(mailCase('M27.eml'))
    expect(files.map((file) => file.bytes.toString())).toEqual(
      Array.from({ length: 11 }, (_, i) => `content ${i}`),
    )
    const names = files.map((file) => file.name)
    expect(new Set(names.map((name) => name.toLowerCase())).size).toBe(11)
    for (const name of names) expect(name).not.toMatch(/[/\\\u0000-\u001f]|^\.|^con\b/i)
  })

  it('M28: a binary file in quoted-printable arrives unchanged', async () => {
    const { files } = await convert(mailCase('M28.eml'))
    expect(files.map((file) => [file.bytes.length, sha256(file.bytes)])).toEqual([
      [270, '25264c9ff6836eb63afb6ad8606dc194159761baff37eb0c34114fdce8f4201e'],
    ])
  })

  it('large base64 travels once, whatever its line length', async () => {
    const file = Buffer.from(Array.from({ length: 40_000 }, (_, index) => (index * 7) % 256))
    for (const line of [60, 64, 72, 76, 80, 75]) {
      const encoded = file.toString('base64').replace(new RegExp(`.{${line}}`, 'g'), '$&\r\n')
      const { recipe, body, rebuilt } = await convert(
        lines('Content-Type: application/pdf; name=a.pdf', 'Content-Transfer-Encoding: base64', '') +
          encoded +
          lines('', ''),
      )
      expect(recipe.segments).toEqual([
        { base64: '_a.pdf', line },
        { literal: expect.stringMatching(/^[\r\n]+$/) },
      ])
      expect(rebuilt.subarray(-body.length).equals(body)).toBe(true)
    }
  })

  it('base64 that does not rebuild and long text are carried literally, in entries of their own', async () => {
    const encoded = Buffer.alloc(30_000, 'odd')
      .toString('base64')
      .replace(/.{76}/g, '$&\r\n')
      .replace('\r\n', '\r\n\r\n')
    const { recipe, extraEntries, rebuilt, body, files } = await convert(
      lines('Content-Type: application/pdf; name=a.pdf', 'Content-Transfer-Encoding: base64', '') + encoded,
    )
    expect(files[0]?.bytes.length).toBe(30_000)
    expect(recipe.segments).toEqual([{ entry: 'MIME.1', skip: 0 }])
    expect(extraEntries.map((entry) => entry.name)).toEqual(['MIME.JSON', 'MIME.1'])
    expect(rebuilt.subarray(-body.length).equals(body)).toBe(true)
  })

  it('keeps of the header what threads and the entity need, and nothing of Bcc', async () => {
    const { recipe, replyToIds, messageId, subject, dateMs } = await convert(
      lines(
        'From: alice@example.org',
        'Bcc: secret@example.net',
        'bCC : secret@example.net',
        'Resent-Bcc: secret@example.net',
        'Received: from laptop.local',
        'User-Agent: secret',
        'Message-ID: <m@example.org>',
        'References: <a@x>',
        ' <b@x>',
        'In-Reply-To: <b@x>',
        'Reply-To: other@example.org',
        'Date: Tue, 03 Feb 2026 09:15:00 +0100',
        'Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=',
        'MIME-Version: 1.0',
        'content-type: text/plain; format=flowed',
        '',
        'flowed ',
        'text',
      ),
    )
    expect(recipe.header.map((raw) => raw.split(':')[0])).toEqual([
      'Message-ID',
      'References',
      'In-Reply-To',
      'Reply-To',
      'Date',
      'MIME-Version',
      'content-type',
    ])
    expect(JSON.stringify(recipe)).not.toContain('secret')
    expect({ replyToIds, messageId, subject, dateMs }).toEqual({
      replyToIds: ['<b@x>', '<a@x>'],
      messageId: '<m@example.org>',
      subject: 'Grüße',
      dateMs: Date.UTC(2026, 1, 3, 8, 15),
    })
  })

  it('unflows text, decodes charsets and drops NUL for BODY.TXT', async () => {
    const flowed = await convert(
      lines('Content-Type: text/plain; format=flowed', '', 'one ', 'two', '', 'three'),
    )
    expect(flowed.bodyText).toBe('one two\n\nthree\n')
    const latin = await convert(
      Buffer.from(lines('Content-Type: text/plain; charset=iso-8859-1', '', 'Gr\u00fc\u00dfe'), 'latin1'),
    )
    expect(latin.bodyText).toBe('Grüße\n')
  })

  it('HTML mail alone gives text too, and loses scripts, remote pictures and cid pictures', async () => {
    const { bodyText, bodyHtml } = await convert(
      lines(
        'Content-Type: text/html; charset=utf-8',
        '',
        '<p onclick="x()">Hello &lt;you&gt;</p><script>alert(1)</script>',
        '<img src="http://example.net/a.png" alt="logo"><img src="cid:1"><a href="javascript:x">l</a>',
      ),
    )
    expect(bodyText).toBe('Hello <you>\n\n[logo]l\n'.replace('[logo]', 'logo'))
    expect(bodyHtml).toContain('<p>Hello &lt;you&gt;</p>')
    expect(bodyHtml).toContain('[logo]')
    expect(bodyHtml).not.toMatch(/script|<img|onclick|http:/)
  })

  it('pictures of an HTML mail come as files', async () => {
    const { bodyHtml, files } = await convert(
      lines(
        'Content-Type: multipart/related; boundary=r',
        '',
        '--r',
        'Content-Type: text/html',
        '',
        '<p>x<img src="cid:p1"></p>',
        '--r',
        'Content-Type: image/png',
        'Content-ID: <p1>',
        'Content-Transfer-Encoding: base64',
        '',
        'iVBORw==',
        '--r--',
      ),
    )
    expect(bodyHtml).toContain('<p>x')
    expect(files.map((file) => file.name)).toEqual(['attachment-1.png'])
  })

  it('an encrypted message travels whole and says so', async () => {
    const { bodyText, files } = await convert(
      lines(
        'MIME-Version: 1.0',
        'Content-Type: multipart/encrypted; boundary=e; protocol="application/pgp-encrypted"',
        '',
        '--e',
        'Content-Type: application/pgp-encrypted',
        '',
        'Version: 1',
        '--e',
        'Content-Type: application/octet-stream',
        '',
        '-----BEGIN PGP MESSAGE-----',
        '--e--',
      ),
    )
    expect(bodyText).toMatch(/encrypted/)
    expect(files.map((file) => file.name)).toEqual(['encrypted message.eml'])
    expect(files[0]?.bytes.toString()).toMatch(/^MIME-Version[\s\S]*BEGIN PGP MESSAGE/)
  })

  it('later text without a name joins the body, text with a name is a file', async () => {
    const { bodyText, files } = await convert(
      lines(
        'Content-Type: multipart/mixed; boundary=m',
        '',
        '--m',
        '',
        'first',
        '--m',
        'Content-Type: text/x-diff; name=a.diff',
        '',
        'diff',
        '--m',
        'Content-Type: text/plain; name=b.txt',
        'Content-Disposition: inline',
        '',
        'file',
        '--m',
        '',
        'footer',
        '--m--',
      ),
    )
    expect(bodyText).toBe('first\n\nfooter\n')
    expect(files.map((file) => file.name)).toEqual(['a.diff', 'b.txt'])
  })
})
