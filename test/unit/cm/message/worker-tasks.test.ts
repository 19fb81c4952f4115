import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { Secret } from '../../../../src/base/secret.ts'
import { encodeMessage } from '../../../../src/cm/message/encode-message.ts'
import { judgeMessage } from '../../../../src/cm/message/judge-message.ts'
import { createWorkerPool, type WorkerPool } from '../../../../src/cm/workers/worker-pool.ts'
import { vectorCertificate, vectorKeyId, vectorOwner } from '../../../support/message-vectors.ts'

let workDir = ''
let pool: WorkerPool
beforeEach(async () => {
  workDir = await mkdtemp(join(tmpdir(), 'cm-workers-'))
  // No task comes near its time limit, so the clock need not run.
  pool = createWorkerPool({ threads: 1, clock: { now: () => 0, after: () => () => undefined } })
})
afterEach(async () => {
  await pool.close()
  await rm(workDir, { recursive: true })
})

it('a message is built, opened and judged on worker threads', async () => {
  const nowMs = Date.UTC(2025, 0, 20)
  const encoded = await encodeMessage(
    {
      workDir,
      sender: {
        keyId: vectorKeyId('alice'),
        text: 'Alice',
        transport: 'server=h:1',
        secretKey: new Secret(vectorOwner('alice').secretKeys[0] ?? ''),
      },
      recipients: ['bob', 'carol'].map((user) => ({
        type: 'to',
        keyId: vectorKeyId(user),
        text: user,
        transport: 'server=h:1',
        certificate: vectorCertificate(user),
      })),
      messageUniqueId: 'ab'.repeat(20),
      subject: 'hello',
      dateMs: nowMs,
      bodyText: 'hello',
    },
    randomBytes,
    (plan) => pool.run('buildMessage', plan),
  )
  const opened = await pool.run('openCiphertext', {
    ciphertextPath: encoded.ciphertextPath,
    workDir,
    owner: vectorOwner('carol'),
  })
  if (opened.kind !== 'opened') throw new Error(opened.reason)
  const judged = await judgeMessage(opened, {
    owner: vectorKeyId('carol'),
    certificates: [vectorCertificate('alice')],
    nowMs,
    verify: (given) => pool.run('verifyDetachedFile', given),
  })
  expect(judged).toMatchObject({ verdict: { signature: 'good' }, isNamed: true })
  expect(Buffer.from(judged.receipt?.acknowledgmentSecret?.reveal() ?? [])).toEqual(
    encoded.recipients[1]?.acknowledgmentSecret.reveal(),
  )
})
