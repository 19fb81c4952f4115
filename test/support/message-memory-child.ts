import { randomBytes } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { Secret } from '../../src/base/secret.ts'
import { openCiphertext } from '../../src/cm/message/decode-message.ts'
import { encodeMessage } from '../../src/cm/message/encode-message.ts'
import { judgeMessage } from '../../src/cm/message/judge-message.ts'
import { vectorCertificate, vectorKeyId, vectorOwner } from './message-vectors.ts'

/** Sends itself a message with an attachment of argv[2] octets and prints the process's peak memory in bytes. */

const size = Number(process.argv[2])
const dateMs = Date.UTC(2025, 0, 20)
const workDir = await mkdtemp(join(tmpdir(), 'cm-memory-'))
try {
  const path = join(workDir, 'attachment')
  await pipeline(randomChunks(size), createWriteStream(path))
  const encoded = await encodeMessage(
    {
      workDir,
      sender: {
        keyId: vectorKeyId('alice'),
        text: 'Alice',
        transport: 'server=h:1',
        secretKey: new Secret(vectorOwner('alice').secretKeys[0] ?? ''),
      },
      recipients: [
        {
          type: 'to',
          keyId: vectorKeyId('bob'),
          text: 'Bob',
          transport: 'server=h:1',
          certificate: vectorCertificate('bob'),
        },
      ],
      messageUniqueId: 'ab'.repeat(20),
      subject: '',
      dateMs,
      bodyText: '',
      attachments: [{ name: 'a', path, size }],
    },
    randomBytes,
  )
  const opened = await openCiphertext({
    ciphertextPath: encoded.ciphertextPath,
    workDir,
    owner: vectorOwner('bob'),
  })
  if (opened.kind !== 'opened') throw new Error(opened.reason)
  const judged = await judgeMessage(opened, {
    owner: vectorKeyId('bob'),
    certificates: [vectorCertificate('alice')],
    nowMs: dateMs,
  })
  if (judged.verdict.signature !== 'good') throw new Error(judged.verdict.signature)
  if (opened.attachments[0]?.size !== size) throw new Error('the attachment has another size')
  process.stdout.write(`${process.resourceUsage().maxRSS * 1024}`)
} finally {
  await rm(workDir, { recursive: true })
}

function* randomChunks(total: number): Generator<Uint8Array> {
  const chunk = randomBytes(1024 * 1024)
  for (let left = total; left > 0; left -= chunk.length) yield chunk.subarray(0, Math.min(left, chunk.length))
}
