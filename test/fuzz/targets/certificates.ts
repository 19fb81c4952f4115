import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseCertificate } from '../../../src/cm/openpgp/certificates.ts'
import { type FuzzTarget, mustHold, vectorSeeds } from './fuzz-target.ts'

const NOW_MS = Date.parse('2026-11-25T12:00:00Z')
/** Control characters and the separators that a reader of lines may split at (CM message 14, 1). */
const LINE_BREAKER = /[\p{Cc}\u2028\u2029]/u

const dearmored = (armor: Uint8Array): Uint8Array => {
  const body = /\n\r?\n([A-Za-z0-9+/=\r\n]+?)\r?\n=/.exec(Buffer.from(armor).toString('latin1'))?.[1] ?? ''
  return Buffer.from(body, 'base64')
}

/** A key as it comes in an announcement, binary or armored: a certificate or a reason, never an exception. */
export const certificates: FuzzTarget = {
  name: 'certificates',
  seeds: () => {
    const armored = [...vectorSeeds('keys', '.pub.asc'), ...caseKeys()]
    return [...armored, ...armored.map(dearmored)]
  },
  async run(input) {
    const isArmored = Buffer.from(input.subarray(0, 200)).includes('-----BEGIN')
    const result = await parseCertificate(isArmored ? Buffer.from(input).toString('latin1') : input, NOW_MS)
    if (result.kind !== 'ok') return
    const { certificate } = result
    mustHold(/^[0-9a-f]{40}$/.test(certificate.keyId), 'a key id has 40 digits')
    for (const { text } of certificate.userIds) {
      mustHold(!LINE_BREAKER.test(text), 'no user id holds a line break or control character')
    }
    mustHold(!certificate.armored.includes('PRIVATE'), 'nothing secret is kept')
  },
}

function caseKeys(): Uint8Array[] {
  const folder = fileURLToPath(new URL('../../golden/cases/', import.meta.url))
  return readdirSync(folder)
    .filter((name) => /^K.*\.asc$/.test(name) && !name.includes('secret'))
    .map((name) => readFileSync(`${folder}${name}`))
}
