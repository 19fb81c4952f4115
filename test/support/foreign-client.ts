import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { duration } from '../../src/base/clock.ts'
import { Secret } from '../../src/base/secret.ts'
import { buildAddressClaim, buildKeyAnnouncement } from '../../src/cm/build-announcements.ts'
import { bypassToken } from '../../src/cm/bypass-token.ts'
import { certificateAddresses } from '../../src/cm/certificate.ts'
import { dataProofInput, encodeDataBlockHeader } from '../../src/cm/data-block.ts'
import { type BlockKey, type KeyId, keyAnnouncementKey, mailboxHash } from '../../src/cm/ids.ts'
import { parseKeyAnnouncement } from '../../src/cm/key-announcement.ts'
import { ackEntryName } from '../../src/cm/message/ack-file.ts'
import { decryptBytes } from '../../src/cm/message/crypto-files.ts'
import { openCiphertext } from '../../src/cm/message/decode-message.ts'
import {
  type EncodedMessage,
  encodeMessage,
  type ForwardedContent,
  type MessageRecipient,
  type MessageToEncode,
} from '../../src/cm/message/encode-message.ts'
import { readZipEntryBytes } from '../../src/cm/message/zip-read.ts'
import {
  announcementProofInput,
  encodeMessageAnnouncement,
  type MessageAnnouncement,
  parseMessageAnnouncements,
} from '../../src/cm/message-announcement.ts'
import { generateKey, readSecretKey } from '../../src/cm/openpgp/secret-keys.ts'
import { type ProofOfWorkStrength, solveProofOfWork } from '../../src/cm/proof-of-work.ts'
import type { SecretKey } from '../../src/cm/secret-key.ts'
import { formatUtcTime } from '../../src/cm/utc-time.ts'
import { accountByLogin, loadSecretKey } from '../../src/store/account-queries.ts'
import { openStoreForReading } from '../../src/store/open-store.ts'
import { authKeyOf, type Household } from './bridge-household.ts'
import { WireClient } from './cm-server-support.ts'

const MAX_TEST_BYTES = 1_000_000

/** Proof of work on this thread: tests wait for it anyway. */
const SOLVER = {
  solve: async (task: ProofOfWorkStrength & { readonly data: Uint8Array }) =>
    solveProofOfWork(task, task.data),
}

export interface ForeignMessage {
  readonly to: string
  readonly subject: string
  readonly text?: string
  /** Where the household's person stands; `to` when absent. */
  readonly field?: 'to' | 'bcc'
  /** Another certificate than the announced one. */
  readonly encryptTo?: string
  /** Recipients beside the one of the household; nothing is posted for them. */
  readonly alsoTo?: readonly MessageRecipient[]
  /** What is unusual about it. */
  readonly message?: Partial<MessageToEncode>
  /** Handed over with the acknowledgment. */
  readonly grant?: MessageRecipient['bypassGrant']
  /** Work and token of the announcement; 24 bits without token when absent. */
  readonly work?: { readonly bits: number; readonly secret?: string }
}

/**
 * A client that is not the bridge: a key of its own, or one of the household's, and whatever messages a test wants,
 * posted to the household's CM server line by line.
 */
export class ForeignClient {
  readonly secretKey: SecretKey
  readonly #household: Household
  readonly #authKey: string | undefined
  readonly #transport: string
  readonly #received = new Set<string>()
  #announcements: number = 0

  private constructor(household: Household, secretKey: SecretKey, authKey?: string) {
    this.#household = household
    this.secretKey = secretKey
    this.#authKey = authKey
    this.#transport = `server=127.0.0.1:${household.gate.port}`
  }

  /** One of the household's guests, announced at the server; takes no bypass tokens. */
  static async create(household: Household, who: { name: string; address: string }): Promise<ForeignClient> {
    const secretKey = await generateKey({ ...who, nowMs: now() - duration.day })
    const client = new ForeignClient(household, secretKey, authKeyOf(who.name))
    await client.announce()
    return client
  }

  /** Another client of one of the household's people. */
  static async ofPerson(household: Household, name: string): Promise<ForeignClient> {
    const read = openStoreForReading(household.data)
    const account = accountByLogin(read, household.person(name).address)
    const armored = account === undefined ? undefined : loadSecretKey(read, account.id)
    read.close()
    const secret = await readSecretKey(armored?.reveal() ?? '', { nowMs: now() })
    if (secret.kind !== 'ok') throw new Error(`${name} has no key`)
    return new ForeignClient(household, secret.secretKey)
  }

  /** What `MessageToEncode` says of this client. */
  get sender(): MessageToEncode['sender'] {
    return {
      keyId: this.keyId,
      text: this.secretKey.certificate.primaryUserId ?? '',
      transport: this.#transport,
      secretKey: new Secret(this.secretKey.armored.reveal()),
    }
  }

  get keyId(): KeyId {
    return this.secretKey.certificate.keyId
  }

