import { createSocket } from 'node:dgram'

/** What a test's DNS says about one name: records of character-strings, or an error. Anything else is NXDOMAIN. */
export type DnsSays = readonly (readonly string[])[] | 'servfail' | 'silence'

const NO_SUCH_NAME = 3
const SERVER_FAILURE = 2
const TXT_TYPE = 16

export interface TestDnsServer {
  /** `127.0.0.1:port`. */
  readonly hostPort: string
  /** Names asked for, in order, lower case. */
  readonly asked: readonly string[]
  close(): Promise<void>
}

/** A DNS server on loopback that knows TXT records only; strings are one character an octet. */
export async function startTestDns(zone: Readonly<Record<string, DnsSays>>): Promise<TestDnsServer> {
  const socket = createSocket('udp4')
  const asked: string[] = []
  socket.on('message', (message, { port, address }) => {
    const { name, question } = readQuestion(message)
    asked.push(name)
    const says = zone[name]
    if (says === 'silence') return
    socket.send(encodeAnswer(message, question, says), port, address)
  })
  const { promise, resolve } = Promise.withResolvers<void>()
  socket.bind(0, '127.0.0.1', resolve)
  await promise
  return {
    hostPort: `127.0.0.1:${socket.address().port}`,
    asked,
    close: () => new Promise((closed) => socket.close(closed)),
  }
}

function readQuestion(message: Buffer): { readonly name: string; readonly question: Buffer } {
  const labels: string[] = []
  let offset = 12
  for (let length = message[offset] ?? 0; length > 0; length = message[offset] ?? 0) {
    labels.push(message.toString('latin1', offset + 1, offset + 1 + length))
    offset += 1 + length
  }
  return { name: labels.join('.').toLowerCase(), question: message.subarray(12, offset + 5) }
}

function encodeAnswer(message: Buffer, question: Buffer, says: DnsSays | undefined): Buffer {
  const records = typeof says === 'object' ? says : []
  const header = Buffer.alloc(12)
  message.copy(header, 0, 0, 2)
  const code = says === undefined ? NO_SUCH_NAME : says === 'servfail' ? SERVER_FAILURE : 0
  header.writeUInt16BE(0x8180 | code, 2)
  header.writeUInt16BE(1, 4)
  header.writeUInt16BE(records.length, 6)
  return Buffer.concat([header, question, ...records.map(encodeRecord)])
}

function encodeRecord(strings: readonly string[]): Buffer {
  const data = Buffer.concat(
    strings.flatMap((text) => [Buffer.from([text.length]), Buffer.from(text, 'latin1')]),
  )
  const head = Buffer.alloc(12)
  // The name is the question's (RFC 1035 4.1.4); class IN, five seconds.
  head.writeUInt16BE(0xc00c, 0)
  head.writeUInt16BE(TXT_TYPE, 2)
  head.writeUInt16BE(1, 4)
  head.writeUInt32BE(5, 6)
  head.writeUInt16BE(data.length, 10)
  return Buffer.concat([head, data])
}
