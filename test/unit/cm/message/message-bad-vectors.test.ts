import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { reassembleCiphertext } from '../../../../src/cm/message/block-file.ts'
import { type OpenedMessage, openCiphertext } from '../../../../src/cm/message/decode-message.ts'
import { type DispositionFacts, decideDisposition } from '../../../../src/cm/message/disposition.ts'
import { type JudgedMessage, judgeMessage } from '../../../../src/cm/message/judge-message.ts'
import {
  messageBlocks,
  vectorCertificate,
  vectorKeyId,
  vectorOwner,
} from '../../../support/message-vectors.ts'
import { vectorJson } from '../../../support/vectors.ts'

interface Row {
  readonly name: string
  readonly place: 'inbox' | 'junk' | 'quarantine'
  readonly signature: string
  readonly reason: string
  readonly acknowledges: boolean
  /** Why this is not what the reference does; empty where it is the same. */
  readonly deviation: string
}

const row = (name: string, verdict: string, deviation = ''): Row => {
  const [place, signature, reason, acknowledges] = verdict.split(' ')
  return {
    name,
    place: place as Row['place'],
    signature: signature ?? '',
    reason: reason ?? '',
    acknowledges: acknowledges === 'ack',
    deviation,
  }
}

/** Every crafted message with the safe verdict; the third column says where and why the reference does otherwise. */
const ROWS: readonly Row[] = [
  row('01-good-control', 'inbox good verified ack'),
  row('02-signed-by-unknown-key', 'inbox unknown-key unknown-key'),
  row(
    '03-signed-by-other-known-key',
    'inbox mismatch signer-is-not-from',
    'the reference acknowledges a signature by any known key (CM message 14.3)',
  ),
  row('05-zip-changed-after-signing', 'inbox bad bad-signature'),
  row('06-empty-signature', 'inbox none not-signed'),
  row('07-signature-not-openpgp', 'inbox bad bad-signature'),
  row(
    '08-signature-length-too-large',
    'quarantine none signature-length',
    'the reference takes everything for the signature and never shows the message (CM message 1.2)',
  ),
  row(
    '10-one-byte-container',
    'quarantine none container-empty',
    'the reference raises and stops until it is restarted (CM message 14.14)',
  ),
  row('11-not-a-zip', 'quarantine none not-a-zip', 'the reference loses it silently (CM message 1.7)'),
  row('12-no-header', 'quarantine none no-header', 'the reference loses it silently (CM message 1.7)'),
  row(
    '13-no-from',
    'quarantine none no-from',
    'the reference cannot list the folder any more (CM message 2.3)',
  ),
  row(
    '14-two-from-lines',
    'quarantine none several-from',
    'the reference shows the last From whoever signed (CM message 14.3)',
  ),
  row('16-ack-name-lower-case', 'inbox good verified ack'),
  row(
    '17-ack-wrong-length',
    'inbox good verified ack',
    'the reference posts five bytes as an acknowledgment that nobody can accept (CM message 4.3)',
  ),
  row('18-no-ack-file', 'inbox good verified ack'),
  row('19-ack-unknown-parts', 'inbox good verified ack'),
  row('21-ack-pgp-too-short', 'inbox good verified ack'),
  row('22-encrypted-to-other', 'quarantine none not-for-us', 'the reference deletes it (CM message 5.4)'),
  row('23-ciphertext-damaged', 'quarantine none undecryptable', 'the reference deletes it (CM message 5.4)'),
  row('24-not-openpgp', 'quarantine none not-openpgp', 'the reference deletes it (CM message 5.4)'),
  row(
    '25-wrong-message-hash',
    'quarantine none wrong-message-hash',
    'the reference fetches it again for ever (CM message 1.7)',
  ),
  row('27-pow-below-demand', 'junk good work-below-demand', 'the reference drops it (CM message trap 38)'),
  row(
    '28-pow-below-demand-full-get',
    'junk good work-below-demand',
    'the reference acknowledges it after a Full Get (CM wire 8.6)',
  ),
  row('29-no-data-blocks', 'quarantine none no-data-blocks'),
  row('31-three-small-blocks', 'inbox good verified ack'),
  row('32-same-block-twice', 'quarantine none undecryptable', 'the reference deletes it (CM message 5.4)'),
]

