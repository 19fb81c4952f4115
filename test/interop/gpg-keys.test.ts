import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Secret } from '../../src/base/secret.ts'
import { buildKeyAnnouncement } from '../../src/cm/build-announcements.ts'
import { parseKeyAnnouncement } from '../../src/cm/key-announcement.ts'
import { decryptUnauthenticatedStream } from '../../src/cm/openpgp/encryption.ts'
import { rotateEncryptionSubkey } from '../../src/cm/openpgp/rotate-subkey.ts'
import { generateKey, readSecretKey } from '../../src/cm/openpgp/secret-keys.ts'
import { createProofOfWorkSolver } from '../../src/cm/proof-of-work-solver.ts'
import type { SecretKey } from '../../src/cm/secret-key.ts'
import { cmbridge } from '../support/command-line.ts'

/** GnuPG as our correspondents and our owners have it: rotation, import and export of keys (CM message 10.5). */

const hasGpg = spawnSync('gpg', ['--version']).status === 0
if (!hasGpg) console.log('skipped: gpg is not installed')

const DAY_MS = 86_400_000
const nowMs = Math.floor(Date.now() / 1000) * 1000 - 2000
const solver = createProofOfWorkSolver({ threads: 1 })
const homes: string[] = []

/** A keyring of its own. The agent's socket lies in it: a path of more than 107 bytes would not do. */
function keyring(): string {
  const home = mkdtempSync(join(tmpdir(), 'gpg-'))
  homes.push(home)
  return home
}

function gpg(home: string, args: readonly string[], input: string | Uint8Array = ''): Buffer {
  const common = [
    '--homedir',
    home,
    '--batch',
    '--no-tty',
    '--pinentry-mode',
    'loopback',
    '--trust-model',
    'always',
  ]
  return execFileSync('gpg', [...common, ...args], { input, stdio: ['pipe', 'pipe', 'ignore'] })
}

const text = (home: string, args: readonly string[], input: string | Uint8Array = ''): string =>
  gpg(home, args, input).toString()

/** `validity algorithm keyid` of the encryption subkeys, as they stand. */
function encryptionSubkeys(home: string, keyId: string): { validity: string; id: string }[] {
  return text(home, ['--with-colons', '--list-keys', keyId])
    .split('\n')
    .map((line) => line.split(':'))
    .filter(([kind, , , , , , , , , , , uses]) => kind === 'sub' && uses?.includes('e'))
    .map(([, validity = '', , , id = '']) => ({ validity, id: id.toLowerCase() }))
}

function recipientsOf(home: string, message: Uint8Array): string[] {
  const listed = spawnSync('gpg', ['--homedir', home, '--batch', '--list-only', '--list-packets'], {
    input: message,
  })
  return [...listed.stdout.toString().matchAll(/pubkey enc packet:.*keyid ([0-9A-F]{16})/g)].map(
    (match) => match[1]?.toLowerCase() ?? '',
  )
}

async function opens(message: Uint8Array, secretKey: SecretKey): Promise<string> {
  const { body } = new Response(Buffer.from(message))
  if (body === null) throw new Error('no stream')
  const opened = await decryptUnauthenticatedStream(body, [secretKey.armored.reveal()], 1000)
  return opened.kind === 'decrypting' ? await new Response(opened.content).text() : opened.reason
}

async function rotated(secretKey: SecretKey, atMs: number): Promise<SecretKey> {
  const result = await rotateEncryptionSubkey(secretKey, atMs)
  if (result.kind !== 'ok') throw new Error(result.kind)
  return result.secretKey
}

async function announcementOf(secretKey: SecretKey): Promise<{ text: string; keyBlock: string }> {
  const { text: announced } = await buildKeyAnnouncement(
    {
      secretKey,
      transport: { kind: 'servers', servers: [{ host: 'mx.example.org', port: 8081 }] },
      mailboxPrefixes: ['0'],
      senderProofOfWork: { bits: 24, matches: 2 },
    },
    { solver, nowMs },
  )
  const parsed = parseKeyAnnouncement(announced)
  if (parsed.kind !== 'ok') throw new Error(parsed.reason)
  return { text: announced, keyBlock: parsed.announcement.keyBlock }
}

