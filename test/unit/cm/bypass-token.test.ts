import { describe, expect, it } from 'vitest'
import {
  type BypassSecret,
  bypassToken,
  chooseBypassSecret,
  findBypassSecret,
} from '../../../src/cm/bypass-token.ts'
import { type KeyId, parseKeyId } from '../../../src/cm/ids.ts'
import { announcementProofInput, parseMessageAnnouncements } from '../../../src/cm/message-announcement.ts'
import { parseUtcTime } from '../../../src/cm/utc-time.ts'
import { readTranscript } from '../../support/cm-transcript.ts'
import { hasVector, vectorBytes, vectorJson } from '../../support/vectors.ts'

interface BypassRow {
  readonly name: string
  readonly operation: string
  readonly clock: string
  readonly localOffsetMinutes: number
  readonly arguments: readonly [string, { readonly hex: string }]
  readonly fileBefore: string | null
  readonly result?: string | null
  readonly exception?: object
}

const { cases } = vectorJson<{ readonly cases: readonly BypassRow[] }>('bypass.json')

/** The reference's token file, read as its own code reads it. */
function secretsOf(row: Pick<BypassRow, 'fileBefore'>, direction: 'in' | 'out'): BypassSecret[] {
  const lines = (row.fileBefore ?? '').replaceAll('\r', '').split('\n')
  return lines.flatMap((line) => {
    const [way, keyId = '', secret = '', created = '', expires = ''] = line.split(',')
    return way === direction ? [{ keyId: keyId as KeyId, secret, created, expires }] : []
  })
}

/** The reference compares with local time. */
function localNow(row: BypassRow): number {
  return (parseUtcTime(row.clock) as number) + row.localOffsetMinutes * 60_000
}

/** Rows where ours is another answer, and why. */
const DEVIATIONS: Readonly<Record<string, string>> = {
  'generate-future-by-local-time':
    'CM wire 6: a token from a peer east of us is used at once, 26 hours of slack',
}

describe('tokens as the reference made them', () => {
  const made = cases.filter((row) => row.operation === 'generate_bypass_hash' && row.exception === undefined)
  it.each(made)('$name', (row) => {
    const [keyText, { hex }] = row.arguments
    const keyId = parseKeyId(keyText) as KeyId
    // Every secret is accepted from the beginning of time: the reference does not look at the recipient's date.
    const recipient = { keyId, accepted: '2000-01-01T00:00:00Z' }
    const secret = chooseBypassSecret(secretsOf(row, 'in'), recipient, localNow(row))
    const token = secret === undefined ? null : bypassToken(secret.secret, Buffer.from(hex, 'hex'))
    if (DEVIATIONS[row.name] === undefined) expect(token).toBe(row.result)
    else expect(token).not.toBe(row.result)
  })

  const verified = cases.filter(
    (row) => row.operation === 'verify_bypass_hash' && row.exception === undefined,
  )
  it.each(verified)('$name', (row) => {
    const [token, { hex }] = row.arguments
    const issued = { secrets: secretsOf(row, 'out'), nowMs: localNow(row) }
    const found = findBypassSecret(token, Buffer.from(hex, 'hex'), issued)
    expect(found?.keyId ?? null).toBe(row.result)
  })
})

describe('chooseBypassSecret', () => {
  const keyId = parseKeyId('e6e73df5920e7325f02029372afa2d8ead20d7fa') as KeyId
  const secret = { keyId, secret: '00'.repeat(20), created: '2025-01-10T00:00:00Z', expires: 'never' }
  const nowMs = Date.UTC(2025, 0, 20)

  it('uses no token that the recipient no longer takes', () => {
    expect(chooseBypassSecret([secret], { keyId, accepted: undefined }, nowMs)).toBeUndefined()
    expect(chooseBypassSecret([secret], { keyId, accepted: '2025-01-10T00:00:01Z' }, nowMs)).toBeUndefined()
    expect(chooseBypassSecret([secret], { keyId, accepted: '2025-01-10T00:00:00Z' }, nowMs)).toBe(secret)
  })

  it('works the example of CM wire 6', () => {
    const input = Buffer.concat([
      Buffer.from('8cc800cd4e7db6ac52ef2cfbcedb5e7b5f1809d3e70160031f913813728c82eea24463eab42101d1', 'hex'),
      Buffer.from('2026-11-22T20:05:00Z'),
      Buffer.from('6f5da974b29336c8041462a254408ed63b284751d3280274718ba6ff494f07e3e9e74be78e21a43a', 'hex'),
    ])
    const secretHex = '000102030405060708090a0b0c0d0e0f10111213'
    expect(bypassToken(secretHex, input)).toBe('bc3c207baa64dc52ab2937cb7f386ecd13ba341c')
  })
})

/** Token files and announcements of two live clients (transcripts/client 12 and 15). */
const LIVE = [
  { step: '12-send-token-attachment-001', issuer: 'alice', user: 'bob' },
  { step: '15-send-using-token-001', issuer: 'bob', user: 'alice' },
] as const

describe('tokens of live clients', () => {
  const hasKeys = ['alice', 'bob'].every((name) => hasVector(`transcripts/keys/${name}.bypass_tokens.txt`))
  it.skipIf(!hasKeys).each(LIVE)('$step', ({ step, issuer, user }) => {
    const { announcement } = announcementIn(`client/${step}.txt`)
    const proofInput = announcementProofInput(announcement)
    const token = announcement.bypassToken ?? ''
    const nowMs = parseUtcTime(announcement.date ?? '') as number
    const found = findBypassSecret(token, proofInput, { secrets: liveSecrets(issuer, 'out'), nowMs })
    expect(found).toBeDefined()
    const recipient = { keyId: announcement.recipient as KeyId, accepted: '2026-11-25T00:00:00Z' }
    const used = chooseBypassSecret(liveSecrets(user, 'in'), recipient, nowMs)
    expect(used?.secret).toBe(found?.secret)
    expect(bypassToken(used?.secret ?? '', proofInput)).toBe(token)
  })
})

function liveSecrets(name: string, direction: 'in' | 'out'): BypassSecret[] {
  const fileBefore = vectorBytes(`transcripts/keys/${name}.bypass_tokens.txt`).toString('latin1')
  return secretsOf({ fileBefore }, direction)
}

function announcementIn(path: string) {
  const sent = readTranscript(path).map((exchange) => exchange.sent.toString('latin1'))
  const text = sent.find((one) => one.includes('\r\nBypassToken: '))?.replaceAll('\r', '') ?? ''
  const parsed = parseMessageAnnouncements(text.slice(text.indexOf('\n') + 1, text.indexOf('EndBlock')))
  const [record] = parsed.kind === 'ok' ? parsed.records : []
  if (record === undefined) throw new Error(`no announcement with a token in ${path}`)
  return record
}
