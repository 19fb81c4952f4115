import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eventually, Household } from '../support/bridge-household.ts'
import { ForeignClient } from '../support/foreign-client.ts'
import { awaitMessage, compose, fieldValues, submit, withImap } from '../support/mail-program.ts'
import { hasProgram } from '../support/programs.ts'

/** Mail of the reference's automatic clients (CM message 15.2), and answers to it. */

const BODY_XML = `<?xml version="1.0" encoding="UTF-8"?>
<richtext version="1.0.0.0" xmlns="http://www.wxwidgets.org"><paragraphlayout>
<paragraph><text>From: Ann Example &lt;ann@example.org&gt;</text></paragraph>
<paragraph><text fontweight="92">Hello, list.</text></paragraph></paragraphlayout></richtext>`

describe.skipIf(!hasProgram('redis-server'))('mail of automatic clients', () => {
  let household: Household
  let list: ForeignClient
  beforeAll(async () => {
    household = await Household.start({ people: ['alice'], guests: ['list', 'dora'] })
    list = await ForeignClient.create(household, { name: 'list', address: 'list@example.net' })
  })
  afterAll(() => household.stop())

  const arrives = (subject: string, mailbox = 'INBOX') =>
    withImap(household, household.person('alice'), (client) => awaitMessage(client, mailbox, subject))

  it('of a list shows its author and its key, the list in To, all bodies and the original', async () => {
    const dora = await ForeignClient.create(household, { name: 'dora', address: 'dora@example.net' })
    const forwarded = await dora.container({ subject: 'To the list', bodyText: 'Hello, list.\n' })
    const lines = 'From: Ann Example <ann@example.org>\n\nHello, list.\n'
    const sender = { ...list.sender, text: 'Ann Example via list <list@example.net>' }
    await list.send({
      to: 'alice',
      field: 'bcc',
      subject: 'Re: to the list',
      text: lines,
      message: {
        sender,
        displayRecipients: [
          {
            type: 'to',
            keyId: list.keyId,
            text: 'list <list@example.net>',
            transport: list.sender.transport,
          },
        ],
        bodyHtml: `<html><head></head><body><p>From: Ann Example <ann@example.org></p><p>Hello, list.</p></body></html>`,
        extraEntries: [{ name: 'BODY.XML', bytes: Buffer.from(BODY_XML) }],
        forwarded,
      },
    })
    const { source, flags } = await arrives('Re: to the list')
    expect(flags).toContain('$CMVerified')
    expect(fieldValues(source, 'From')).toEqual([`"Ann Example via list ${list.keyId}" <list@example.net>`])
    expect(fieldValues(source, 'To').join()).toContain('list@example.net')
    expect(fieldValues(source, 'Bcc').join()).toContain('alice@example.org')
    const text = source.toString()
    expect(text).toContain('From: Ann Example <ann@example.org>\r\n\r\nHello, list.')
    // The rich form is the one that is escaped.
    expect(text).toContain('From: Ann Example &lt;ann@example.org&gt;')
    expect(text).toMatch(/Content-Type: message\/rfc822.*X-CM-Signature: good.*Hello, list\./s)
  })

  it('is answered to the key of the list', async () => {
    const { source } = await arrives('Re: to the list')
    const alice = household.person('alice')
    const raw = await compose({
      from: alice.address,
      to: fieldValues(source, 'From').join(),
      subject: 'Re: Re: to the list',
      text: 'An answer.\n',
      inReplyTo: fieldValues(source, 'Message-ID').join(),
    })
    await submit(household, { from: alice, to: ['list@example.net'], raw })
    await eventually('it is announced', async () => (await list.announcements()).length > 0)
    const { entries } = await list.receive()
    const header = entries.get('HEADER.TXT')?.toString() ?? ''
    expect(header).toMatch(new RegExp(`^To: .* ${list.keyId}$`, 'm'))
    expect(header).toMatch(/^ReplyThreadId: [0-9a-f]{40}$/m)
  })

  it('with nothing but text, as file servers and notifiers send it, is plain text', async () => {
    await list.send({ to: 'alice', subject: 'Re: dir', text: '  12345 report.pdf\n      7 notes.txt\n' })
    const { source } = await arrives('Re: dir')
    expect(fieldValues(source, 'Content-Type').join()).toContain('text/plain')
    expect(source.toString().endsWith('  12345 report.pdf\r\n      7 notes.txt\r\n')).toBe(true)
  })
})
