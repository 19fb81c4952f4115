import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openCiphertext } from '../../../../src/cm/message/decode-message.ts'
import { readSecretKey } from '../../../../src/cm/openpgp/secret-keys.ts'
import { hasVector, vectorBytes, vectorPath } from '../../../support/vectors.ts'

/** ACK files of live clients hand over the tokens their files list (CM message 4.3, 4.4). */

const NOW = Date.UTC(2026, 10, 25, 12)
const SENT = [
  { file: '09-send-001.1.bin', from: 'alice', to: 'bob' },
  { file: '12-send-token-attachment-001.1.bin', from: 'bob', to: 'alice' },
  { file: '15-send-using-token-001.1.bin', from: 'alice', to: 'bob' },
] as const

describe('the live course', () => {
  let workDir = ''
  beforeEach(async () => {
    workDir = await mkdtemp(join(tmpdir(), 'cm-live-'))
  })
  afterEach(() => rm(workDir, { recursive: true }))

  const isThere = hasVector('transcripts/keys/alice.secret.asc')
  it.skipIf(!isThere).each(SENT)('$file', async ({ file, from, to }) => {
    const armored = vectorBytes(`transcripts/keys/${to}.secret.asc`).toString('latin1')
    const read = await readSecretKey(armored, { nowMs: NOW })
    if (read.kind !== 'ok') throw new Error(read.kind)
    const { certificate } = read.secretKey
    const opened = await openCiphertext({
      ciphertextPath: vectorPath(`transcripts/client/${file}`) ?? '',
      workDir,
      owner: { keyId: certificate.keyId, secretKeys: [read.secretKey.armored.reveal()] },
    })
    if (opened.kind !== 'opened') throw new Error(opened.reason)
    const { bypassGrant, acknowledgmentId } = opened.acknowledgment
    expect(acknowledgmentId).toBe(opened.header.acknowledgmentIds.get(certificate.keyId))
    const line = `out,${certificate.keyId},${bypassGrant?.secret},${bypassGrant?.created},${bypassGrant?.expires}`
    const issued = vectorBytes(`transcripts/keys/${from}.bypass_tokens.txt`).toString('latin1').split('\n')
    expect(issued).toContain(line)
  })
})