  /** Announces the key and the claims of its addresses. */
  async announce(bypassTokenAccepted?: string): Promise<void> {
    // Each is later than the one before, and none lies in the future.
    this.#announcements += 1
    const maker = { solver: SOLVER, nowMs: now() - duration.hour + this.#announcements * duration.second }
    const own = {
      secretKey: this.secretKey,
      transport: {
        kind: 'servers' as const,
        servers: [{ host: '127.0.0.1', port: this.#household.gate.port }],
      },
      mailboxPrefixes: ['0', '1'],
      senderProofOfWork: { bits: 24, matches: 2 },
      bypassTokenAccepted,
    }
    const key = await buildKeyAnnouncement(own, maker)
    await this.#store(key.key, key.text)
    for (const address of certificateAddresses(this.secretKey.certificate)) {
      const claim = await buildAddressClaim({ secretKey: this.secretKey, address }, maker)
      await this.#store(claim.key, claim.text)
    }
  }

  /** Posts a message for one of the household's people; returns what it was encoded to. */
  async send(given: ForeignMessage): Promise<EncodedMessage> {
    const recipient = await this.#recipient(given)
    const workDir = await mkdtemp(join(tmpdir(), 'cmb-foreign-'))
    try {
      const encoded = await encodeMessage(
        this.#message(workDir, {
          recipients: [recipient, ...(given.alsoTo ?? [])],
          subject: given.subject,
          bodyText: given.text ?? '',
          ...given.message,
        }),
        randomBytes,
      )
      await this.#post(encoded, recipient.keyId, given.work)
      return encoded
    } finally {
      await rm(workDir, { recursive: true })
    }
  }

  /** What is announced to this client, by Date. */
  announcements(): Promise<MessageAnnouncement[]> {
    return announcementsIn(this.#household, this.#reader)
  }

  get #reader(): Reader {
    return { keyId: this.keyId, authKey: this.#authKey ?? '' }
  }

  /** The entries of the message that was announced to this client since the last call, by name, and what its ACK file holds. */
  async receive(): Promise<{ entries: ReadonlyMap<string, Buffer>; acknowledgment: string }> {
    const announced = await this.announcements()
    const announcement = announced.find(({ messageHash }) => !this.#received.has(messageHash))
    for (const { messageHash } of announced) this.#received.add(messageHash)
    const reader = this.#reader
    const answers = await Promise.all(
      (announcement?.dataBlocks ?? []).map((key) => getLines(this.#household, key, reader)),
    )
    const payloads = answers.map((lines) => Buffer.from(lines.at(-1) ?? '', 'latin1'))
    const workDir = await mkdtemp(join(tmpdir(), 'cmb-foreign-'))
    try {
      const ciphertextPath = join(workDir, 'message.pgp')
      await writeFile(ciphertextPath, Buffer.concat(payloads))
      const secretKeys = [this.secretKey.armored.reveal()]
      const opened = await openCiphertext({
        ciphertextPath,
        workDir,
        owner: { keyId: this.keyId, secretKeys },
      })
      if (opened.kind !== 'opened') throw new Error(`the message cannot be read: ${opened.reason}`)
      const entries = new Map<string, Buffer>()
      for (const entry of opened.entries) {
        entries.set(entry.name, await readZipEntryBytes(opened.zip, entry, { maxBytes: MAX_TEST_BYTES }))
      }
      const sealed = entries.get(ackEntryName(this.keyId, 'PGP')) ?? Buffer.alloc(0)
      const ack = await decryptBytes(sealed, { secretKeys, maxBytes: MAX_TEST_BYTES })
      return { entries, acknowledgment: Buffer.from(ack ?? []).toString('latin1') }
    } finally {
      await rm(workDir, { recursive: true })
    }
  }

  /** A signed message of this client to itself as a forward carries it; `id` is what one would have received it under. */
  async container({
    alsoTo = [],
    ...message
  }: Partial<MessageToEncode> &
    Pick<ForeignMessage, 'alsoTo'> & { readonly subject: string }): Promise<ForwardedContent> {
    const workDir = await mkdtemp(join(tmpdir(), 'cmb-foreign-'))
    try {
      const { certificate } = this.secretKey
      const self = { type: 'to' as const, keyId: this.keyId, text: 'self', transport: this.#transport }
      const encoded = await encodeMessage(
        this.#message(workDir, {
          ...message,
          recipients: [{ ...self, certificate: certificate.armored }, ...alsoTo],
        }),
        randomBytes,
      )
      const opened = await openCiphertext({
        ciphertextPath: encoded.ciphertextPath,
        workDir,
        owner: { keyId: this.keyId, secretKeys: [this.secretKey.armored.reveal()] },
      })
      if (opened.kind !== 'opened') throw new Error('our own message cannot be read')
      const { zip } = opened
      const container = 'path' in zip ? await readFile(zip.path) : zip.bytes
      const bytes = container.subarray(zip.start)
      return { id: encoded.announcementId, zip: { bytes }, signature: opened.signature }
    } finally {
      await rm(workDir, { recursive: true })
    }
  }

  #message(
    workDir: string,
    message: Partial<MessageToEncode> & Pick<MessageToEncode, 'subject' | 'recipients'>,
  ): MessageToEncode {
    return {
      workDir,
      sender: this.sender,
      messageUniqueId: randomBytes(20).toString('hex'),
      dateMs: now(),
      bodyText: '',
      ...message,
    }
  }

  async #recipient(given: ForeignMessage): Promise<MessageRecipient> {
    const person = this.#household.person(given.to)
    const keyId = person.keyId as KeyId
    const parsed = parseKeyAnnouncement(await blockAt(this.#household, keyAnnouncementKey(keyId)))
    if (parsed.kind !== 'ok') throw new Error(`${given.to} is not announced`)
    return {
      type: given.field ?? 'to',
      keyId,
      text: `${given.to} <${person.address}>`,
      transport: this.#transport,
      certificate: given.encryptTo ?? parsed.announcement.keyBlock,
      bypassGrant: given.grant,
    }
  }

  async #post(
    encoded: EncodedMessage,
    recipient: KeyId,
    work: ForeignMessage['work'] = { bits: 24 },
  ): Promise<void> {
    const date = formatUtcTime(now())
    const bytes = await readFile(encoded.ciphertextPath)
    for (const { key, start, end } of encoded.blocks) {
      const payload = bytes.subarray(start, end)
      const proofOfWork = solveProofOfWork(
        { bits: 8, matches: 2 },
        Buffer.concat(dataProofInput(date, payload)),
      )
      await this.#store(
        key,
        encodeDataBlockHeader({ date, proofOfWork, payloadBytes: payload.length }),
        payload,
      )
    }
    const parts = {
      date,
      recipient,
      messageHash: encoded.messageHash,
      dataBlocks: encoded.blocks.map(({ key }) => key),
    }
    const proofInput = announcementProofInput(parts)
    const text = encodeMessageAnnouncement({
      ...parts,
      mailboxPrefix: '1',
      proofOfWork: solveProofOfWork({ bits: work.bits, matches: 2 }, proofInput),
      bypassToken: work.secret === undefined ? undefined : bypassToken(work.secret, proofInput),
    })
    await this.#store(mailboxHash('1', recipient), text)
  }

  async #store(key: BlockKey, lines: string, payload?: Uint8Array): Promise<void> {
    const client = await WireClient.connectSecure(this.#household.cmServer.port)
    try {
      if (this.#authKey !== undefined) await client.ask(`LOGIN ${this.keyId} ${this.#authKey}`)
      client.send(`STORE SERVER ${key}\r\n${lines.replaceAll('\n', '\r\n')}`)
      client.send(payload ?? 'EndBlock\r\n')
      const reply = await client.line()
      if (reply !== 'DONE') throw new Error(`the CM server said ${reply}`)
    } finally {
      client.destroy()
    }
  }
}

/** Whole seconds, as dates on the wire are. */
function now(): number {
  return Math.floor(Date.now() / 1000) * 1000
}

interface Reader {
  readonly keyId: string
  readonly authKey: string
}

/** What a GET answers to somebody who is logged in, or to anybody. */
async function getLines(household: Household, key: BlockKey, reader?: Reader): Promise<string[]> {
  const client = await WireClient.connectSecure(household.cmServer.port)
  try {
    if (reader !== undefined) await client.ask(`LOGIN ${reader.keyId.toUpperCase()} ${reader.authKey}`)
    return await client.get(`GET SERVER ${key}`)
  } finally {
    client.destroy()
  }
}

/** The text block under a key at the household's CM server; empty when there is none. */
async function blockAt(household: Household, key: BlockKey, reader?: Reader): Promise<string> {
  const lines = await getLines(household, key, reader)
  return lines.at(-1) === 'EndBlock' ? `${lines.slice(0, -1).join('\n')}\n` : ''
}

async function announcementsIn(household: Household, reader: Reader): Promise<MessageAnnouncement[]> {
  const mailboxes = ['0', '1', '2', '3'].map((prefix) => mailboxHash(prefix, reader.keyId as KeyId))
  const texts = await Promise.all(mailboxes.map((key) => blockAt(household, key, reader)))
  return texts
    .flatMap((text) => {
      const parsed = parseMessageAnnouncements(text)
      return parsed.kind === 'ok' ? parsed.records.map(({ announcement }) => announcement) : []
    })
    .sort((a, b) => (a.date ?? '').localeCompare(b.date ?? ''))
}

/** The announcements that lie at the household's CM server for one of its people, by Date. */
export function announcementsFor(household: Household, name: string): Promise<MessageAnnouncement[]> {
  return announcementsIn(household, { keyId: household.person(name).keyId, authKey: authKeyOf(name) })
}

/** The key announcement at the household's CM server; empty when there is none. */
export function keyAnnouncementOf(household: Household, keyId: string): Promise<string> {
  return blockAt(household, keyAnnouncementKey(keyId as KeyId))
}
