import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CmProtocolError } from '../../../src/cm/client/cm-protocol-error.ts'
import { connectCmServer } from '../../../src/cm/client/connect-cm-server.ts'
import { dataBlockKey } from '../../../src/cm/ids.ts'
import { anyAddress } from '../../../src/net/address-guard.ts'
import { createMemoryChannelPair } from '../../../src/net/memory-channel.ts'
import { clientEnvironment, testServerTls } from '../../support/cm-client-support.ts'
import { readTranscript } from '../../support/cm-transcript.ts'
import { type FuzzTarget, mustHold } from './fuzz-target.ts'

const PAYLOAD = Buffer.from('a payload')
const KEY = dataBlockKey(PAYLOAD)
const DIALOGUES = ['03-check-empty-001', '05-lookup-address-at-server-001', '08-lookup-dns-001']

/** What a server answers to our client behind TLS: a result, or the error that says the server is wrong. */
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
  const serving = (async () => {
    await server.write(Buffer.from('CONFIDANT MAIL SERVER PROTOCOL 1 READY\r\n'))
    await server[Symbol.asyncIterator]().next()
    await server.write(Buffer.from('PROCEED\r\n'))
    await server.startTls(await testServerTls())
    await server.write(Buffer.from('ENCRYPTED\r\n'))
    await server[Symbol.asyncIterator]().next()
    await server.write(input)
    await server.end()
  })().catch(() => undefined)
  try {
    const session = await connectCmServer(
      { host: 'localhost', port: 8081, judge: anyAddress },
      clientEnvironment({ openChannel: async () => client }),
    )
    if (ask === 'block') await session.getBlock(KEY)
    else if (ask === 'dns') await session.dnsTxt('cmsvr.example.org')
    else if (ask === 'store') await session.storeText(KEY, 'Type: acknowledgment\n')
    else {
      const reply = await session.getData(KEY, sinkPath)
      mustHold(reply.kind !== 'data' || reply.payloadBytes === PAYLOAD.length, 'only the payload asked for')
    }
    session.close()
  } catch (error) {
    if (!(error instanceof CmProtocolError)) throw error
  } finally {
    await serving
    await rm(sinkPath, { force: true })
  }
}
