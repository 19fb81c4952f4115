import type { ServerTlsContext } from '../../src/net/byte-channel.ts'
import { startScriptedServer } from './cm-client-support.ts'

/** What a server says about a key: a text block, a line of its own (`FAILED`), or nothing at all. */
export type BlockServerSays = string | { readonly line: string } | 'silence'

export interface BlockServer {
  /** `127.0.0.1:port`. */
  readonly hostPort: string
  /** Every command it was asked, in order, without STARTTLS and QUIT. */
  readonly asked: readonly string[]
  close(): Promise<void>
}

export interface BlockServerOptions {
  /** By block key; anything else is NOT FOUND. */
  readonly blocks?: Readonly<Record<string, BlockServerSays>>
  /** By name: the TXT lines, or a line in place of them. */
  readonly txt?: Readonly<Record<string, readonly string[] | { readonly line: string }>>
  readonly tls?: ServerTlsContext
}

/** A CM server that has exactly the blocks a test gives it, however wrong they are: ours would not take them. */
export async function startBlockServer(options: BlockServerOptions = {}): Promise<BlockServer> {
  const { blocks = {}, txt = {}, tls } = options
  const asked: string[] = []
  const server = await startScriptedServer(async (connection) => {
    await connection.greet(tls)
    for (let line = await connection.line(); line !== undefined; line = await connection.line()) {
      if (line === 'QUIT') {
        await connection.send('GOODBYE\r\n')
        break
      }
      asked.push(line)
      const says = answerTo(line, blocks, txt)
      if (says === 'silence') await connection.rest()
      else await connection.send(says)
    }
    await connection.channel.end()
  })
  return { hostPort: `127.0.0.1:${server.port}`, asked, close: () => server.close() }
}

function answerTo(
  line: string,
  blocks: Readonly<Record<string, BlockServerSays>>,
  txt: Readonly<Record<string, readonly string[] | { readonly line: string }>>,
): string | Uint8Array {
  const [verb = '', what = '', name = ''] = line.split(' ')
  if (verb === 'DNS') return textAnswer(txtOf(txt[name]))
  const says = what === 'SERVER' ? blocks[name.toLowerCase()] : undefined
  return says === 'silence' ? 'silence' : textAnswer(says)
}

function txtOf(says: readonly string[] | { readonly line: string } | undefined): BlockServerSays | undefined {
  if (says === undefined || 'line' in says) return says
  return says.map((text) => `TXT: ${text}\n`).join('')
}

function textAnswer(says: Exclude<BlockServerSays, 'silence'> | undefined): string | Uint8Array {
  if (says === undefined) return 'NOT FOUND\r\n'
  if (typeof says !== 'string') return `${says.line}\r\n`
  return Buffer.from(`${says.replaceAll('\n', '\r\n')}EndBlock\r\n`)
}
