import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { accountByLogin } from '../../src/store/account-queries.ts'
import { bypassSecrets } from '../../src/store/bypass-queries.ts'
import { openStoreForReading } from '../../src/store/open-store.ts'
import { eventually, Household } from '../support/bridge-household.ts'
import { cmbridge } from '../support/command-line.ts'
import { ForeignClient } from '../support/foreign-client.ts'
import { awaitMessage, fieldValues, listMailbox, withImap } from '../support/mail-program.ts'
import { hasProgram } from '../support/programs.ts'
import { CALLING_RECORD, framed, pickled } from '../support/sync-pickles.ts'

/** What a reference client of the same account did is applied to flags and mailboxes, when that is switched on (CM message 7). */

type Record = readonly (string | Uint8Array)[]

describe.skipIf(!hasProgram('redis-server'))('folder-sync messages', () => {
  let household: Household
  let other: ForeignClient
  let dora: ForeignClient
  beforeAll(async () => {
    household = await Household.start({ people: ['alice'], guests: ['dora'] })
    other = await ForeignClient.ofPerson(household, 'alice')
    dora = await ForeignClient.create(household, { name: 'dora', address: 'dora@example.net' })
  })
  afterAll(() => household.stop())

  /** Posts the records as the other client does, and waits until they are applied or hidden. */
  const sync = async (
    records: readonly Record[],
    changes: { readonly subject?: string; readonly files?: readonly { name: string; bytes: Buffer }[] } = {},
  ) => {
    const hidden = () => household.rows(`SELECT 1 FROM inbound_announcements WHERE state = 'hidden'`).length
    const before = hidden()
    const log = Buffer.concat([
      framed(Buffer.from(CALLING_RECORD, 'hex')),
      ...records.map((one) => framed(pickled(one))),
    ])
    const subject = changes.subject ?? `_FOLDER_SYNC_MESSAGE_${other.keyId.toUpperCase()}`
    const attachments = [{ name: 'sendlog.dat', bytes: log }, ...(changes.files ?? [])]
    await other.send({ to: 'alice', subject, text: 'Internal.\n', message: { attachments } })
    if (changes.subject === undefined) await eventually('it is hidden', () => hidden() > before)
  }
  const inbox = Buffer.from('Inbox')
  const unread = Buffer.from('New Messages')
  const deleted = Buffer.from('Deleted')
  const archive = Buffer.from('Archive')

  const receive = async (subject: string): Promise<Buffer> => {
    const { announcementId } = await dora.send({ to: 'alice', subject, text: 'Hello.\n' })
    await asAlice((alice) => awaitMessage(alice, 'INBOX', subject))
    return Buffer.from(announcementId, 'hex')
  }
  const asAlice = <Result>(use: Parameters<typeof withImap<Result>>[2]) =>
    withImap(household, household.person('alice'), use)
  const find = (mailbox: string, subject: string) =>
    asAlice(async (alice) => (await listMailbox(alice, mailbox)).filter((one) => one.subject === subject))

  it('are hidden and acknowledged, and change nothing while the account has it switched off', async () => {
    const id = await receive('Unchanged')
    await household.untilQuiet()
    const acknowledged = household.cmServer.stored.filter(({ type }) => type === 'acknowledgment').length
    await sync([
      ['DelMsg', unread, id],
      ['AddMsg', deleted, id],
    ])
    await household.untilQuiet()
    expect(household.cmServer.stored.filter(({ type }) => type === 'acknowledgment')).toHaveLength(
      acknowledged + 1,
    )
    expect((await find('INBOX', 'Unchanged')).map(({ flags }) => flags.has('\\Seen'))).toEqual([false])
    for (const mailbox of ['INBOX', 'Junk', 'Notices']) {
      const subjects = await asAlice(async (alice) =>
        (await listMailbox(alice, mailbox)).map((one) => one.subject),
      )
      expect(subjects.filter((subject) => subject.startsWith('_FOLDER_SYNC'))).toEqual([])
    }
    await switchOn()
  })

  it('mark mail as read, and as unread again', async () => {
    const id = await receive('To be read')
    await sync([['DelMsg', unread, id]])
    expect((await find('INBOX', 'To be read')).map(({ flags }) => flags.has('\\Seen'))).toEqual([true])
    await sync([['AddMsg', unread, id]])
    expect((await find('INBOX', 'To be read')).map(({ flags }) => flags.has('\\Seen'))).toEqual([false])
  })

  it('move mail to Trash and Archive and back, and remove none', async () => {
    const [gone, kept, moved] = [
      await receive('Deleted there'),
      await receive('Archived there'),
      await receive('Moved here'),
    ]
    await asAlice(async (alice) => {
      await alice.mailboxCreate('Work')
      const { uid } = await awaitMessage(alice, 'INBOX', 'Moved here')
      const lock = await alice.getMailboxLock('INBOX')
      await alice.messageMove({ uid: `${uid}` }, 'Work')
      lock.release()
    })
    const records: Record[] = [
      ['AddCat', 'Archive'],
      ['AddMsg', archive, kept],
      ['DelMsg', inbox, kept],
      ['AddMsg', deleted, gone],
      ['DelMsg', inbox, gone],
      ['DelMsg', unread, gone],
      ['AddMsg', 'Family', gone],
      ['DelMsg', deleted, gone],
      ['AddMsg', deleted, moved],
      ['AddMsg', deleted, Buffer.alloc(20)],
    ]
    await sync(records)
    expect(await find('INBOX', 'Deleted there')).toEqual([])
    expect((await find('Trash', 'Deleted there')).map(({ flags }) => flags.has('\\Seen'))).toEqual([true])
    expect(await find('Archive', 'Archived there')).toHaveLength(1)
    // What the owner filed here stays where it is.
    expect(await find('Work', 'Moved here')).toHaveLength(1)
    await sync(records)
    expect(await find('Trash', 'Deleted there')).toHaveLength(1)
    expect(await find('Archive', 'Archived there')).toHaveLength(1)
    await sync([['AddMsg', inbox, gone]])
    expect(await find('INBOX', 'Deleted there')).toHaveLength(1)
    expect(await find('Trash', 'Deleted there')).toEqual([])
  })

  it('bring the tokens that the other client issued', async () => {
    const secret = 'ab'.repeat(20)
    await sync([['SyncBypassToken', `${dora.keyId},${secret},2026-01-01T00:00:00Z,never`]])
    expect(issuedToDora()).toContain(secret)
    // So mail that uses one is no low-work mail.
    await dora.send({ to: 'alice', subject: 'With their token', work: { bits: 8, secret } })
    const { flags } = await asAlice((alice) => awaitMessage(alice, 'INBOX', 'With their token'))
    expect(flags).toContain('$CMVerified')
  })

  it('bring what the other client sent, once', async () => {
    const [sentId, uniqueId] = ['5a'.repeat(20), '6b'.repeat(20)]
    const shown = [`T:Dora <dora@example.net> ${dora.keyId}`, `B:Eve <eve@example.net> ${'e5'.repeat(20)}`]
    const tuple = [
      [],
      shown,
      ['/home/alice/plan.pdf'],
      null,
      null,
      'Sent there',
      'Hello Dora.\n',
      null,
      null,
      '2026-11-25T09:38:52Z',
    ]
    const header = [
      `From: alice <alice@example.org> ${other.keyId}`,
      `To: Dora <dora@example.net> ${dora.keyId}`,
      `MessageUniqueId: ${uniqueId}`,
      'Subject: Sent there',
      'Date: 2026-11-25T09:39:00Z',
      `AnnounceBlock: ${'7c'.repeat(20)}`,
    ]
    const files = [
      { name: sentId.toUpperCase(), bytes: pickled(tuple) },
      { name: `${sentId.toUpperCase()}.HDR`, bytes: Buffer.from(`${header.join('\n')}\n`) },
    ]
    const records = [['SendMsg', Buffer.from(sentId, 'hex')]]
    await sync(records, { files })
    await sync(records, { files })
    const [copy, ...others] = await find('Sent', 'Sent there')
    expect(others).toEqual([])
    const source = copy?.source ?? Buffer.alloc(0)
    expect(copy?.flags.has('\\Seen')).toBe(true)
    expect(fieldValues(source, 'Message-ID')).toEqual([`<${uniqueId}@cm.invalid>`])
    expect(fieldValues(source, 'From').join()).toContain('<alice@example.org>')
    expect(fieldValues(source, 'To').join()).toContain('<dora@example.net>')
    expect(fieldValues(source, 'Date')).toEqual(['Wed, 25 Nov 2026 09:39:00 +0000'])
    expect(source.toString()).toContain('Hello Dora.')
    expect(source.toString().replaceAll('\r\n', '')).toContain('attachments that are not here.txt')
    expect(decodedAttachment(source)).toContain('which has these files:\r\n\r\nplan.pdf\r\n')
    // Without its header the saved message itself is all there is.
    const bare = { name: '8d'.repeat(20).toUpperCase(), bytes: pickled(tuple.with(5, 'Sent bare')) }
    await sync([['SendMsg', Buffer.from(bare.name, 'hex')]], { files: [bare] })
    const [second] = await find('Sent', 'Sent bare')
    expect(fieldValues(second?.source ?? Buffer.alloc(0), 'Bcc').join()).toContain('eve@example.net')
  })

  it('of somebody else, or with another subject, are ordinary mail', async () => {
    const id = await receive('Still here')
    const log = framed(pickled(['AddMsg', deleted, id]))
    const subject = `_FOLDER_SYNC_MESSAGE_${other.keyId.toUpperCase()}`
    await dora.send({ to: 'alice', subject, message: { attachments: [{ name: 'sendlog.dat', bytes: log }] } })
    await asAlice((alice) => awaitMessage(alice, 'INBOX', subject))
    const lower = `_FOLDER_SYNC_MESSAGE_${other.keyId}`
    await sync([['AddMsg', deleted, id]], { subject: lower })
    await asAlice((alice) => awaitMessage(alice, 'INBOX', lower))
    expect(await find('INBOX', 'Still here')).toHaveLength(1)
  })

  async function switchOn(): Promise<void> {
    const { address } = household.person('alice')
    const set = await cmbridge([
      'account',
      'set',
      address,
      '--folder-sync',
      'on',
      '--data',
      household.data,
      '--json',
    ])
    expect(set).toMatchObject({ exitCode: 0 })
  }

  function issuedToDora(): string[] {
    const read = openStoreForReading(household.data)
    try {
      const account = accountByLogin(read, household.person('alice').address)
      const issued = bypassSecrets(read, account?.id ?? 0, { direction: 'issued', keyId: dora.keyId })
      return issued.map(({ secret }) => secret)
    } finally {
      read.close()
    }
  }
})

/** The content of the only part in base64. */
function decodedAttachment(source: Buffer): string {
  const text = source.toString('latin1')
  const part = text.slice(text.indexOf('Content-Transfer-Encoding: base64'))
  const body = part.slice(part.indexOf('\r\n\r\n') + 4, part.indexOf('\r\n--'))
  return Buffer.from(body, 'base64').toString()
}
