import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { describe, expect, it, onTestFinished } from 'vitest'
import { silentLog } from '../../src/bridge/log.ts'
import { type RedisServer, RedisServerError, startRedisServer } from '../../src/bridge/redis-server.ts'
import { systemClock } from '../../src/net/system-clock.ts'
import { connectUnix } from '../../src/net/unix-socket.ts'
import { hasProgram } from '../support/programs.ts'
import { RecordingLog } from '../support/recording-log.ts'
import { shortDirectory } from '../support/short-directory.ts'

/** The private Redis under the faults of cases O05 and O07: damaged data, odd paths, killed servers, killed bridges. */

interface Started {
  readonly redis: RedisServer
  readonly setAside: string[]
  readonly log: RecordingLog
}

async function start(home: string, directory = join(home, 'redis')): Promise<Started> {
  const setAside: string[] = []
  const log = new RecordingLog()
  const redis = await startRedisServer({
    program: 'redis-server',
    directory,
    runDirectory: home,
    clock: systemClock,
    log,
    onSetAside: (path) => setAside.push(path),
  })
  onTestFinished(() => redis.stop())
  return { redis, setAside, log }
}

/** The reply line to an inline command; undefined when nobody answers. */
async function ask(socketPath: string, command: string): Promise<string | undefined> {
  const connection = await connectUnix(socketPath, { idleMs: 5000 })
  if (connection === undefined) return undefined
  try {
    await connection.write(`${command}\r\n`)
    for await (const line of connection.lines(1000)) {
      if (!line.startsWith('$') || line === '$-1') return line
    }
    return undefined
  } finally {
    connection.destroy()
  }
}

/** Process id of the server behind a socket. */
async function redisPid(socketPath: string): Promise<number> {
  const connection = await connectUnix(socketPath, { idleMs: 5000 })
  if (connection === undefined) throw new Error('nobody listens')
  await connection.write('INFO server\r\n')
  for await (const line of connection.lines(1000)) {
    const pid = /^process_id:(\d+)/.exec(line)?.[1]
    if (pid !== undefined) {
      connection.destroy()
      return Number(pid)
    }
  }
  throw new Error('no process id')
}

async function goneFrom(socketPath: string): Promise<void> {
  const connection = await connectUnix(socketPath, { idleMs: 10_000 })
  await connection?.closed
}

describe.skipIf(!hasProgram('redis-server'))('the private Redis', () => {
  it('keeps its data over a stop and a start', async () => {
    const home = shortDirectory()
    const first = await start(home)
    expect(await ask(first.redis.socketPath, 'SET kept yes')).toBe('+OK')
    await first.redis.stop()
    expect(await ask(first.redis.socketPath, 'PING')).toBeUndefined()
    const second = await start(home)
    expect(await ask(second.redis.socketPath, 'GET kept')).toBe('yes')
    expect(second.setAside).toEqual([])
  })

  it('never throws jobs away', async () => {
    const { redis } = await start(shortDirectory())
    const connection = await connectUnix(redis.socketPath, { idleMs: 5000 })
    await connection?.write('CONFIG GET maxmemory-policy\r\n')
    const reply: string[] = []
    for await (const line of connection?.lines(100) ?? []) if (reply.push(line) === 5) break
    expect(reply).toContain('noeviction')
    connection?.destroy()
  })

  it('sets a damaged append-only file aside and starts empty', async () => {
    const home = shortDirectory()
    const first = await start(home)
    await ask(first.redis.socketPath, 'SET kept yes')
    await first.redis.stop()
    const files = join(home, 'redis', 'appendonlydir')
    const newest = readdirSync(files).find((name) => name.endsWith('.incr.aof'))
    appendFileSync(join(files, newest ?? ''), Buffer.alloc(595))

    const second = await start(home)
    expect(await ask(second.redis.socketPath, 'GET kept')).toBe('$-1')
    expect(second.setAside).toHaveLength(1)
    expect(existsSync(join(second.setAside[0] ?? '', 'appendonlydir', newest ?? ''))).toBe(true)
  })

  it('starts below a long path with blanks and umlauts', async () => {
    const home = shortDirectory()
    const long = join(home, `Büro Müller ${'ä'.repeat(30)}`, 'x'.repeat(80), 'redis')
    mkdirSync(long, { recursive: true })
    expect(Buffer.byteLength(long)).toBeGreaterThan(150)
    const { redis } = await start(home, long)
    expect(await ask(redis.socketPath, 'SET kept yes')).toBe('+OK')
    expect(readdirSync(long)).toContain('appendonlydir')
  })

  it('is started again with its data when it is killed', async () => {
    const { redis, log, setAside } = await start(shortDirectory())
    expect(await ask(redis.socketPath, 'SET kept yes')).toBe('+OK')
    for (let round = 0; round < 3; round += 1) {
      const again = log.next('runs again')
      process.kill(await redisPid(redis.socketPath), 'SIGKILL')
      await again
      expect(await ask(redis.socketPath, 'GET kept')).toBe('yes')
    }
    expect(setAside).toEqual([])
  })

  it('says in one line what to do when the program is missing', async () => {
    const home = shortDirectory()
    const options = {
      program: 'no-such-redis-server',
      directory: join(home, 'redis'),
      runDirectory: home,
      clock: systemClock,
      log: silentLog,
      onSetAside: () => undefined,
    }
    const failed = await startRedisServer(options).catch((error: unknown) => error)
    expect(failed).toBeInstanceOf(RedisServerError)
    expect((failed as Error).message).toMatch(
      /^no-such-redis-server is not installed: .*apt install redis-server/,
    )
    expect((failed as Error).message).not.toContain('\n')
  })

  it('says what Redis says when it does not start even when empty', async () => {
    const home = shortDirectory()
    const program = join(home, 'broken')
    writeFileSync(program, '#!/bin/sh\necho cannot start >&2\nexit 3\n', { mode: 0o755 })
    const options = {
      program,
      directory: join(home, 'redis'),
      runDirectory: home,
      clock: systemClock,
      log: silentLog,
      onSetAside: () => undefined,
    }
    await expect(startRedisServer(options)).rejects.toThrow('broken does not start: cannot start')
  })
})

