import type { Command } from 'commander'
import type { CliContext } from './context.ts'
import { registerInspectBlock } from './inspect-block.ts'
import { registerInspectKey } from './inspect-key.ts'
import { registerInspectMessage } from './inspect-message.ts'
import { registerInspectPow } from './inspect-pow.ts'

/** `cmbridge inspect`: the magnifying glass for whoever debugs this network; offline, JSON, the bridge's own functions. */
export function registerInspect(program: Command, context: CliContext): void {
  const inspect = program
    .command('inspect')
    .description('look into a block, a message, a proof of work or a key, offline')
  registerInspectBlock(inspect, context)
  registerInspectMessage(inspect, context)
  registerInspectPow(inspect, context)
  registerInspectKey(inspect, context)
}
