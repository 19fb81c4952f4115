import { createHash, randomBytes } from 'node:crypto'
import type { Clock } from '../../src/base/clock.ts'
import type { Uid } from '../../src/imap/port.ts'
import { createAccountMail } from '../../src/store/account-mail.ts'
import { MAX_INLINE_BYTES } from '../../src/store/blob-store.ts'
import { openStore } from '../../src/store/open-store.ts'

/**
 * Writes to a store until it is killed, and says on standard output, one JSON line each, what was acknowledged.
 * Arguments: directory, account id.
 */
const [directory = '', accountId = ''] = process.argv.slice(2)

const clock: Clock = {
  now: () => Date.UTC(2026, 10, 25),
  after: () => () => {},
}
const store = await openStore({
  directory,
  clock,
  randomBytes,
  onFailure: (error) => {
    throw error
  },
})
const mail = createAccountMail({
  store,
  accountId: Number(accountId),
  accountName: 'a',
  maxMessageBytes: 1024 * 1024,
})

function acknowledge(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}

async function appendForever(worker: number): Promise<never> {
  for (let count = 0; ; count += 1) {
    const isFile = (count + worker) % 4 === 0
    const body = `${worker}-${count}`.padEnd(isFile ? MAX_INLINE_BYTES + 100 : 20, '.')
    const bytes = Buffer.from(`Subject: ${worker}-${count}\r\n\r\n${body}`)
    const sink = await mail.beginAppend('INBOX', bytes.length)
    if ('kind' in sink) throw new Error(sink.kind)
    await sink.write(bytes)
    const outcome = await sink.commit({ flags: [], internalDate: null })
    if (outcome.kind !== 'ok') throw new Error(outcome.kind)
    const sha256 = createHash('sha256').update(bytes).digest('hex')
    acknowledge({ kind: 'appended', uid: outcome.uid, sha256 })
  }
}

/** Moves odd messages away while others are appended. */
async function moveForever(): Promise<never> {
  const waiting: Uid[] = []
  const opened = await mail.open('INBOX', (change) => {
    if (change.kind === 'added') waiting.push(change.message.uid)
  })
  if (opened === undefined) throw new Error('no INBOX')
  for (;;) {
    const uids = waiting.splice(0).filter((uid) => uid % 2 === 1)
    const outcome = await opened.moveTo(uids, 'Archive')
    if (outcome.kind !== 'ok') throw new Error(outcome.kind)
    if (outcome.pairs.length > 0) acknowledge({ kind: 'moved', pairs: outcome.pairs })
    await new Promise((resolve) => setImmediate(resolve))
  }
}

await Promise.all([appendForever(0), appendForever(1), appendForever(2), moveForever()])
