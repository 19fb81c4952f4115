import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { buildAddressClaim, buildKeyAnnouncement } from '../../src/cm/build-announcements.ts'
import { parseClearSigned } from '../../src/cm/clear-signed.ts'
import { parseKeyAnnouncement } from '../../src/cm/key-announcement.ts'
import { parseCertificate } from '../../src/cm/openpgp/certificates.ts'
import { verifyClearSigned } from '../../src/cm/openpgp/clear-signatures.ts'
import { generateKey } from '../../src/cm/openpgp/secret-keys.ts'
import { createProofOfWorkSolver } from '../../src/cm/proof-of-work-solver.ts'

const hasGpg = spawnSync('gpg', ['--version']).status === 0
if (!hasGpg) console.log('skipped: gpg is not installed')

// The agent's socket lies in here: a path of more than 107 bytes would not do.
const home = mkdtempSync(join(tmpdir(), 'gpg-'))
const solver = createProofOfWorkSolver({ threads: 1 })
const nowMs = Date.now() - 2000

function gpg(args: readonly string[], input: string): string {
  const common = ['--homedir', home, '--batch', '--no-tty', '--status-fd', '1']
  return execFileSync('gpg', [...common, ...args], {
    input,
    encoding: 'utf8',
    stdio: ['pipe', 'pipe', 'pipe'],
  })
}

afterAll(async () => {
  spawnSync('gpgconf', ['--homedir', home, '--kill', 'all'])
  rmSync(home, { recursive: true, force: true })
  await solver.close()
})

describe.skipIf(!hasGpg)('GnuPG', () => {
  it('imports our key and takes our announcement and claim, with no notation', async () => {
    const secretKey = await generateKey({ name: 'Žofia', address: 'žofia@example.org', nowMs })
    const maker = { solver, nowMs }
    const announcement = await buildKeyAnnouncement(
      {
        secretKey,
        transport: { kind: 'servers', servers: [{ host: 'mx.example.org', port: 8081 }] },
        mailboxPrefixes: ['0'],
        senderProofOfWork: { bits: 24, matches: 2 },
        bypassTokenAccepted: '2026-11-24T00:00:00Z',
      },
      maker,
    )
    const claim = await buildAddressClaim({ secretKey, address: 'žofia@example.org' }, maker)
    const parsed = parseKeyAnnouncement(announcement.text)
    if (parsed.kind !== 'ok') throw new Error(parsed.reason)
    const fingerprint = secretKey.certificate.keyId.toUpperCase()
    expect(gpg(['--import'], parsed.announcement.keyBlock)).toContain(`IMPORT_OK 1 ${fingerprint}`)
    for (const text of [announcement.text, claim.text]) {
      const status = gpg(['--verify'], text)
      expect(status).toContain('[GNUPG:] GOODSIG')
      expect(status).toContain(`[GNUPG:] VALIDSIG ${fingerprint}`)
      expect(status).not.toContain('NOTATION')
    }
  })

  it('makes clear-signatures that we verify byte by byte', async () => {
    const user = 'Old Friend <old@example.org>'
    gpg(
      [
        '--passphrase',
        '',
        '--pinentry-mode',
        'loopback',
        '--quick-generate-key',
        user,
        'ed25519',
        'sign',
        'never',
      ],
      '',
    )
    const armored = execFileSync(
      'gpg',
      ['--homedir', home, '--batch', '--armor', '--export', 'old@example.org'],
      {
        encoding: 'utf8',
      },
    )
    const text = 'Type: test  \n- dash\n-----BEGIN X-----\nFrom here\n\n'
    const signed = execFileSync(
      'gpg',
      ['--homedir', home, '--batch', '--local-user', 'old@example.org', '--clearsign'],
      {
        input: text,
        encoding: 'utf8',
      },
    )
    const frame = parseClearSigned(signed.replaceAll('\r', '').split('\n'))
    const read = await parseCertificate(armored, Date.now())
    if (frame.kind !== 'signed' || read.kind !== 'ok') throw new Error('unreadable')
    const verdict = await verifyClearSigned(frame.signed, [read.certificate], Date.now())
    expect(verdict).toMatchObject({ kind: 'good', keyId: read.certificate.keyId })
    const spoilt = { ...frame.signed, lines: [...frame.signed.lines, 'more'] }
    expect((await verifyClearSigned(spoilt, [read.certificate], Date.now())).kind).toBe('bad')
  })
})
