import { awaitMessage, openImap } from '../demo/people.ts'
import { type BridgePair, send, startBridgePair } from './bridge-pair.ts'
import { type Bench, progress, type Row, timed } from './table.ts'
import { withTempDirectory } from './temp-directory.ts'

const MESSAGES = 20
/** From SMTP to INBOX of another person, through the whole bridge and a CM server inside it. */
export const endToEndBench: Bench = {
  name: 'end-to-end',
  run: () =>
    withTempDirectory(async (directory) => {
      progress('end to end, starting a bridge with two accounts')
      const pair = await startBridgePair(directory, { server: 'inside' })
      try {
        return await measure(pair)
      } finally {
        await pair.stop()
      }
    }),
}

async function measure({ alice, bob }: BridgePair): Promise<Row[]> {
  const inbox = await openImap(bob)
  const arrived = (count: number) => awaitMessage(inbox, 'INBOX', ({ seq }) => seq >= count)
  try {
    // The first one looks up Bob's key.
    progress('end to end, one message')
    const first = await timed(async () => {
      await send(alice, bob, 0)
      await arrived(1)
    })
    progress(`end to end, ${MESSAGES} messages`)
    const accepted = await timed(async () => {
      for (let number = 1; number <= MESSAGES; number += 1) await send(alice, bob, number)
    })
    const rest = await timed(() => arrived(MESSAGES + 1))
    const totalMs = accepted.elapsedMs + rest.elapsedMs
    return [
      { what: 'first message', value: first.elapsedMs, unit: 'ms' },
      { what: `${MESSAGES} messages`, value: totalMs / 1000, unit: 's' },
      {
        what: 'of that until all are accepted by SMTP',
        value: accepted.elapsedMs / 1000,
        unit: 's',
        ratio: { of: accepted.elapsedMs / totalMs, to: 'the whole' },
      },
      {
        what: 'per message',
        value: totalMs / MESSAGES,
        unit: 'ms',
        ratio: { of: totalMs / MESSAGES / first.elapsedMs, to: 'the first' },
      },
    ]
  } finally {
    await inbox.logout()
  }
}
