import { execFileSync, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Secret } from '../../src/base/secret.ts'
import { readContainer } from '../../src/cm/message/container.ts'
import { decryptFile, encryptFile, verifyDetachedFile } from '../../src/cm/message/crypto-files.ts'
import { encodeMessage } from '../../src/cm/message/encode-message.ts'
import { vectorCertificate, vectorKeyId, vectorOwner } from '../support/message-vectors.ts'
import { vectorPath } from '../support/vectors.ts'

/** GnuPG 2.2 is what the network's recipients run: it must take what we write and write what we take. */

const hasGpg = (() => {
  const found = spawnSync('gpg', ['--version'], { encoding: 'utf8' })
  const isThere = found.status === 0 && / 2\.2\./.test(found.stdout.split('\n')[0] ?? '')
  if (!isThere) console.log('skipped: gpg 2.2 is not installed')
  return isThere
})()

const DATE_MS = Date.UTC(2025, 0, 20, 10)
const USERS = ['alice', 'bob', 'carol', 'dora', 'ella', 'zofia']

let folder = ''
let home = ''

/** A throwaway key made with openpgp.js's `aeadProtect`. */
const aeadKey = (part: 'pub' | 'sec'): string =>
  readFileSync(new URL(`../golden/openpgp/advertises-seipd2.${part}.asc`, import.meta.url), 'utf8')

function gpg(...args: string[]): string {
  const options = [
    '--homedir',
    home,
    '--batch',
    '--yes',
    '--no-tty',
    '--status-fd',
    '1',
    '--trust-model',
    'always',
  ]
  const done = spawnSync('gpg', [...options, ...args], { encoding: 'utf8', maxBuffer: 2 ** 26 })
  return `${done.stdout}${done.stderr}`
}

