import { existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { silentLog } from '../../src/bridge/log.ts'
import { CliError } from '../../src/cli/cli-error.ts'
import { askRunningBridge } from '../../src/cli/control-client.ts'
import { controlSocketPath, MAX_CONTROL_LINE_BYTES } from '../../src/cli/control-protocol.ts'
import { startControlServer } from '../../src/cli/control-server.ts'
import { openRunDirectory } from '../../src/cli/run-directory.ts'
import { connectUnix, MAX_SOCKET_PATH_BYTES } from '../../src/net/unix-socket.ts'
import { RecordingLog } from '../support/recording-log.ts'
import { shortDirectory } from '../support/short-directory.ts'

async function start(log = silentLog): Promise<string> {
  const runDirectory = shortDirectory()
  const server = await startControlServer({
    runDirectory,
    log,
    verbs: {
      echo: async (args) => args,
      refuse: async () => {
        throw new CliError('not like this; do it so', 2)
      },
      break: async () => {
        throw new Error('secret detail')
      },
    },
  })
  onTestFinished(() => server.close())
  return runDirectory
}

async function sendRaw(runDirectory: string, text: string): Promise<string[]> {
  const connection = await connectUnix(controlSocketPath(runDirectory), { idleMs: 5000 })
  if (connection === undefined) throw new Error('nobody listens')
  const lines: string[] = []
  await connection.write(text)
  for await (const line of connection.lines(1000)) lines.push(line)
  return lines
}

describe('the control socket', () => {
  it('runs a verb and gives its result back', async () => {
    const args = { text: 'ünï\n"', list: [1, null] }
    expect(await askRunningBridge(await start(), { verb: 'echo', args })).toEqual({
      kind: 'ok',
      result: args,
    })
  })

  it('hands on what a verb says to the user, with its exit code', async () => {
    const asked = askRunningBridge(await start(), { verb: 'refuse', args: null })
    await expect(asked).rejects.toMatchObject({ message: 'not like this; do it so', exitCode: 2 })
  })

  it('keeps the details of our own faults in the log', async () => {
    const log = new RecordingLog()
    const asked = askRunningBridge(await start(log), { verb: 'break', args: null })
    await expect(asked).rejects.toThrow('internal error in the running bridge, see its log')
    expect(log.lines).toMatchObject([{ level: 'error', fields: { verb: 'break' } }])
  })

  it.each(['nonsense\n', '{"verb":"unknown"}\n', '{"verb":"constructor"}\n', '[]\n', '{"verb":7}\n'])(
    'answers %j without running anything',
    async (line) => {
      const answers = await sendRaw(await start(), line)
      expect(answers).toHaveLength(1)
      expect(JSON.parse(answers[0] ?? '')).toMatchObject({ kind: 'failed', exitCode: 2 })
    },
  )

  it('drops a peer that sends an endless line', async () => {
    const sent = sendRaw(await start(), 'x'.repeat(MAX_CONTROL_LINE_BYTES + 10))
    expect(await sent.catch(() => [])).toEqual([])
  })

  it('takes the place of a socket file that a killed bridge left', async () => {
    const runDirectory = shortDirectory()
    writeFileSync(controlSocketPath(runDirectory), '')
    const server = await startControlServer({ runDirectory, log: silentLog, verbs: {} })
    await server.close()
    expect(existsSync(controlSocketPath(runDirectory))).toBe(false)
  })

  it('is found by nobody when no bridge runs', async () => {
    expect(await askRunningBridge(shortDirectory(), { verb: 'echo', args: null })).toEqual({ kind: 'nobody' })
  })
})

describe('the run directory', () => {
  it('is in the data directory, for its owner alone', () => {
    const directory = shortDirectory()
    const run = openRunDirectory(directory, {})
    expect(run.path).toBe(join(directory, 'run'))
    expect(statSync(run.path).mode & 0o777).toBe(0o700)
  })

  it('is elsewhere, and goes away again, when the path is too long for a socket (O07)', () => {
    const directory = join(shortDirectory(), `Büro Müller ${'ä'.repeat(60)}`)
    mkdirSync(directory)
    const run = openRunDirectory(directory, {})
    expect(Buffer.byteLength(controlSocketPath(run.path))).toBeLessThanOrEqual(MAX_SOCKET_PATH_BYTES)
    expect(statSync(run.path).mode & 0o777).toBe(0o700)
    run.release()
    expect(existsSync(run.path)).toBe(false)
  })
})