afterAll(async () => {
  for (const home of homes) {
    spawnSync('gpgconf', ['--homedir', home, '--kill', 'all'])
    rmSync(home, { recursive: true, force: true })
  }
  await solver.close()
})

describe.skipIf(!hasGpg)('GnuPG as a correspondent', () => {
  const address = 'alice@example.org'
  const generations: SecretKey[] = []
  const newestKey = (): SecretKey => {
    const newest = generations.at(-1)
    if (newest === undefined) throw new Error('no key')
    return newest
  }
  beforeAll(async () => {
    let key = await generateKey({ name: 'Alice', address, nowMs: nowMs - 40 * DAY_MS })
    generations.push(key)
    for (const days of [30, 20, 10]) {
      key = await rotated(key, nowMs - days * DAY_MS)
      generations.push(key)
    }
  })

  it('takes every announced key over the one before, encrypts to its new subkey alone, and we open it for ever', async () => {
    const home = keyring()
    const newest = newestKey()
    const { keyId } = newest.certificate
    const seen = new Set<string>()
    for (const [index, generation] of generations.entries()) {
      const announcement = await announcementOf(generation)
      gpg(home, ['--import'], announcement.keyBlock)
      const status = text(home, ['--status-fd', '1', '--verify'], announcement.text)
      expect(status).toContain('[GNUPG:] GOODSIG')
      expect(status).toContain(`[GNUPG:] VALIDSIG ${keyId.toUpperCase()}`)
      const subkeys = encryptionSubkeys(home, keyId)
      const isRevoked = subkeys.map(({ validity }) => validity === 'r')
      expect(isRevoked).toEqual([...Array(index).fill(true), false])
      const message = gpg(home, ['--encrypt', '--recipient', keyId], `mail ${index}`)
      expect(recipientsOf(home, message)).toEqual([subkeys.at(-1)?.id])
      seen.add(subkeys.at(-1)?.id ?? '')
      expect(await opens(message, newest)).toBe(`mail ${index}`)
    }
    expect(seen.size).toBe(4)
  })

  it('who missed all announcements but the last knows the new subkey and that the one before is revoked', async () => {
    const home = keyring()
    const newest = newestKey()
    gpg(home, ['--import'], (await announcementOf(newest)).keyBlock)
    const validities = encryptionSubkeys(home, newest.certificate.keyId).map(({ validity }) => validity)
    expect(validities).toHaveLength(2)
    expect(validities[0]).toBe('r')
    expect(validities[1]).not.toMatch(/[rei]/)
  })

  it('gives "superseded" as the reason', async () => {
    const home = keyring()
    const block = (await announcementOf(newestKey())).keyBlock
    const packets = text(home, ['--list-packets'], block)
    expect(packets).toContain('sigclass 0x28')
    expect(packets).toMatch(/revocation reason 0x01/)
  })
})

