import { randomBytes } from 'node:crypto'
import { Secret } from '../../src/base/secret.ts'
import type { KeyId } from '../../src/cm/ids.ts'
import type { AccountMail } from '../../src/imap/port.ts'
import { systemClock } from '../../src/net/system-clock.ts'
import { createAccountMail } from '../../src/store/account-mail.ts'
import { createAccount } from '../../src/store/accounts.ts'
import { openStore } from '../../src/store/open-store.ts'
import { withTempDirectory } from './temp-directory.ts'

/** Octets of every message here: a short letter with its header. */
const MESSAGE_BYTES = 4096
const ADDRESS = 'alice@example.org'

/** Runs with the mail of a new account on a real store. */
export function withAccountMail<Result>(use: (mail: AccountMail) => Promise<Result>): Promise<Result> {
  return withTempDirectory(async (directory) => {
    const onFailure = (error: Error): never => {
      throw error
    }
    const store = await openStore({ directory, clock: systemClock, randomBytes, onFailure })
    try {
      const outcome = await createAccount(
        store,
        {
          address: ADDRESS,
          displayName: '',
          keyId: randomBytes(20).toString('hex') as KeyId,
          servers: [],
          secretKey: new Secret(''),
          appPasswordName: 'bench',
        },
        randomBytes,
      )
      if (outcome.kind !== 'ok') throw new Error('no account')
      const { accountId } = outcome
      return await use(
        createAccountMail({ store, accountId, accountName: ADDRESS, maxMessageBytes: MESSAGE_BYTES }),
      )
    } finally {
      await store.close()
    }
  })
}

/** Delivers so many messages into INBOX, so many of them at the same time; each is durable when it counts as done. */
export async function deliverMessages(mail: AccountMail, count: number, inFlight: number): Promise<void> {
  let next = 0
  const deliverSome = async (): Promise<void> => {
    while (next < count) {
      next += 1
      await deliver(mail, createMessage(next))
    }
  }
  await Promise.all(Array.from({ length: inFlight }, deliverSome))
}

async function deliver(mail: AccountMail, bytes: Uint8Array): Promise<void> {
  const sink = await mail.beginAppend('INBOX', bytes.length)
  if ('kind' in sink) throw new Error(`not taken: ${sink.kind}`)
  await sink.write(bytes)
  const outcome = await sink.commit({ flags: [], internalDate: null })
  if (outcome.kind !== 'ok') throw new Error(`not delivered: ${outcome.kind}`)
}

function createMessage(number: number): Uint8Array {
  const header = [
    `From: Bob Example ${number} <bob@example.net>`,
    `To: Alice Example <${ADDRESS}>`,
    `Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= number ${number}`,
    'Date: Wed, 25 Nov 2026 12:00:00 +0000',
    `Message-ID: <${number}@example.net>`,
    `References: <${number - 1}@example.net>`,
    'MIME-Version: 1.0',
    'Content-Type: text/plain; charset=utf-8',
    '\r\n',
  ].join('\r\n')
  const line = `${'x'.repeat(70)}\r\n`
  return Buffer.from((header + line.repeat(Math.ceil(MESSAGE_BYTES / line.length))).slice(0, MESSAGE_BYTES))
}
