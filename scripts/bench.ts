import { availableParallelism } from 'node:os'
import { cmServerBench } from './bench/cm-server.ts'
import { endToEndBench } from './bench/end-to-end.ts'
import { imapBench } from './bench/imap.ts'
import { messageBench } from './bench/message.ts'
import { proofOfWorkBench } from './bench/proof-of-work.ts'
import { smallMessagesBench } from './bench/small-messages.ts'
import { storeBench } from './bench/store.ts'
import { formatTable } from './bench/table.ts'

/** Measures what costs time, in a few minutes. `BENCH=store` measures one thing; progress goes to standard error. */

const BENCHES = [
  proofOfWorkBench,
  messageBench,
  storeBench,
  imapBench,
  cmServerBench,
  endToEndBench,
  smallMessagesBench,
]

const wanted = process.env.BENCH ?? ''
const chosen = BENCHES.filter(({ name }) => wanted === '' || name === wanted)
if (chosen.length === 0) {
  console.error(`BENCH=${wanted}: no such bench; there are ${BENCHES.map(({ name }) => name).join(', ')}`)
  process.exitCode = 2
} else {
  console.log(`Node ${process.versions.node}, ${availableParallelism()} processors\n`)
  for (const bench of chosen) console.log(formatTable(bench.name, await bench.run()))
}