describe.skipIf(!hasGpg)('GnuPG as the owner’s other program', () => {
  const home = keyring()
  const data = mkdtempSync(join(tmpdir(), 'cmb-'))
  const passphraseFile = join(data, 'passphrase')
  const keyFile = join(data, 'key.asc')
  const on = (...args: string[]) => cmbridge(['--data', join(data, 'data'), '--json', ...args])
  async function json<T>(...args: string[]): Promise<T> {
    const { stdout, stderr } = await on(...args)
    expect(stderr).toBe('')
    return JSON.parse(stdout) as T
  }
  const generate = (address: string, algorithm: string, passphrase: string): void => {
    const user = `Owner <${address}>`
    gpg(home, ['--passphrase', passphrase, '--quick-generate-key', user, ...algorithm.split(' '), 'never'])
  }
  const fingerprintOf = (address: string): string =>
    /^fpr:+([0-9A-F]{40}):/m.exec(text(home, ['--with-colons', '--list-keys', address]))?.[1] ?? ''
  const exportSecret = (address: string, passphrase: string, command = '--export-secret-keys'): void =>
    writeFileSync(keyFile, gpg(home, ['--passphrase', passphrase, '--armor', command, address]))

  beforeAll(() => {
    writeFileSync(passphraseFile, 'correct horse\n')
  })
  afterAll(() => rmSync(data, { recursive: true, force: true }))

  it('exports an RSA key with a passphrase; it is added, rotated, exported, and gpg takes it back', async () => {
    const address = 'rsa@example.org'
    generate(address, 'rsa2048 cert,sign', 'correct horse')
    const keyId = fingerprintOf(address)
    gpg(home, ['--passphrase', 'correct horse', '--quick-add-key', keyId, 'rsa2048', 'encr', 'never'])
    exportSecret(address, 'correct horse')
    const locked = await on('account', 'add', address, '--key', keyFile)
    expect(locked).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('--passphrase-file') })
    writeFileSync(join(data, 'wrong'), 'wrong horse\n')
    const wrong = await on(
      'account',
      'add',
      address,
      '--key',
      keyFile,
      '--passphrase-file',
      join(data, 'wrong'),
    )
    expect(wrong).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('passphrase is wrong') })
    expect(await json('account', 'list')).toEqual([])
    const added = await json<{ keyId: string }>(
      'account',
      'add',
      address,
      '--key',
      keyFile,
      '--passphrase-file',
      passphraseFile,
    )
    expect(added.keyId).toBe(keyId.toLowerCase())

    const { newSubkey } = await json<{ newSubkey: string }>('key', 'rotate', address, '--force')
    const exported = join(data, 'exported.asc')
    await json(
      'key',
      'export',
      address,
      '--secret',
      '--passphrase-file',
      passphraseFile,
      '--output',
      exported,
    )
    const before = encryptionSubkeys(home, keyId)
    const message = gpg(home, ['--encrypt', '--recipient', keyId], 'to the old subkey')
    gpg(home, ['--passphrase', 'correct horse', '--import', exported])
    expect(encryptionSubkeys(home, keyId).map(({ id }) => id)).toEqual([before[0]?.id, newSubkey.slice(24)])
    const fresh = gpg(home, ['--encrypt', '--recipient', keyId], 'to the new subkey')
    expect(recipientsOf(home, fresh)).toEqual([newSubkey.slice(24)])
    expect(text(home, ['--passphrase', 'correct horse', '--decrypt'], fresh)).toBe('to the new subkey')
    const ours = await readSecretKey(readFileSync(exported, 'utf8'), {
      nowMs: Date.now(),
      passphrase: new Secret('correct horse'),
    })
    if (ours.kind !== 'ok') throw new Error(ours.kind)
    expect(await opens(message, ours.secretKey)).toBe('to the old subkey')
    expect(await opens(fresh, ours.secretKey)).toBe('to the new subkey')
  })

  it('rotates a key itself; the export of its subkeys alone is taken in', async () => {
    const address = 'ecc@example.org'
    generate(address, 'ed25519 cert,sign', '')
    const keyId = fingerprintOf(address)
    gpg(home, ['--passphrase', '', '--quick-add-key', keyId, 'cv25519', 'encr', 'never'])
    exportSecret(address, '')
    await json('account', 'add', address, '--key', keyFile)
    gpg(home, ['--passphrase', '', '--quick-add-key', keyId, 'cv25519', 'encr', 'never'])
    const added = encryptionSubkeys(home, keyId).at(-1)?.id ?? ''
    exportSecret(address, '', '--export-secret-subkeys')
    const imported = await json<{ gained: string[] }>('key', 'import', address, keyFile)
    expect(imported.gained.map((fingerprint) => fingerprint.slice(24))).toEqual([added])
    const second = await on('account', 'add', address, '--key', keyFile)
    expect(second.stderr).toContain('--export-secret-keys')
  })

  it('has a DSA key, whose next subkey is not ours to make', async () => {
    const address = 'dsa@example.org'
    const parameters = `%no-protection\nKey-Type: DSA\nKey-Length: 2048\nSubkey-Type: ELG-E\nSubkey-Length: 2048\nName-Email: ${address}\nExpire-Date: 0\n`
    gpg(home, ['--generate-key'], parameters)
    exportSecret(address, '')
    await json('account', 'add', address, '--key', keyFile)
    const { stderr, exitCode } = await on('key', 'rotate', address, '--force')
    expect(exitCode).toBe(1)
    expect(stderr).toContain('make it with gpg, then "cmbridge key import"')
  })
})
