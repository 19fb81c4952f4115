import { vectorBytes } from './vectors.ts'

/** What one side said before the other answered, of a recorded dialogue. */
export interface Exchange {
  /** Octets of the client, line ends included. */
  readonly sent: Buffer
  /** The client's first line: names the exchange. */
  readonly command: string
  /** The server's octets, line ends included, latin1. */
  readonly answer: string
  /** Seconds after the start of the recording. */
  readonly atSeconds: number
  /** A note of the recorder after it: `tls` or `closed`. */
  readonly then: 'tls' | 'closed' | undefined
}

/** A recorded dialogue of the reference as exchanges; the greeting is the answer of an empty first one. */
export function readTranscript(path: string): Exchange[] {
  const folder = `transcripts/${path.slice(0, path.lastIndexOf('/') + 1)}`
  const exchanges: Exchange[] = []
  let sent: Buffer[] = []
  let answer = ''
  let atSeconds = 0
  const finish = (then?: 'tls' | 'closed'): void => {
    if (sent.length === 0 && answer.length === 0) return
    const bytes = Buffer.concat(sent)
    const command = bytes.toString('latin1').split('\r\n', 1)[0] ?? ''
    exchanges.push({ sent: bytes, command, answer, atSeconds, then })
    sent = []
    answer = ''
  }
  for (const line of vectorBytes(`transcripts/${path}`).toString('utf8').split('\n')) {
    const [, at, mark, text = ''] = /^\+([0-9.]+) (C:|S:|C\||S\||C\.|--)(?: (.*))?$/.exec(line) ?? []
    if (mark?.startsWith('C') && answer.length > 0) finish()
    if (sent.length === 0 && mark?.startsWith('C')) atSeconds = Number(at)
    if (mark === 'C:') sent.push(octetsOf(text), Buffer.from('\r\n'))
    else if (mark === 'C|') sent.push(octets(folder, text))
    else if (mark === 'S:') answer += `${octetsOf(text).toString('latin1')}\r\n`
    else if (mark === 'S|') answer += octets(folder, text).toString('latin1')
    else if (mark === '--' && text.startsWith('TLS')) finish('tls')
    else if (mark === '--' && text.startsWith('server closed')) finish('closed')
  }
  finish()
  return withoutPolling(exchanges)
}

/** The reference stores after DONE; its recorder asked until the block was there. Only the last of equal questions counts. */
function withoutPolling(exchanges: readonly Exchange[]): Exchange[] {
  return exchanges.filter((exchange, index) => {
    const isPoll = exchange.command.startsWith('GET ') && exchange.answer === 'NOT FOUND\r\n'
    return !(isPoll && exchanges[index + 1]?.command === exchange.command)
  })
}

function octetsOf(text: string): Buffer {
  const octetsOfText = Buffer.from(text, 'utf8').toString('latin1')
  return Buffer.from(
    octetsOfText.replace(/\\x([0-9a-f]{2})/g, (_, hex: string) =>
      String.fromCharCode(Number.parseInt(hex, 16)),
    ),
    'latin1',
  )
}

function octets(folder: string, text: string): Buffer {
  const base64 = /base64: (.*)$/.exec(text)?.[1]
  if (base64 !== undefined) return Buffer.from(base64, 'base64')
  const file = /file: (.*)$/.exec(text)?.[1]
  if (file === undefined) throw new Error(`transcript payload ${text}`)
  return vectorBytes(`${folder}${file}`)
}
