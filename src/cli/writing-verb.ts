import { sleep } from '../base/clock.ts'
import { createAccountAdministration } from '../bridge/account-administration.ts'
import { createContactAdministration } from '../bridge/contact-administration.ts'
import { createKeyAdministration } from '../bridge/key-administration.ts'
import { silentLog } from '../bridge/log.ts'
import { openKeyLookup } from '../bridge/lookup/open-key-lookup.ts'
import { acquireInstanceLock, type InstanceLock, type LockHolder } from '../store/instance-lock.ts'
import { openStore } from '../store/open-store.ts'
import { accountVerbs } from './account-verbs.ts'
import { certificateVerbs } from './certificate-verbs.ts'
import { CliError } from './cli-error.ts'
import { contactVerbs } from './contact-verbs.ts'
import { type CliContext, type CommonFlags, dataDirectory, settingsOf } from './context.ts'
import { askRunningBridge } from './control-client.ts'
import type { ControlRequest, ControlVerbs } from './control-protocol.ts'
import { heldMessage } from './held-message.ts'
import { importVerbs } from './import-verbs.ts'
import { makeDataDirectory } from './installation.ts'
import { keyVerbs } from './key-verbs.ts'
import { idleCmServer } from './own-cm-server.ts'

/** Milliseconds to wait for another short verb, or for a bridge that is starting or ending. */
const LOCK_WAIT_MS = 10_000
const LOCK_LOOK_MS = 50

/**
 * Runs a verb that writes: in the running bridge when there is one, else here, with the lock (design 4). Both run the
 * same function. Returns its plain result; throws CliError.
 */
export async function runWritingVerb(
  context: CliContext,
  flags: CommonFlags,
  request: ControlRequest,
): Promise<unknown> {
  const directory = dataDirectory(context, flags)
  // Checked first, so that a wrong setting is told before anything is written.
  const config = settingsOf(context, flags)
  makeDataDirectory(directory)
  const giveUpAt = context.clock.now() + LOCK_WAIT_MS
  for (;;) {
    const outcome = acquireInstanceLock(directory, shortHolder(context, request.verb))
    if (outcome.kind === 'acquired') return await runHere(outcome.lock)
    const { holder } = outcome
    if (holder !== undefined && holder.runDirectory !== '') {
      const answer = await askRunningBridge(holder.runDirectory, request)
      if (answer.kind === 'ok') return answer.result
    }
    if (context.clock.now() > giveUpAt) throw new CliError(heldMessage(directory, holder))
    await sleep(context.clock, LOCK_LOOK_MS)
  }

  async function runHere(lock: InstanceLock): Promise<unknown> {
    try {
      const { clock, randomBytes } = context
      const store = await openStore({ directory, clock, randomBytes, onFailure: () => undefined })
      let closeLookup = async (): Promise<void> => undefined
      try {
        const ownCmServer = idleCmServer(context, directory, config)
        const own = { store, clock, randomBytes, log: silentLog, ownCmServer }
        const accounts = createAccountAdministration(own)
        const keys = createKeyAdministration(own)
        const { lookup, close } = openKeyLookup(own, config)
        closeLookup = close
        const contacts = createContactAdministration({ ...own, lookup })
        const verbs: ControlVerbs = {
          ...accountVerbs(accounts),
          ...keyVerbs(keys),
          ...importVerbs({ store, clock, accounts, keys }),
          ...certificateVerbs(store),
          ...contactVerbs(contacts),
        }
        const verb = verbs[request.verb]
        if (verb === undefined) throw new Error(`no such verb: ${request.verb}`)
        return await verb(request.args)
      } finally {
        await closeLookup()
        await store.close()
      }
    } finally {
      lock.release()
    }
  }
}

/** Who this process is while it holds the lock for one verb. */
function shortHolder({ clock }: CliContext, verb: string): LockHolder {
  return { pid: process.pid, startedAtMs: clock.now(), verb, runDirectory: '' }
}
