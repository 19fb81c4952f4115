import { describe, expect, it } from 'vitest'
import type { Clock } from '../../../../src/base/clock.ts'
import { duration } from '../../../../src/base/clock.ts'
import type { KeyId } from '../../../../src/cm/ids.ts'
import { type NotificationMail, Notifier } from '../../../../src/cm/server/notifier.ts'
import { parseNotifyFile } from '../../../../src/cm/server/notify-file.ts'
import {
  ALICE,
  asAlice,
  BOB,
  DATE_MS,
  endPeopleServerAfterEach,
  loggedIn,
  NOW_MS,
  send,
  startPeopleServer,
} from '../../../support/cm-people.ts'
import { textBlock, upload, wireAnnouncement, wireRecord } from '../../../support/cm-wire-blocks.ts'

const SETTINGS = parseNotifyFile(`fromaddr=cm@example.org\n${BOB},email,bob@example.net\n`)

endPeopleServerAfterEach()

interface NotifierUnderTest {
  readonly notifier: Notifier
  readonly sent: NotificationMail[]
  readonly errors: unknown[]
  readonly advance: (ms: number) => void
}

function createNotifier(deliver: () => Promise<void> = async () => undefined): NotifierUnderTest {
  const sent: NotificationMail[] = []
  const errors: unknown[] = []
  let nowMs = NOW_MS
  const clock: Clock = { now: () => nowMs, after: () => () => undefined }
  const notifier = new Notifier({
    clock,
    randomBytes: (count) => Buffer.alloc(count, 7),
    send: async (mail) => {
      sent.push(mail)
      await deliver()
    },
    log: { debug: () => undefined, error: ({ cause }) => errors.push(cause) },
  })
  notifier.use(SETTINGS)
  const advance = (ms: number): void => {
    nowMs += ms
  }
  return { notifier, sent, errors, advance }
}

const stored = (...records: readonly string[]) =>
  ({ type: 'message-announcement', key: '' as never, from: 'client', added: records }) as const
const record = (payload: string, recipient: KeyId = BOB, serverNotify = true): string =>
  wireRecord({ recipient, payload, dateMs: DATE_MS, serverNotify })
/** Lets what was begun run. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('a notification', () => {
  it('is one short mail with Date and Message-ID, and says nothing of the message', async () => {
    const { notifier, sent } = createNotifier()
    notifier.noteStored(stored(record('one'), record('two')))
    await settled()
    expect(sent).toEqual([
      {
        from: 'cm@example.org',
        to: 'bob@example.net',
        subject: 'You have new Confidant Mail.',
        text: 'You have new Confidant Mail.\n',
        dateMs: NOW_MS,
        messageId: `<${'07'.repeat(16)}@example.org>`,
      },
    ])
  })

  it('goes to nobody who is not in the file, nor for other types, nor for what another server handed on', async () => {
    const { notifier, sent } = createNotifier()
    notifier.noteStored(stored(record('for alice', ALICE)))
    notifier.noteStored({ ...stored(record('handed on')), from: 'replica' })
    notifier.noteStored({ type: 'data', key: '' as never, from: 'client', added: [] })
    notifier.use(undefined)
    notifier.noteStored(stored(record('switched off')))
    await settled()
    expect(sent).toEqual([])
  })

  it('that cannot be sent is logged, and the next one is tried', async () => {
    const { notifier, sent, errors } = createNotifier(() => Promise.reject(new Error('no server')))
    notifier.noteStored(stored(record('one')))
    await settled()
    notifier.noteStored(stored(record('two')))
    await settled()
    expect(sent).toHaveLength(2)
    expect(errors).toHaveLength(2)
  })

  it('waits once for each person while a mail server is slow, and what comes meanwhile is told afterwards', async () => {
    const slow = Promise.withResolvers<void>()
    const { notifier, sent } = createNotifier(() => slow.promise)
    for (const payload of ['one', 'two', 'three', 'four']) notifier.noteStored(stored(record(payload)))
    await settled()
    expect(sent).toHaveLength(1)
    slow.resolve()
    await settled()
    await settled()
    expect(sent.length).toBeLessThanOrEqual(2)
    await notifier.close()
  })

  it('comes ten times at once and then once a minute, however much is posted', async () => {
    const { notifier, sent, advance } = createNotifier()
    const post = async (count: number): Promise<void> => {
      for (let index = 0; index < count; index += 1) {
        notifier.noteStored(stored(record(`${sent.length} ${index}`)))
        await settled()
      }
    }
    await post(25)
    expect(sent).toHaveLength(10)
    advance(2 * duration.minute)
    await post(5)
    expect(sent).toHaveLength(12)
  })
})

describe('S13: notification abuse', () => {
  it('S13: a record that is refused, or was there before, tells nobody', async () => {
    const { notifier, sent } = createNotifier()
    const on = await startPeopleServer({
      context: (context) => ({ ...context, onStored: (block) => notifier.noteStored(block) }),
    })
    const client = await asAlice(on)
    const first = wireAnnouncement({ recipient: BOB, payload: 'first', dateMs: DATE_MS })
    expect(await send(client, upload(first))).toBe('DONE')
    await settled()
    expect(sent).toHaveLength(1)
    // The same again, alone and beside a new one for a mailbox that holds something valid.
    expect(await send(client, upload(first))).toBe('DONE')
    const bogus = record('bogus').replace(/ProofOfWork: .*/, 'ProofOfWork: bd,000000001,000000002')
    expect(await send(client, upload(textBlock(first.key, bogus)))).toBe('DONE')
    await settled()
    expect(sent).toHaveLength(1)
    const second = `${record('first')}NextMessage\n${record('second')}`
    expect(await send(client, upload(textBlock(first.key, second)))).toBe('DONE')
    await settled()
    expect(sent).toHaveLength(2)
  })

  it('S13: ServerNotify: False mutes its own record alone', async () => {
    const { notifier, sent } = createNotifier()
    const on = await startPeopleServer({
      context: (context) => ({ ...context, onStored: (block) => notifier.noteStored(block) }),
    })
    const client = await asAlice(on)
    const muted = wireAnnouncement({ recipient: BOB, payload: 'sync', dateMs: DATE_MS, serverNotify: false })
    expect(await send(client, upload(muted))).toBe('DONE')
    await settled()
    expect(sent).toEqual([])
    const loud = wireAnnouncement({ recipient: BOB, payload: 'mail', dateMs: DATE_MS })
    expect(loud.key).toBe(muted.key)
    expect(await send(client, upload(loud))).toBe('DONE')
    await settled()
    expect(sent).toHaveLength(1)
  })

  it('S13: a replica tells nobody, but the bridge hears of it', async () => {
    const { notifier, sent } = createNotifier()
    const on = await startPeopleServer({
      context: (context) => ({
        ...context,
        onStored: (block) => {
          notifier.noteStored(block)
          context.onStored?.(block)
        },
      }),
    })
    const peer = await loggedIn(on, 'replication REPLICATIONKEY01')
    const mail = wireAnnouncement({ recipient: BOB, dateMs: DATE_MS })
    expect(await send(peer, upload(mail, 'REPLICATE', ' none'))).toBe('DONE')
    await settled()
    expect(sent).toEqual([])
    expect(on.stored).toMatchObject([{ type: 'message-announcement', from: 'replica' }])
  })
})
