import { createCmClientEnvironment } from '../../cm/client/client-environment.ts'
import { createWorkerPool } from '../../cm/workers/worker-pool.ts'
import { createCertificateMemory } from '../../store/certificate-memory.ts'
import { tellCertificateChange } from '../certificate-notices.ts'
import { createCmKeyLookup } from '../cm-key-lookup.ts'
import type { Config } from '../config.ts'
import type { NoticeContext } from '../inbound-notices.ts'
import type { KeyLookup } from '../key-lookup.ts'
import { lookupSettings } from './lookup-settings.ts'

/** Makes this run's credentials at a proxy its own. */
const ISOLATION_KEY_BYTES = 32

/** A look-up for a short verb, without a running bridge; nothing starts before it is used. Close it at the end. */
export function openKeyLookup(
  context: NoticeContext,
  config: Config,
): { readonly lookup: KeyLookup; close(): Promise<void> } {
  const { store, clock, randomBytes } = context
  const pool = createWorkerPool({ threads: 1, clock })
  const told: Promise<void>[] = []
  const cm = createCmClientEnvironment(config.cm, {
    clock,
    certificateMemory: createCertificateMemory({
      store,
      onChange: (change) => told.push(tellCertificateChange(context, change)),
    }),
    isolationKey: randomBytes(ISOLATION_KEY_BYTES),
  })
  const random = (): number => Buffer.from(randomBytes(4)).readUInt32BE() / 2 ** 32
  const { privateServers } = config.cm
  const lookup = createCmKeyLookup({ store, clock, random, pool, cm, privateServers }, lookupSettings(config))
  return {
    lookup,
    async close() {
      await cm.sessions.close()
      await pool.close()
      await Promise.all(told)
    },
  }
}
