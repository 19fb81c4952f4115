import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CmProtocolError } from '../../../src/cm/client/cm-protocol-error.ts'
import { CmSession } from '../../../src/cm/client/cm-session.ts'
import { CmDialogue, DEFAULT_CM_TIMEOUTS } from '../../../src/cm/client/dialogue.ts'
import { dataBlockKey } from '../../../src/cm/ids.ts'
import { createMemoryChannelPair } from '../../../src/net/memory-channel.ts'
import { realClock } from '../../support/cm-client-support.ts'
import { readTranscript } from '../../support/cm-transcript.ts'
import { type FuzzTarget, mustHold } from './fuzz-target.ts'

const PAYLOAD = Buffer.from('a payload')
const KEY = dataBlockKey(PAYLOAD)
const DIALOGUES = ['03-check-empty-001', '05-lookup-address-at-server-001', '08-lookup-dns-001']

/** What a server answers to our client inside TLS: a result, or the error that says the server is wrong. */
export const cmClient: FuzzTarget = {
  name: 'cm-client',
  seeds: () => [
    Buffer.from(`Type: data\r\nDate: 2026-11-25T09:43:20Z\r\nData: ${PAYLOAD.length}\r\n${PAYLOAD}`),
    Buffer.from('NOT FOUND\r\nTXT: server=a.example:8081\r\nEndBlock\r\nDONE\r\nGOODBYE\r\n'),
    ...DIALOGUES.map((name) =>
      Buffer.from(
        readTranscript(`client/${name}.txt`)
          .filter(({ command }) => /^(GET|DNS|STORE)/.test(command))
          .map(({ answer }) => answer)
          .join(''),
        'latin1',
      ),
    ),
  ],
  async run(input) {
    for (const ask of ['block', 'data', 'dns', 'store'] as const) await askOnce(ask, input)
  },
}

async function askOnce(ask: 'block' | 'data' | 'dns' | 'store', input: Uint8Array): Promise<void> {
  const [client, server] = createMemoryChannelPair({ bufferBytes: 1 << 26 })
  const sinkPath = join(tmpdir(), `cmb-fuzz-${process.pid}`)
  const session = new CmSession(new CmDialogue(client, realClock(), DEFAULT_CM_TIMEOUTS), {
    hostPort: 'localhost:8081',
    certificate: 'known',
    isAllowedBy: () => true,
  })
  const serving = (async () => {
    await server[Symbol.asyncIterator]().next()
    await server.write(input)
    await server.end()
  })()
  try {
    if (ask === 'block') await session.getBlock(KEY)
    else if (ask === 'dns') await session.dnsTxt('cmsvr.example.org')
    else if (ask === 'store') await session.storeText(KEY, 'Type: acknowledgment\n')
    else {
      const reply = await session.getData(KEY, sinkPath)
      mustHold(reply.kind !== 'data' || reply.payloadBytes === PAYLOAD.length, 'only the payload asked for')
    }
  } catch (error) {
    if (!(error instanceof CmProtocolError)) throw error
  } finally {
    session.close()
    await serving
    await rm(sinkPath, { force: true })
  }
}
