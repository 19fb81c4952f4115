import type { Clock } from '../../base/clock.ts'
import type { ServerTlsContext } from '../../net/byte-channel.ts'
import type { ResolveTxt } from '../../net/dns-txt.ts'
import type { MaxAges } from '../block-verdict.ts'
import type { BlockKey, KeyId } from '../ids.ts'
import type { AddressQuotas } from './address-quotas.ts'
import type { JudgeBlock } from './block-judge.ts'
import type { BlockType, CmAccounts, CmBlocks } from './port.ts'
import type { CmRelay } from './relay/port.ts'
import type { Turns } from './turns.ts'

/** Where the server writes what happens; block keys, which can be key ids, at debug only (design 5). */
export interface CmServerLog {
  debug(fields: Readonly<Record<string, unknown>>, message: string): void
  error(fields: Readonly<Record<string, unknown>>, message: string): void
}

/** What the sessions of one server share. */
export interface CmServerContext {
  readonly blocks: CmBlocks
  readonly accounts: CmAccounts
  readonly judge: JudgeBlock
  /** Texts that lie in files are read, judged and stored in turns. */
  readonly largeTexts: Turns
  readonly clock: Clock
  /** Asked at each STARTTLS, so that a replaced certificate is used at once. */
  readonly tls: () => ServerTlsContext
  readonly maxAges: MaxAges
  readonly log: CmServerLog
  /** Passes blocks on to other servers; undefined where nothing is passed on (CM wire 9.3, 9.4). */
  readonly relay?: CmRelay | undefined
  /** Who may connect and guess how often; undefined: anybody at will (tests). */
  readonly quotas?: AddressQuotas | undefined
  /** `DNS TXT` asks here; undefined where it is switched off (CM wire 7.8). */
  readonly resolveTxt?: ResolveTxt | undefined
  /** `STORE PROXY` is taken from strangers too: an open relay (CM wire S6). */
  readonly isOpenRelay?: boolean
  /** The administrator's SHUTDOWN, after its connection has ended; undefined: it is refused. */
  readonly onShutdown?: (() => void) | undefined
  /** A block became new or different, and is durable. */
  readonly onStored?: ((block: StoredNotice) => void) | undefined
}

export interface StoredNotice {
  readonly type: BlockType
  readonly key: BlockKey
  /** `replica`: another server handed it on by REPLICATE; nobody is notified, nothing is handed on again (CM wire 9.3). */
  readonly from: 'client' | 'replica'
  /** The accepted records that are new; empty for types of one record (CM wire S13). */
  readonly added: readonly string[]
}

/** The user of a session; set by a successful LOGIN and by nothing else (CM wire S1). */
export interface SessionUser {
  readonly userId: string
  /** undefined for a user that is no key. */
  readonly keyId: KeyId | undefined
}