/** The certificates that bob's reference client had, alice's and carol's. */
const KNOWN = ['alice', 'carol'].map(vectorCertificate)
const BOB = vectorOwner('bob')

let workDir = ''
beforeEach(async () => {
  workDir = await mkdtemp(join(tmpdir(), 'cm-bad-'))
})
afterEach(() => rm(workDir, { recursive: true }))

interface Received {
  readonly facts: DispositionFacts
  readonly opened?: OpenedMessage
  readonly judged?: JudgedMessage
}

async function receive(name: string): Promise<Received> {
  const { announcements, blocks } = messageBlocks(`messages-bad/${name}`)
  const announcement = announcements[0]
  if (announcement === undefined) throw new Error('no announcement')
  const files = announcement.dataBlocks.map((key) => blocks.get(key) ?? { key, path: 'missing' })
  const ciphertextPath = join(workDir, 'ciphertext')
  const joined = await reassembleCiphertext({
    blocks: files,
    messageHash: announcement.messageHash,
    outputPath: ciphertextPath,
  })
  if (joined.kind === 'damaged-block') throw new Error('a vector block is damaged')
  if (joined.kind === 'failed') return { facts: { kind: 'unreadable', reason: joined.reason } as const }
  const opened = await openCiphertext({ ciphertextPath, workDir, owner: BOB })
  if (opened.kind === 'unreadable') return { facts: opened }
  const nowMs = Date.parse(announcement.date ?? '') + 300_000
  const judged = await judgeMessage(opened, { owner: BOB.keyId, certificates: KNOWN, nowMs })
  const facts: DispositionFacts = {
    kind: 'readable',
    ...judged,
    signature: judged.verdict.signature,
    heldUntilMs: judged.verdict.heldUntilMs,
    work: name.includes('pow-below') ? 'below' : 'met',
    hasCollision: false,
    isBlocked: false,
  }
  return { facts, opened, judged }
}

describe('a crafted message', () => {
  it('is in the table whatever the reference thinks of it', () => {
    const { cases } = vectorJson<{ cases: { name: string }[] }>('messages-bad/index.json')
    expect(ROWS.map(({ name }) => name)).toEqual(cases.map(({ name }) => name))
  })

  it.each(ROWS)('$name gets the safe verdict', async (expected) => {
    const { facts, judged } = await receive(expected.name)
    const disposition = decideDisposition(facts)
    expect({
      place: disposition.place,
      signature: judged?.verdict.signature ?? 'none',
      reason: disposition.reason,
      acknowledges: disposition.acknowledge,
    }).toEqual({
      place: expected.place,
      signature: expected.signature,
      reason: expected.reason,
      acknowledges: expected.acknowledges,
    })
  })

  it('names the proved signer of a mismatch', async () => {
    const { judged } = await receive('03-signed-by-other-known-key')
    expect(judged?.verdict.signer).toBe(vectorKeyId('carol'))
    expect(judged?.receipt).toBeUndefined()
  })

  it.each([
    ['16-ack-name-lower-case', []],
    ['17-ack-wrong-length', ['acknowledgment-unreadable']],
    ['18-no-ack-file', []],
    ['21-ack-pgp-too-short', ['acknowledgment-unreadable']],
  ])('%s has no secret to post', async (name, warnings) => {
    const { opened, judged } = await receive(name)
    expect(judged?.receipt).toEqual({ acknowledgmentSecret: undefined, bypassGrant: undefined })
    expect(opened?.warnings).toEqual(warnings)
  })

  it('skips unknown parts of an acknowledgment file', async () => {
    const { opened } = await receive('19-ack-unknown-parts')
    const acknowledgment = opened?.acknowledgment
    expect(Buffer.from(acknowledgment?.acknowledgmentSecret ?? []).toString('hex')).toBe(
      '4dc7c9ec434ed06502767136789763ec11d2c4b7',
    )
    expect(acknowledgment?.bypassGrant).toEqual({
      secret: 'a0f1490a20d0211c997b44bc357e1972deab8ae3',
      created: '2025-01-20T00:00:00Z',
      expires: 'never',
    })
  })
})
