import { joinAddressClaims } from '../../src/cm/address-claim.ts'
import {
  type BuiltBlock,
  buildAddressClaim,
  buildKeyAnnouncement,
  type ProofMaker,
} from '../../src/cm/build-announcements.ts'
import type { KeyId } from '../../src/cm/ids.ts'
import { generateKey } from '../../src/cm/openpgp/secret-keys.ts'
import { solveProofOfWork } from '../../src/cm/proof-of-work.ts'
import type { SecretKey } from '../../src/cm/secret-key.ts'
import { parseTransport } from '../../src/cm/transport.ts'

/** Somebody with a key, a key announcement and an address claim, all true. */
export interface AnnouncedPerson {
  readonly address: string
  readonly keyId: KeyId
  readonly secretKey: SecretKey
  readonly announcement: BuiltBlock
  readonly claim: BuiltBlock
  /** Both blocks by key, as a `BlockServer` takes them. */
  readonly blocks: Readonly<Record<string, string>>
}

export interface PersonOptions {
  /** `host:port`s mail for them goes to. */
  readonly servers?: readonly string[]
  readonly nowMs?: number
  /** A key of theirs that is there already. */
  readonly secretKey?: SecretKey
}

export async function announcePerson(
  address: string,
  { servers = ['127.0.0.1:1'], nowMs = wholeSecond(Date.now()), secretKey }: PersonOptions = {},
): Promise<AnnouncedPerson> {
  const key = secretKey ?? (await generateKey({ name: 'Test Person', address, nowMs }))
  const maker: ProofMaker = {
    solver: { solve: async ({ data, ...demand }) => solveProofOfWork(demand, data) },
    nowMs,
  }
  const transport = parseTransport(`server=${servers.join(',')}`)
  if (transport === undefined) throw new Error('no transport')
  const announcement = await buildKeyAnnouncement(
    {
      secretKey: key,
      transport,
      mailboxPrefixes: ['0', '1'],
      senderProofOfWork: { bits: 24, matches: 2 },
    },
    maker,
  )
  const claim = await buildAddressClaim({ secretKey: key, address }, maker)
  const blocks = { [announcement.key]: announcement.text, [claim.key]: claim.text }
  return { address, keyId: key.certificate.keyId, secretKey: key, announcement, claim, blocks }
}

/** One claim block with the claims of several people. */
export function joinClaims(...people: readonly AnnouncedPerson[]): string {
  return joinAddressClaims(people.map(({ claim }) => `${claim.text.trimEnd()}\n\n`))
}

function wholeSecond(ms: number): number {
  return Math.floor(ms / 1000) * 1000
}
