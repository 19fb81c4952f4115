import type { Secret } from '../base/secret.ts'
import { claimAddress } from '../cm/address.ts'
import { CERTIFICATE_REFUSALS, type Certificate, certificateAddresses } from '../cm/certificate.ts'
import { missingSecrets, readSecretKey } from '../cm/openpgp/secret-keys.ts'
import { readPastedKeys } from '../cm/pasted-keys.ts'
import type { SecretKey } from '../cm/secret-key.ts'

/** Secret keys as their owners give them: which of several is meant, and whether it will do; in one line each when not. */

/** The key, unlocked; or one line for the user: what is wrong and what to do. */
export type OwnSecretKeyOutcome =
  | { readonly kind: 'ok'; readonly secretKey: SecretKey }
  | { readonly kind: 'refused'; readonly reason: string }

interface OwnSecretKeyRequest {
  /** As pasted or read from a file; public keys beside it do not matter. */
  readonly text: Secret<string>
  readonly passphrase: Secret<string> | undefined
  readonly nowMs: number
  /** Which one is meant when there are several, and for people what it is. */
  readonly isMeant: (certificate: Certificate) => boolean
  readonly meant: string
}

const refused = (reason: string): OwnSecretKeyOutcome => ({ kind: 'refused', reason })

/** Reads and unlocks the one secret key that is meant. Nothing is stored. */
export async function readOwnSecretKey(request: OwnSecretKeyRequest): Promise<OwnSecretKeyOutcome> {
  const { text, passphrase, nowMs, isMeant, meant } = request
  const pasted = readPastedKeys(text.reveal())
  if (pasted.kind === 'refused') return refused(`the key cannot be read: ${pasted.sentence}`)
  const armored = pasted.keys.filter(({ kind }) => kind === 'secret').map((key) => key.armored)
  if (armored.length === 0) {
    return refused('this is a public key: export the secret one (gpg --armor --export-secret-keys)')
  }
  const found: SecretKey[] = []
  for (const one of armored) {
    const read = await readSecretKey(one, { nowMs, passphrase })
    if (read.kind === 'locked') {
      return refused(
        passphrase === undefined
          ? 'the key has a passphrase: give it with --passphrase-file'
          : 'the passphrase is wrong: nothing was stored',
      )
    }
    if (read.kind === 'refused')
      return refused(`the key cannot be used: ${CERTIFICATE_REFUSALS[read.reason]}`)
    found.push(read.secretKey)
  }
  const wanted = found.length === 1 ? found : found.filter(({ certificate }) => isMeant(certificate))
  const [secretKey] = wanted
  if (secretKey === undefined || wanted.length > 1) {
    const list = found.map(({ certificate: { keyId, primaryUserId } }) => `${keyId} (${primaryUserId})`)
    return refused(`there are ${found.length} secret keys, and not one alone is ${meant}: ${list.join(', ')}`)
  }
  const { isWrong } = await missingSecrets(secretKey, nowMs)
  return isWrong
    ? refused('the secret part of the key does not belong to its public part: export it again')
    : { kind: 'ok', secretKey }
}

/** True when the key has this address in a user id that counts; `address` as in claims. */
export function carriesAddress(certificate: Certificate, address: string): boolean {
  return certificateAddresses(certificate).some((one) => claimAddress(one) === address)
}

/** What keeps an account from living with this key; undefined when nothing does. */
export async function keyComplaint(
  secretKey: SecretKey,
  { address, nowMs }: { readonly address: string; readonly nowMs: number },
): Promise<string | undefined> {
  const { certificate } = secretKey
  if (!carriesAddress(certificate, address))
    return `the key does not carry ${address}: add a user id with it (gpg --quick-add-uid)`
  for (const [use, can] of [
    ['sign', certificate.canSign],
    ['encrypt', certificate.canEncrypt],
  ] as const) {
    if (can.kind === 'no') return `the key cannot ${use} (${can.reason}): renew it, or use another`
  }
  const missing = await missingSecrets(secretKey, nowMs)
  if (missing.sign)
    return 'the secret that signs is not in the key: export the whole one (gpg --export-secret-keys, not -subkeys)'
  if (missing.decrypt)
    return 'the secret of the encryption subkey in use is not in the key: export the whole one'
  return undefined
}
