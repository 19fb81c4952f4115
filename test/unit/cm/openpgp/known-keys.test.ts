import { describe, expect, it } from 'vitest'
import { knownCertificate, knownSecretKey } from '../../../../src/cm/openpgp/known-keys.ts'
import { generateKey } from '../../../../src/cm/openpgp/secret-keys.ts'

const NOW = Date.UTC(2026, 1, 3)

function makeKey(name: string) {
  return generateKey({ name, address: `${name}@example.org`, nowMs: NOW })
}

describe('known keys', () => {
  it('are read once, each by its own text', async () => {
    const [alice, bob] = await Promise.all([makeKey('alice'), makeKey('bob')])
    const first = await knownCertificate(alice.certificate.armored)
    expect(await knownCertificate(alice.certificate.armored)).toBe(first)
    const other = await knownCertificate(bob.certificate.armored)
    expect(other.getFingerprint()).toBe(bob.certificate.keyId)
    const secret = await knownSecretKey(alice.armored.reveal())
    expect(secret.isPrivate()).toBe(true)
    expect(await knownSecretKey(alice.armored.reveal())).toBe(secret)
  })

  it('are forgotten when many others were used since', async () => {
    const alice = await makeKey('alice')
    const first = await knownSecretKey(alice.armored.reveal())
    const { armored } = await makeKey('bob')
    // The same key in other words: what is kept goes by the text.
    for (let n = 0; n < 16; n += 1) await knownSecretKey(`${'\n'.repeat(n)}${armored.reveal()}`)
    expect(await knownSecretKey(alice.armored.reveal())).not.toBe(first)
  })

  it('are never what cannot be read', async () => {
    await expect(knownCertificate('not a key')).rejects.toThrow()
    await expect(knownCertificate('not a key')).rejects.toThrow()
  })
})
