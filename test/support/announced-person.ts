import { encodeAddressClaim, joinAddressClaims } from '../../src/cm/address-claim.ts'
import {
  type BuiltBlock,
  buildAddressClaim,
  buildKeyAnnouncement,
  type ProofMaker,
} from '../../src/cm/build-announcements.ts'
import { addressHash, type KeyId } from '../../src/cm/ids.ts'
import { encodeKeyAnnouncementBody } from '../../src/cm/key-announcement.ts'
import { clearsign } from '../../src/cm/openpgp/clear-signatures.ts'
import { generateKey } from '../../src/cm/openpgp/secret-keys.ts'
import { solveProofOfWork } from '../../src/cm/proof-of-work.ts'
import type { SecretKey } from '../../src/cm/secret-key.ts'
import { parseTransport } from '../../src/cm/transport.ts'
import { formatUtcTime } from '../../src/cm/utc-time.ts'

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

/**
 * A key announcement and a claim for a key whose secret nobody here has, signed by somebody else: what a server that
 * checks nothing may serve. `keyBlock` stands in it as it is.
 */
export async function announceForeignKey(
  address: string,
  {
    keyId,
    keyBlock,
    dateMs = wholeSecond(Date.now()),
  }: {
    readonly keyId: string
    readonly keyBlock: string
    readonly dateMs?: number
  },
): Promise<Readonly<Record<string, string>>> {
  const signer = await generateKey({ name: 'Somebody Else', address: 'else@example.com', nowMs: dateMs })
  const date = formatUtcTime(dateMs)
  const body = encodeKeyAnnouncementBody({
    date,
    expires: formatUtcTime(dateMs + 86_400_000),
    userId: undefined,
    transport: { kind: 'entangled' },
    mailboxPrefixes: ['0'],
    senderProofOfWork: { bits: 24, matches: 2 },
    bypassTokenAccepted: undefined,
    keyBlock,
  })
  const claim = encodeAddressClaim({ date, keyId: keyId as KeyId, address, proofOfWork: 'bd,0,1' })
  return {
    [keyId]: await clearsign(`ProofOfWork: bd,0,1\n${body}`, signer, dateMs),
    [addressHash(address)]: await clearsign(claim, signer, dateMs),
  }
}
