import { deliverMessages, withAccountMail } from './mailbox.ts'
import { type Bench, progress, type Row, timed } from './table.ts'

/** Deliveries at the same time, and how many of them: a lone one waits for the disk each time. */
const LEVELS = [
  { inFlight: 1, count: 300 },
  { inFlight: 10, count: 1500 },
  { inFlight: 100, count: 3000 },
] as const

/** Durable deliveries of 4 KiB into a mailbox; those that are on their way together share a commit. */
export const storeBench: Bench = {
  name: 'store',
  run: () =>
    withAccountMail(async (mail) => {
      await deliverMessages(mail, 50, 10)
      const rows: Row[] = []
      let alone: number | undefined
      for (const { inFlight, count } of LEVELS) {
        progress(`store, ${count} messages, ${inFlight} in flight`)
        const { elapsedMs } = await timed(() => deliverMessages(mail, count, inFlight))
        const rate = (count * 1000) / elapsedMs
        alone ??= rate
        rows.push({
          what: `deliver 4 KiB, ${inFlight} in flight`,
          value: rate,
          unit: 'messages/s',
          ratio: { of: rate / alone, to: '1 in flight' },
        })
      }
      return rows
    }),
}
