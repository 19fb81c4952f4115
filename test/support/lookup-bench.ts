import { randomBytes } from 'node:crypto'
import { createCmKeyLookup, type LookupSettings } from '../../src/bridge/cm-key-lookup.ts'
import type { KeyLookup, LookupOptions, LookupOutcome } from '../../src/bridge/key-lookup.ts'
import type { LookupContext } from '../../src/bridge/lookup/ask-for-keys.ts'
import { createCmClientEnvironment } from '../../src/cm/client/client-environment.ts'
import { createWorkerPool } from '../../src/cm/workers/worker-pool.ts'
import type { ResolveTxt } from '../../src/net/dns-txt.ts'
import type { AccountId } from '../../src/store/ids.ts'
import type { Store } from '../../src/store/open-store.ts'
import { MemoryCertificates, realClock } from './cm-client-support.ts'
import { createTempDirectory, insertTestAccount, openTestStore } from './store.ts'

const NETWORK = {
  torProxy: '',
  i2pProxy: '',
  socksProxy: '',
  exitNode: false,
  preferred: 'direct',
  timeoutSeconds: 5,
  uploadKilobytesPerSecond: 0,
} as const

/** A real store with one account, and look-ups as the bridge makes them. Close it at the end. */
export class LookupBench {
  readonly store: Store
  readonly accountId: AccountId
  readonly context: LookupContext
  readonly #end: () => Promise<void>

  private constructor(parts: Pick<LookupBench, 'store' | 'accountId' | 'context'>, end: () => Promise<void>) {
    this.store = parts.store
    this.accountId = parts.accountId
    this.context = parts.context
    this.#end = end
  }

  static async open(options: {
    readonly ownServers: readonly string[]
    /** `host:port` on loopback that may be contacted although others named them. */
    readonly privateServers?: readonly string[]
    /** Authorities for certificates, PEM. */
    readonly authorities?: readonly string[]
  }): Promise<LookupBench> {
    const directory = await createTempDirectory()
    const clock = realClock()
    const store = await openTestStore(directory.path, clock)
    const accountId = await insertTestAccount(store, 'owner@example.com', options.ownServers)
    const pool = createWorkerPool({ threads: 1, clock })
    const environment = createCmClientEnvironment(NETWORK, {
      clock,
      certificateMemory: new MemoryCertificates(),
      isolationKey: randomBytes(32),
    })
    const { authorities, privateServers = [] } = options
    const cm = authorities === undefined ? environment : { ...environment, authorities }
    const context = { store, clock, random: () => 0.5, pool, cm, privateServers }
    return new LookupBench({ store, accountId, context }, async () => {
      await environment.sessions.close()
      await pool.close()
      await store.close()
      await directory.remove()
    })
  }

  lookup(settings: Partial<LookupSettings> = {}): KeyLookup {
    return createCmKeyLookup(this.context, { ownServers: true, dns: { kind: 'off' }, ...settings })
  }

  byAddress(
    address: string,
    settings: Partial<LookupSettings> = {},
    options: Partial<LookupOptions> = {},
  ): Promise<LookupOutcome> {
    const signal = new AbortController().signal
    return this.lookup(settings).byAddress(this.accountId, address, { signal, ...options })
  }

  close(): Promise<void> {
    return this.#end()
  }
}

/** DNS that has these TXT records and no other name; `asked` gets every name. */
export function dnsOf(
  records: Readonly<Record<string, readonly string[]>>,
  asked: string[] = [],
): ResolveTxt {
  return async (name) => {
    asked.push(name)
    const texts = records[name]
    if (texts === undefined) return { kind: 'none' }
    return { kind: 'records', records: texts.map((text) => [text]) }
  }
}
