import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { caseFile, playCase } from '../support/imap-case.ts'
import { createMemoryAccount, ImapPeer, sessionOptions } from '../support/imap-peer.ts'

const MESSAGES = readdirSync(fileURLToPath(new URL('cases/', import.meta.url))).filter(
  (name) => /^M.*\.eml$/.test(name) && !caseFile(name).includes('\0'),
)

describe('hard cases', () => {
  it.each(['I06', 'I07', 'I14', 'I21', 'I25', 'I32'])('%s', async (id) => {
    const options = sessionOptions(createMemoryAccount())
    await playCase(id, options)
    expect(options.errors).toEqual([])
  })

  it('I03: the UTF8 form of APPEND is refused and the connection stays in step', async () => {
    const options = sessionOptions(createMemoryAccount())
    const peer = await ImapPeer.loggedIn(options)
    const message = caseFile('I03.eml')
    expect(await peer.command('ENABLE UTF8=ACCEPT')).toEqual(['* ENABLED', 't2 OK ENABLE completed'])
    await peer.send(`a1 append "Sent" (\\Seen) UTF8 (~{${message.length}}\r\n`)
    expect(await peer.readLine()).toMatch(/^a1 (?:BAD|NO) /)
    await peer.send(`a2 append "Sent" (\\Seen) UTF8 (~{${message.length}+}\r\n${message})\r\n`)
    expect(await peer.readLine()).toMatch(/^a2 (?:BAD|NO) /)
    expect(await peer.append('Sent', message, '(\\Seen) ')).toMatch(/OK \[APPENDUID \d+ 1\]/)
    await peer.command('SELECT Sent')
    const lines = await peer.command('FETCH 1 (RFC822.SIZE ENVELOPE)')
    expect(lines[0]).toContain(`RFC822.SIZE ${message.length} `)
    expect(await peer.leave()).toEqual([])
  })

  it.each(MESSAGES)('I16: sizes and sections of %s add up, in two sessions', async (name) => {
    const account = createMemoryAccount(16 * 1024 * 1024)
    const message = caseFile(name)
    const first = await ImapPeer.loggedIn(sessionOptions(account))
    expect(await first.append('INBOX', message)).toMatch(/ OK /)
    for (const peer of [first, await ImapPeer.loggedIn(sessionOptions(account))]) {
      await peer.command('SELECT INBOX')
      expect((await peer.command('FETCH 1 RFC822.SIZE'))[0]).toBe(`* 1 FETCH (RFC822.SIZE ${message.length})`)
      const body = await fetchSection(peer, '')
      expect(body).toBe(message)
      expect((await fetchSection(peer, 'HEADER')) + (await fetchSection(peer, 'TEXT'))).toBe(message)
      await peer.command('FETCH 1 (ENVELOPE BODY BODYSTRUCTURE)')
      expect(await peer.leave()).toEqual([])
    }
  })

  it('M29: APPEND refuses NUL and says NO', async () => {
    const peer = await ImapPeer.loggedIn(sessionOptions(createMemoryAccount()))
    expect(await peer.append('INBOX', caseFile('M29.eml'))).toMatch(/ NO \[CANNOT\] /)
    expect(await peer.append('INBOX', 'Subject: x\ry\nbare\r\n\r\n\rz\n')).toMatch(/ OK /)
    await peer.command('SELECT INBOX')
    expect(await fetchSection(peer, '')).toBe('Subject: x\ry\nbare\r\n\r\n\rz\n')
    expect(await peer.leave()).toEqual([])
  })

  it('M38: an mbox separator in front is kept, and Subject is found', async () => {
    const peer = await ImapPeer.loggedIn(sessionOptions(createMemoryAccount()))
    const message = caseFile('M38.eml')
    expect(await peer.append('INBOX', message)).toMatch(/ OK /)
    await peer.command('SELECT INBOX')
    expect(await fetchSection(peer, '')).toBe(message)
    expect(await fetchSection(peer, 'HEADER.FIELDS (SUBJECT)')).toMatch(/^Subject: .+\r\n\r\n$/)
    expect(await peer.leave()).toEqual([])
  })
})

/** The content of one section of message 1, a byte string. */
async function fetchSection(peer: ImapPeer, section: string): Promise<string> {
  const lines = await peer.command(`FETCH 1 BODY.PEEK[${section}]`)
  const wire = lines.join('\r\n')
  const start = wire.indexOf('] ') + 2
  if (wire.startsWith('""', start)) return ''
  const size = /^\{(\d+)\}\r\n/.exec(wire.slice(start))
  if (size === null) throw new Error(`no literal in ${wire}`)
  const at = start + size[0].length
  return wire.slice(at, at + Number(size[1]))
}
