import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseKeyId } from '../../src/cm/ids.ts'
import { openCiphertext } from '../../src/cm/message/decode-message.ts'
import { readZipEntry } from '../../src/cm/message/zip-read.ts'
import { joinMessageAnnouncements, parseMessageAnnouncements } from '../../src/cm/message-announcement.ts'
import { accountByLogin, loadSecretKey } from '../../src/store/account-queries.ts'
import { openStoreForReading } from '../../src/store/open-store.ts'
import { collect } from '../contract/account-mail-session.ts'
import type { Household } from './bridge-household.ts'

/** The ZIP entries of the message that was last put into the person's mailbox at the CM server, by name. */
export async function lastMessageAtServer(
  household: Household,
  name: string,
): Promise<ReadonlyMap<string, Buffer>> {
  const person = household.person(name)
  const keyId = parseKeyId(person.keyId)
  const read = openStoreForReading(household.data)
  const account = accountByLogin(read, person.address)
  const secretKey = account === undefined ? undefined : loadSecretKey(read, account.id)
  read.close()
  if (keyId === undefined || secretKey === undefined) throw new Error(`${name} has no key`)
  const workDir = await mkdtemp(join(tmpdir(), 'cmb-message-'))
  try {
    const ciphertextPath = join(workDir, 'ciphertext.pgp')
    await writeFile(ciphertextPath, await lastCiphertext(household, person.keyId))
    const owner = { keyId, secretKeys: [secretKey.reveal()] }
    const opened = await openCiphertext({ ciphertextPath, workDir, owner })
    if (opened.kind !== 'opened') throw new Error(`cannot be opened: ${opened.reason}`)
    const entries = new Map<string, Buffer>()
    for (const entry of opened.entries) {
      entries.set(entry.name, Buffer.concat(await collect(readZipEntry(opened.zip, entry))))
    }
    return entries
  } finally {
    await rm(workDir, { recursive: true })
  }
}

async function lastCiphertext({ cmServer }: Household, keyId: string): Promise<Buffer> {
  const mailboxes = cmServer.stored.filter(({ type }) => type === 'message-announcement').toReversed()
  for (const { key } of mailboxes) {
    const mailbox = await cmServer.store.find(key, { type: 'message-announcement' })
    if (mailbox === undefined) continue
    const parsed = parseMessageAnnouncements(joinMessageAnnouncements(await collect(mailbox.records())))
    if (parsed.kind !== 'ok') continue
    const { announcement } = parsed.records.at(-1) ?? {}
    if (announcement?.recipient !== keyId) continue
    const chunks: Uint8Array[] = []
    for (const block of announcement.dataBlocks) {
      const found = await cmServer.store.find(block, { type: 'data' })
      if (found !== undefined) chunks.push(...(await collect(found.payload())))
    }
    return Buffer.concat(chunks)
  }
  throw new Error('no message of theirs is at the server')
}
