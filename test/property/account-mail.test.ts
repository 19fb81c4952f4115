import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { AccountMail, MailboxChange, MessageSummary, OpenMailbox, Uid } from '../../src/imap/port.ts'
import { createAccountMail } from '../../src/store/account-mail.ts'
import { MemoryAccountMail } from '../../src/store/memory-account-mail.ts'
import { append } from '../contract/account-mail-session.ts'
import { createTempDirectory, createTestClock, insertTestAccount, openTestStore } from '../support/store.ts'

const MAILBOXES = ['INBOX', 'Archive', 'a', 'a/b', 'c'] as const
const mailboxName = fc.constantFrom(...MAILBOXES)
const flag = fc.constantFrom('\\Seen', '\\Deleted', '\\Flagged', '\\seen', 'Red', 'RED', 'blue')
const flags = fc.array(flag, { maxLength: 3 })
const uids = fc.array(fc.integer({ min: 1, max: 8 }), { maxLength: 4 })

/** One step on one mailbox; UIDs may or may not be there. */
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('append' as const), name: mailboxName, flags }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('store' as const),
      name: mailboxName,
      uids,
      mode: fc.constantFrom('replace' as const, 'add' as const, 'remove' as const),
      flags,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('expunge' as const), name: mailboxName, uids: fc.option(uids) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constantFrom('copy' as const, 'move' as const),
      name: mailboxName,
      uids,
      to: mailboxName,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constantFrom('create' as const, 'delete' as const), name: mailboxName }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('rename' as const), name: mailboxName, to: mailboxName }),
  },
)
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

/** What a session knows of a mailbox: its snapshot, brought up to date by changes alone. */
class Follower {
  readonly messages = new Map<Uid, MessageSummary>()
  #highestUid: number
  isDeleted = false

  constructor(opened: OpenMailbox) {
    for (const message of opened.messages) this.messages.set(message.uid, message)
    this.#highestUid = opened.uidNext - 1
  }

  apply(change: MailboxChange): void {
    switch (change.kind) {
      case 'added':
        expect(change.message.uid).toBeGreaterThan(this.#highestUid)
        this.#highestUid = change.message.uid
        this.messages.set(change.message.uid, change.message)
        return
      case 'flags':
        expect(change.message.modSeq).toBeGreaterThan(
          this.messages.get(change.message.uid)?.modSeq ?? Infinity,
        )
        this.messages.set(change.message.uid, change.message)
        return
      case 'expunged':
        expect(this.messages.delete(change.uid)).toBe(true)
        return
      case 'deleted':
        this.isDeleted = true
        return
    }
  }
}

async function follow(mail: AccountMail, name: string): Promise<Follower | undefined> {
  const early: MailboxChange[] = []
  let follower: Follower | undefined
  const opened = await mail.open(name, (change) => {
    if (follower === undefined) early.push(change)
    else follower.apply(change)
  })
  if (opened === undefined) return undefined
  follower = new Follower(opened)
  for (const change of early) follower.apply(change)
  return follower
}

/** Runs a step; what it answers, without the UIDVALIDITY, which each store chooses for itself. */
async function run(mail: AccountMail, one: Step, subject: number): Promise<unknown> {
  switch (one.kind) {
    case 'append':
      return withoutUidValidity(
        await append(mail, one.name, { flags: one.flags, text: `Subject: ${subject}\r\n\r\n` }),
      )
    case 'create':
      return mail.createMailbox(one.name)
    case 'delete':
      return mail.deleteMailbox(one.name)
    case 'rename':
      return mail.renameMailbox(one.name, one.to)
    default:
      return runSelected(mail, one)
  }
}

type SelectedStep = Extract<Step, { kind: 'store' | 'expunge' | 'copy' | 'move' }>

async function runSelected(mail: AccountMail, one: SelectedStep): Promise<unknown> {
  const opened = await mail.open(one.name, () => {})
  if (opened === undefined) return undefined
  try {
    switch (one.kind) {
      case 'store':
        return await opened.storeFlags(one.uids as Uid[], one.mode, one.flags)
      case 'expunge':
        return await opened.expunge((one.uids ?? undefined) as Uid[] | undefined)
      case 'copy':
        return withoutUidValidity(await opened.copyTo(one.uids as Uid[], one.to))
      case 'move':
        return withoutUidValidity(await opened.moveTo(one.uids as Uid[], one.to))
    }
  } finally {
    opened.close()
  }
}

function withoutUidValidity(outcome: object): object {
  return { ...outcome, uidValidity: undefined }
}

/** Everything a client could see, except UIDVALIDITY and MODSEQ, whose steps are each store's own. */
async function view(mail: AccountMail): Promise<unknown> {
  const infos = await mail.listMailboxes()
  const contents = await Promise.all(
    infos.map(async ({ name }) => {
      const opened = await mail.open(name, () => {})
      opened?.close()
      const {
        uidValidity: _validity,
        highestModSeq: _modSeq,
        ...status
      } = (await mail.status(name)) ?? {
        uidValidity: 0,
        highestModSeq: 0,
      }
      return { name, status, messages: opened?.messages.map(({ uid, flags }) => ({ uid, flags })) }
    }),
  )
  return { infos, contents, subscriptions: await mail.listSubscriptions() }
}

describe('any sequence of steps', () => {
  it('leaves SQLite and memory equal, followers up to date, and no UID means two messages', async () => {
    const directory = await createTempDirectory()
    const store = await openTestStore(directory.path)
    const steps = fc.array(step, { minLength: 1, maxLength: 40 })
    await fc.assert(
      fc.asyncProperty(steps, async (sequence) => {
        const accountId = await insertTestAccount(store)
        const options = { accountName: 'a', maxMessageBytes: 1000, clock: createTestClock() }
        const stored = createAccountMail({ ...options, store, accountId })
        const model = new MemoryAccountMail(options)
        const subjects = new Map<string, string | null>()
        for (const [index, one] of sequence.entries()) {
          const follower = await follow(stored, one.name)
          expect(normalize(await run(stored, one, index))).toEqual(normalize(await run(model, one, index)))
          expect(await view(stored)).toEqual(await view(model))
          if (follower?.isDeleted === false && one.kind !== 'rename') {
            const opened = await stored.open(one.name, () => {})
            opened?.close()
            expect([...follower.messages.values()]).toEqual(opened?.messages)
          }
          await checkIdentities(stored, subjects)
        }
      }),
      { numRuns: 150 },
    )
    await store.close()
    await directory.remove()
  })
})

/** UIDVALIDITY and UID together mean one message for ever (RFC 9051 2.3.1.1). */
async function checkIdentities(mail: AccountMail, subjects: Map<string, string | null>): Promise<void> {
  for (const { name } of await mail.listMailboxes()) {
    const opened = await mail.open(name, () => {})
    if (opened === undefined) continue
    opened.close()
    for await (const { uid, index } of opened.fetch(opened.messages.map((message) => message.uid))) {
      const identity = `${opened.uidValidity}:${uid}`
      expect(subjects.get(identity) ?? index.envelope.subject).toBe(index.envelope.subject)
      subjects.set(identity, index.envelope.subject)
    }
  }
}

/** MODSEQs differ between the two; everything else of an answer must not. */
function normalize(answer: unknown): unknown {
  if (!Array.isArray(answer)) return answer
  return answer.map((item: unknown) =>
    typeof item === 'object' && item !== null ? { ...item, modSeq: undefined } : item,
  )
}
