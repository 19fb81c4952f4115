import { randomBytes } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { openCiphertext } from '../../src/cm/message/decode-message.ts'
import { encodeMessage } from '../../src/cm/message/encode-message.ts'
import { judgeMessage } from '../../src/cm/message/judge-message.ts'
import { generateKey } from '../../src/cm/openpgp/secret-keys.ts'
import type { SecretKey } from '../../src/cm/secret-key.ts'
import { type Bench, progress, type Row, timed } from './table.ts'
import { withTempDirectory } from './temp-directory.ts'

const MIB = 1024 * 1024
const SIZES = [
  { mebibytes: 1, instances: 5 },
  { mebibytes: 32, instances: 1 },
] as const

/** A message with one attachment that cannot be compressed: signed, encrypted, cut; then opened and verified. */
export const messageBench: Bench = {
  name: 'message',
  run: () =>
    withTempDirectory(async (directory) => {
      const [alice, bob] = await Promise.all([makeKey('alice'), makeKey('bob')])
      // Once before, so that the first measurement does not pay for what is compiled and loaded.
      await measureOnce(join(directory, 'warm-up'), { alice, bob, mebibytes: 1 })
      const rows: Row[] = []
      for (const { mebibytes, instances } of SIZES) {
        progress(`message of ${mebibytes} MiB, ${instances} times`)
        const total = { encodeMs: 0, decodeMs: 0 }
        for (let instance = 0; instance < instances; instance += 1) {
          const workDir = join(directory, `${mebibytes}-${instance}`)
          const once = await measureOnce(workDir, { alice, bob, mebibytes })
          total.encodeMs += once.encodeMs
          total.decodeMs += once.decodeMs
        }
        rows.push(...toRows(mebibytes, instances, total))
      }
      return rows
    }),
}

interface Times {
  readonly encodeMs: number
  readonly decodeMs: number
}

function toRows(mebibytes: number, instances: number, { encodeMs, decodeMs }: Times): Row[] {
  const total = mebibytes * instances * 1000
  return [
    { what: `encode ${mebibytes} MiB`, value: total / encodeMs, unit: 'MiB/s' },
    {
      what: `decode ${mebibytes} MiB`,
      value: total / decodeMs,
      unit: 'MiB/s',
      ratio: { of: encodeMs / decodeMs, to: 'encode' },
    },
  ]
}

function makeKey(name: string): Promise<SecretKey> {
  return generateKey({ name, address: `${name}@example.org`, nowMs: Date.now() })
}

interface Exchange {
  readonly alice: SecretKey
  readonly bob: SecretKey
  readonly mebibytes: number
}

async function measureOnce(workDir: string, { alice, bob, mebibytes }: Exchange): Promise<Times> {
  await mkdir(workDir)
  const attachment = join(workDir, 'attachment.bin')
  await pipeline(randomChunks(mebibytes), createWriteStream(attachment))
  const transport = 'server=127.0.0.1:8081'
  const encoded = await timed(() =>
    encodeMessage(
      {
        workDir,
        sender: {
          keyId: alice.certificate.keyId,
          text: 'alice <alice@example.org>',
          transport,
          secretKey: alice.armored,
        },
        recipients: [
          {
            type: 'to',
            keyId: bob.certificate.keyId,
            text: 'bob <bob@example.org>',
            transport,
            certificate: bob.certificate.armored,
          },
        ],
        messageUniqueId: randomBytes(20).toString('hex'),
        subject: 'Bench',
        dateMs: Date.now(),
        bodyText: 'Hello.\n',
        attachments: [{ name: 'attachment.bin', path: attachment, size: mebibytes * MIB }],
      },
      randomBytes,
    ),
  )
  const { ciphertextPath } = encoded.result
  const decoded = await timed(() => decode({ ciphertextPath, workDir, alice, bob }))
  return { encodeMs: encoded.elapsedMs, decodeMs: decoded.elapsedMs }
}

async function decode(given: {
  readonly ciphertextPath: string
  readonly workDir: string
  readonly alice: SecretKey
  readonly bob: SecretKey
}): Promise<void> {
  const { ciphertextPath, workDir, alice, bob } = given
  const { keyId } = bob.certificate
  const owner = { keyId, secretKeys: [bob.armored.reveal()] }
  const opened = await openCiphertext({ ciphertextPath, workDir, owner })
  if (opened.kind !== 'opened') throw new Error(`the message could not be opened: ${opened.reason}`)
  const certificates = [alice.certificate.armored]
  const { verdict } = await judgeMessage(opened, { owner: keyId, certificates, nowMs: Date.now() })
  if (verdict.signature !== 'good') throw new Error(`the signature is ${verdict.signature}`)
}

function* randomChunks(mebibytes: number): Generator<Buffer> {
  for (let count = 0; count < mebibytes; count += 1) yield randomBytes(MIB)
}
