import type { AccountMail, AppendOutcome, MailboxChange, OpenMailbox, Uid } from '../../src/imap/port.ts'
import type { Flag } from '../../src/mail/flags.ts'

/** One implementation under test. `maxMessageBytes` must be 1 MiB. */
export interface AccountMailSubject {
  readonly mail: AccountMail
  readonly close: () => Promise<void>
}

export const MESSAGE = 'From: a@example.org\r\nSubject: hi\r\nMessage-ID: <1@example.org>\r\n\r\nbody\r\n'

/** Appends in two pieces, as a literal arrives. */
export async function append(
  mail: AccountMail,
  mailboxName: string,
  options: { text?: string | Uint8Array; flags?: Flag[]; internalDate?: Date } = {},
): Promise<AppendOutcome> {
  const bytes = Buffer.from(options.text ?? MESSAGE)
  const sink = await mail.beginAppend(mailboxName, bytes.length)
  if ('kind' in sink) return sink
  const half = Math.floor(bytes.length / 2)
  await sink.write(bytes.subarray(0, half))
  await sink.write(bytes.subarray(half))
  return sink.commit({ flags: options.flags ?? [], internalDate: options.internalDate ?? null })
}

export async function appendUid(...args: Parameters<typeof append>): Promise<Uid> {
  const outcome = await append(...args)
  if (outcome.kind !== 'ok') throw new Error(`not appended: ${outcome.kind}`)
  return outcome.uid
}

export interface Session {
  readonly mailbox: OpenMailbox
  readonly changes: MailboxChange[]
}

export async function select(mail: AccountMail, name: string): Promise<Session> {
  const changes: MailboxChange[] = []
  const mailbox = await mail.open(name, (change) => changes.push(change))
  if (mailbox === undefined) throw new Error(`no mailbox ${name}`)
  return { mailbox, changes }
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const collected: T[] = []
  for await (const item of items) collected.push(item)
  return collected
}

export async function readText(
  mailbox: OpenMailbox,
  uid: Uid,
  start = 0,
  end = 2 ** 31,
): Promise<string | undefined> {
  const body = await mailbox.readBody(uid, { start, end })
  return body === undefined ? undefined : Buffer.concat(await collect(body)).toString('latin1')
}

export async function names(mail: AccountMail): Promise<string[]> {
  return (await mail.listMailboxes()).map((info) => (info.selectable ? info.name : `(${info.name})`))
}

export function modSeqOf(change: MailboxChange): number {
  if (change.kind === 'deleted') return 0
  return change.kind === 'expunged' ? change.modSeq : change.message.modSeq
}

export function uidOf(change: MailboxChange): number {
  if (change.kind === 'deleted') return 0
  return change.kind === 'expunged' ? change.uid : change.message.uid
}