/** Starts Redis in a process of its own, as the bridge would, and prints the socket. */
const BRIDGE_SCRIPT = `
import { silentLog } from '${fileURLToPath(new URL('../../src/bridge/log.ts', import.meta.url))}'
import { startRedisServer } from '${fileURLToPath(new URL('../../src/bridge/redis-server.ts', import.meta.url))}'
import { systemClock } from '${fileURLToPath(new URL('../../src/net/system-clock.ts', import.meta.url))}'
const [home] = process.argv.slice(-1)
const redis = await startRedisServer({ program: 'redis-server', directory: home + '/redis', runDirectory: home,
  clock: systemClock, log: silentLog, onSetAside: () => undefined })
console.log(redis.socketPath)
setInterval(() => undefined, 1000)
`

describe.skipIf(!hasProgram('redis-server'))('a bridge that is killed', () => {
  async function startBridge(home: string): Promise<{ kill: () => void; socketPath: string }> {
    const script = join(home, 'bridge.ts')
    writeFileSync(script, BRIDGE_SCRIPT)
    const child = spawn(process.execPath, [script, home], { stdio: ['ignore', 'pipe', 'inherit'] })
    onTestFinished(() => {
      child.kill('SIGKILL')
    })
    const [socketPath] = (await once(createInterface({ input: child.stdout }), 'line')) as [string]
    return { kill: () => child.kill('SIGKILL'), socketPath }
  }

  it('takes its Redis with it', async () => {
    const { kill, socketPath } = await startBridge(shortDirectory())
    const gone = goneFrom(socketPath)
    kill()
    await gone
  })

  it('can be started again at once, with what was queued', async () => {
    const home = shortDirectory()
    const first = await startBridge(home)
    expect(await ask(first.socketPath, 'SET kept yes')).toBe('+OK')
    first.kill()
    const { redis } = await start(home)
    expect(await ask(redis.socketPath, 'GET kept')).toBe('yes')
  })

  it('is no trouble when even the watchdog was killed: the orphan is ended first', async () => {
    const home = shortDirectory()
    const directory = join(home, 'redis')
    mkdirSync(directory)
    const socketPath = join(home, 'redis.sock')
    const settings = ['--port', '0', '--unixsocket', socketPath, '--dir', directory, '--appendonly', 'yes']
    const orphan = spawn('redis-server', [...settings, '--save', ''], { stdio: 'ignore' })
    const ended = once(orphan, 'exit')
    while ((await ask(socketPath, 'SET kept yes')) !== '+OK') execFileSync('true')
    const { redis } = await start(home)
    await ended
    expect(await ask(redis.socketPath, 'GET kept')).toBe('yes')
    expect(readFileSync(join(directory, 'appendonlydir', 'appendonly.aof.manifest'), 'utf8')).toContain(
      'incr',
    )
  })
})
