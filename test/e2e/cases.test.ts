import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ImapFlow } from 'imapflow'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Household } from '../support/bridge-household.ts'
import { awaitMessage, fieldValues, listMailbox, smtpPort, withImap } from '../support/mail-program.ts'
import { lastMessageAtServer } from '../support/message-at-server.ts'
import { hasProgram } from '../support/programs.ts'
import { playSmtpDialog } from '../support/smtp-dialog.ts'
import { SmtpPeer } from '../support/smtp-peer.ts'

/** Cases S03, S13, M29 and I16 on the whole bridge. */

const CASES = new URL('../golden/cases/', import.meta.url).pathname
const readCase = (name: string) => readFileSync(join(CASES, name))

describe.skipIf(!hasProgram('redis-server'))('the cases', () => {
  let household: Household
  beforeAll(async () => {
    household = await Household.start({ people: ['alice', 'bob', 'carol', 'dan'] })
  })
  afterAll(() => household.stop())

  /** Submits octets that end in CRLF exactly as they are, dot-stuffed at CRLF only; returns the reply to the final dot. */
  async function submitRaw(raw: Buffer, to: readonly string[], body = ''): Promise<string> {
    const peer = await SmtpPeer.connect(smtpPort(household))
    await peer.logIn('alice@example.org', household.person('alice').password)
    await peer.command(`MAIL FROM:<alice@example.org>${body}`)
    for (const address of to) expect(await peer.command(`RCPT TO:<${address}>`)).toMatch(/^250 /)
    expect(await peer.command('DATA')).toMatch(/^354/)
    peer.send(Buffer.from(`${raw.toString('latin1').replaceAll('\r\n.', '\r\n..')}.\r\n`, 'latin1'))
    const reply = await peer.reply()
    peer.destroy()
    return reply ?? ''
  }

  async function subjectsOf(name: string): Promise<string[]> {
    const inbox = await withImap(household, household.person(name), (client) => listMailbox(client, 'INBOX'))
    return inbox.map(({ subject }) => subject)
  }

  it('S03: a message whose 250 was lost is sent again and again, and arrives once', async () => {
    await playSmtpDialog(join(CASES, 'S03.dialog'), {
      port: smtpPort(household),
      values: { PASS: household.person('alice').password },
    })
    const first = await submitRaw(readCase('S03.eml'), ['bob@example.net', 'carol@example.net'])
    expect(first).toMatch(/^250 2\.0\.0 already queued as om1$/)
    await household.signal('SIGKILL')
    await household.restart()
    const again = await submitRaw(
      readCase('S03.eml'),
      ['carol@example.net', 'bob@example.net'],
      ' BODY=8BITMIME',
    )
    expect(again).toBe(first)
    await household.untilQuiet()
    expect(await subjectsOf('bob')).toEqual(['S03 sent twice'])
    expect(await subjectsOf('carol')).toEqual(['S03 sent twice'])
    expect(await submitRaw(readCase('S03.eml'), ['carol@example.net', 'bob@example.net'])).toBe(first)
  })

  it('S13: the envelope alone decides who gets it', async () => {
    const before = [await subjectsOf('bob'), await subjectsOf('carol')]
    const reply = await submitRaw(readCase('S13.eml'), ['dan@example.net'])
    expect(reply).toMatch(/^250 2\.0\.0 queued/)
    const { source, flags } = await withImap(household, household.person('dan'), (dan) =>
      awaitMessage(dan, 'INBOX', 'S13 redirect'),
    )
    expect(flags).toContain('$CMVerified')
    expect(fieldValues(source, 'To').join()).toContain('bob@example.net')
    expect(fieldValues(source, 'Cc').join()).toContain('carol@example.net')
    expect(fieldValues(source, 'Bcc').join()).toContain('dan@example.net')
    // Nobody else is waited for: it is done when dan acknowledged.
    await household.untilQuiet()
    expect([await subjectsOf('bob'), await subjectsOf('carol')]).toEqual(before)
  })

  it('M29: NUL is refused by SMTP and APPEND, other bare octets are made CRLF once', async () => {
    const raw = readCase('M29.eml')
    expect(await submitRaw(raw, ['bob@example.net'])).toMatch(/^554 5\.6\.0 /)
    await withImap(household, household.person('alice'), async (alice) => {
      await expect(alice.append('Archive', raw)).rejects.toMatchObject({ responseStatus: 'NO' })
    })
    const withoutNul = Buffer.from(raw.filter((octet) => octet !== 0))
    expect(await submitRaw(withoutNul, ['bob@example.net'])).toMatch(/^250 2\.0\.0 queued/)
    const { source, size } = await withImap(household, household.person('bob'), (bob) =>
      awaitMessage(bob, 'INBOX', 'M29 first'),
    )
    expect(size).toBe(source.length)
    const text = source.toString('latin1')
    expect(text.replaceAll('\r\n', '')).not.toMatch(/[\r\n\0]/)
    expect(text.endsWith('\r\n')).toBe(true)
    expect(fieldValues(source, 'Subject')).toEqual(['M29 first'])
    expect(fieldValues(source, 'Bcc')).toEqual([])
    expect(text.endsWith('\r\n\r\nline one\r\nline two\r\nline threeend\r\n')).toBe(true)
    await household.untilQuiet()
    expect(await subjectsOf('carol')).not.toContain('M29 first')
    const entries = await lastMessageAtServer(household, 'bob')
    const header = entries.get('HEADER.TXT')?.toString('latin1').split('\n') ?? []
    expect(header.filter((line) => /^subject:/i.test(line))).toHaveLength(1)
    expect(header.filter((line) => /^(?:bcc|x-evil):/i.test(line))).toEqual([])
    expect(entries.get('BODY.TXT')?.toString('latin1')).toBe('line one\nline two\nline threeend\n')
  })

  it('I16: RFC822.SIZE is the size of BODY[], in two sessions and after a restart', async () => {
    const alice = household.person('alice')
    // With a NUL it is refused, which M29 is about.
    const files = readdirSync(CASES).filter((name) => /^M.*\.eml$/.test(name) && !readCase(name).includes(0))
    expect(files.length).toBeGreaterThan(15)
    const appended = await withImap(household, alice, async (client) => {
      for (const name of files) await client.append('Archive', readCase(name))
      return await sizesOf(client, 'Archive')
    })
    expect(appended.map(({ size }) => size)).toEqual(files.map((name) => readCase(name).length))
    const received = await withImap(household, household.person('bob'), (client) => sizesOf(client, 'INBOX'))
    expect(received.length).toBeGreaterThan(1)
    for (const { size, whole, header, text } of [...appended, ...received]) {
      expect({ whole, parts: header + text }).toEqual({ whole: size, parts: size })
    }
    const both = async () => [
      await withImap(household, alice, (client) => sizesOf(client, 'Archive')),
      await withImap(household, household.person('bob'), (client) => sizesOf(client, 'INBOX')),
    ]
    expect(await both()).toEqual([appended, received])
    await household.signal('SIGTERM')
    await household.restart()
    expect(await both()).toEqual([appended, received])
  })
})

interface Sizes {
  readonly uid: number
  readonly size: number
  readonly whole: number
  readonly header: number
  readonly text: number
}

async function sizesOf(client: ImapFlow, mailbox: string): Promise<Sizes[]> {
  const lock = await client.getMailboxLock(mailbox)
  try {
    const query = { uid: true, size: true, source: true, headers: true, bodyParts: ['TEXT'] }
    const found: Sizes[] = []
    for await (const { uid, size = 0, source, headers, bodyParts } of client.fetch('1:*', query)) {
      const text = bodyParts?.get('text')?.length ?? 0
      found.push({ uid, size, whole: source?.length ?? 0, header: headers?.length ?? 0, text })
    }
    return found
  } finally {
    lock.release()
  }
}