describe.skipIf(!hasGpg)('gpg 2.2', () => {
  beforeAll(async () => {
    // Its agent's socket must fit in 107 bytes, so the name is short.
    home = await mkdtemp(join(tmpdir(), 'cmg-'))
    folder = await mkdtemp(join(tmpdir(), 'cm-gpg-'))
    for (const user of USERS) gpg('--import', vectorPath(`keys/${user}.sec.asc`) ?? '')
  })
  afterAll(async () => {
    execFileSync('gpgconf', ['--homedir', home, '--kill', 'gpg-agent'])
    await rm(home, { recursive: true, force: true })
    await rm(folder, { recursive: true, force: true })
  })

  const encode = (recipients: readonly string[], sender = 'alice') =>
    encodeMessage(
      {
        workDir: folder,
        sender: {
          keyId: vectorKeyId(sender),
          text: `${sender} <${sender}@example.org>`,
          transport: 'server=mail.example.org:8081',
          secretKey: new Secret(vectorOwner(sender).secretKeys[0] ?? ''),
        },
        recipients: recipients.map((user) => ({
          type: 'to',
          keyId: vectorKeyId(user),
          text: user,
          transport: 'server=mail.example.net:8081',
          certificate: vectorCertificate(user),
        })),
        messageUniqueId: 'ab'.repeat(20),
        subject: 'hello',
        dateMs: DATE_MS,
        bodyText: 'hello\n',
        attachments: [{ name: 'a.bin', bytes: randomBytes(300_000) }],
      },
      randomBytes,
    )

  it.each(USERS)('decrypts our ciphertext and verifies the signature inside, both of %s', async (user) => {
    const { ciphertextPath } = await encode([user], user)
    const containerPath = join(folder, 'container')
    expect(gpg('--output', containerPath, '--decrypt', ciphertextPath)).toContain('GOODMDC')
    const container = await readContainer({ path: containerPath })
    if (container.kind !== 'ok') throw new Error(container.reason)
    const zipPath = join(folder, 'plain.zip')
    await writeFile(join(folder, 'signature'), container.signature)
    await writeFile(zipPath, readFileSync(containerPath).subarray(container.zip.start))
    const verified = gpg('--verify', join(folder, 'signature'), zipPath)
    expect(verified).toContain(`VALIDSIG `)
    expect(verified).toContain(vectorKeyId(user).toUpperCase())
    // Digest 10 is SHA-512; a P-384 key is held to SHA-384 by gpg itself, not by us.
    expect(verified).toMatch(/VALIDSIG \S+ \S+ \S+ \S+ \S+ \S+ \S+ (?:10|9) 00 /)
    expect(verified).not.toContain('NOTATION')
  })

  it('sees PKESK 3 and SEIPD 1 only, without compression, file name or time of ours', async () => {
    const { ciphertextPath } = await encode(['bob', 'carol'])
    const packets = gpg('--list-packets', ciphertextPath)
    expect(packets.match(/:pubkey enc packet: version 3/g)).toHaveLength(2)
    expect(packets).toMatch(/:encrypted data packet:[\s\S]*mdc_method: 2/)
    expect(packets).not.toContain(':compressed')
    expect(packets).toContain(`mode b (62), created ${DATE_MS / 1000}, name=""`)
  })

  it('gets SEIPD 1 even for a key that advertises more', async () => {
    const plain = join(folder, 'plain')
    const out = join(folder, 'for-aead')
    await writeFile(plain, 'hello')
    await encryptFile({ prefix: Buffer.alloc(0), path: plain }, out, {
      certificates: [aeadKey('pub')],
      sessionKey: randomBytes(32),
      date: new Date(),
    })
    expect(gpg('--list-packets', out)).toMatch(/:pubkey enc packet: version 3[\s\S]*mdc_method: 2/)
    expect(
      await decryptFile(out, join(folder, 'back'), { secretKeys: [aeadKey('sec')], maxBytes: 100 }),
    ).toEqual({
      kind: 'ok',
    })
  })

  it('writes what we decrypt and verify, compressed and streamed as the reference does it', async () => {
    const plain = join(folder, 'plain')
    await writeFile(plain, Buffer.alloc(1_000_000, 'text '))
    const out = join(folder, 'by-gpg')
    gpg('--output', out, '--recipient', vectorKeyId('carol'), '--encrypt', plain)
    const back = join(folder, 'back')
    const { secretKeys } = vectorOwner('carol')
    expect(await decryptFile(out, back, { secretKeys, maxBytes: 1_000_000 })).toEqual({ kind: 'ok' })
    expect(readFileSync(back).equals(readFileSync(plain))).toBe(true)
    // A bomb: a megabyte in a few thousand octets, more than is allowed.
    expect(await decryptFile(out, join(folder, 'bomb'), { secretKeys, maxBytes: 10_000 })).toEqual({
      kind: 'failed',
      reason: 'too-large',
    })
    const signature = join(folder, 'by-gpg.sig')
    gpg('--output', signature, '--local-user', vectorKeyId('dora'), '--detach-sign', plain)
    expect(
      await verifyDetachedFile({
        path: plain,
        signature: readFileSync(signature),
        certificates: [vectorCertificate('dora')],
        nowMs: Date.now(),
      }),
    ).toMatchObject({ kind: 'good', signer: vectorKeyId('dora') })
  })

  it('writes no message without MDC that we would take', async () => {
    const plain = join(folder, 'plain')
    await writeFile(plain, 'hello')
    const out = join(folder, 'no-mdc')
    const made = gpg(
      '--rfc2440',
      '--disable-mdc',
      '--output',
      out,
      '--recipient',
      vectorKeyId('bob'),
      '--encrypt',
      plain,
    )
    expect(made).not.toContain('FAILURE')
    expect(
      await decryptFile(out, join(folder, 'never'), {
        secretKeys: vectorOwner('bob').secretKeys,
        maxBytes: 100,
      }),
    ).toEqual({ kind: 'failed', reason: 'undecryptable' })
  })
})
