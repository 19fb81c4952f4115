import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { type Clock, sleep } from '../base/clock.ts'
import { connectUnix } from '../net/unix-socket.ts'
import type { Log } from './log.ts'

export interface RedisServerOptions {
  /** `redis-server`, or a path to it. */
  readonly program: string
  /** Where the append-only file lies; made when missing. */
  readonly directory: string
  /** Private (0700) and short; holds the socket. */
  readonly runDirectory: string
  readonly clock: Clock
  readonly log: Log
  /** A damaged directory was set aside under this path: the queue is empty and is filled from the rows again (case O05). */
  readonly onSetAside: (path: string) => void
}

export interface RedisServer {
  readonly socketPath: string
  /** Flushes and ends it; it is not started again. */
  stop(): Promise<void>
}

/** The private Redis cannot be had; the message says why and what to do. */
export class RedisServerError extends Error {
  override readonly name = 'RedisServerError'
}

/** Milliseconds from start to the first answer: loading a household's append-only file takes a fraction of it. */
const START_MS = 20_000
/** Milliseconds between looks whether it answers. */
const ANSWER_LOOK_MS = 10
/** Milliseconds it has to flush and end before it is killed. */
const STOP_MS = 5000
/** Milliseconds before it is started again after it died; doubled each time it does not come up, up to the longest. */
const RESTART_MS = { first: 50, longest: 10_000 } as const
/** Lines of its log kept for the error message. */
const KEPT_LOG_LINES = 5
const NOT_FOUND_CODES = [126, 127]

/**
 * Runs redis-server and ends it when file descriptor 3 reaches its end, which it does when the bridge dies, however it
 * dies: no orphan stays behind.
 */
const WATCHDOG = `
"$@" 3<&- & server=$!
{ read -r _ <&3; kill "$server"; } 2>/dev/null & watch=$!
wait "$server"; code=$?
kill "$watch" 2>/dev/null
exit "$code"`

/** Starts the private Redis and keeps it running (design 3). Throws RedisServerError when it does not come up. */
export async function startRedisServer(options: RedisServerOptions): Promise<RedisServer> {
  const socketPath = join(options.runDirectory, 'redis.sock')
  await stopLeftoverRedis(options.runDirectory, options.clock)
  const keeper = new RedisKeeper(options, socketPath)
  await keeper.start()
  return { socketPath, stop: () => keeper.stop() }
}

/** Ends a Redis whose bridge is gone but which is not; its append-only file must have one writer. */
export async function stopLeftoverRedis(runDirectory: string, clock: Clock): Promise<void> {
  const socketPath = join(runDirectory, 'redis.sock')
  const connection = await connectUnix(socketPath, { idleMs: STOP_MS })
  if (connection !== undefined) {
    await connection.write('SHUTDOWN\r\n')
    const gone = await Promise.race([
      connection.closed.then(() => true),
      sleep(clock, STOP_MS).then(() => false),
    ])
    connection.destroy()
    if (!gone)
      throw new RedisServerError(`an old redis-server at ${socketPath} does not end: kill it and start again`)
  }
  rmSync(socketPath, { force: true })
}

interface RunningRedis {
  readonly child: ChildProcess
  readonly ended: Promise<number | null>
  readonly lastLines: readonly string[]
}

class RedisKeeper {
  readonly #options: RedisServerOptions
  readonly #socketPath: string
  readonly #log: Log
  #running: RunningRedis | undefined
  #restarting: Promise<void> = Promise.resolve()
  #stopping: boolean = false

  constructor(options: RedisServerOptions, socketPath: string) {
    this.#options = options
    this.#socketPath = socketPath
    this.#log = options.log.child({ part: 'redis' })
  }

  /** With its data, or, when it does not start with them, with an empty directory in their place. */
  async start(): Promise<void> {
    const first = await this.#spawn()
    if (first.kind === 'up') return this.#keep(first.running)
    if (first.kind === 'not-installed' || !this.#hasData()) throw this.#error(first)
    const aside = this.#setAside()
    const second = await this.#spawn()
    if (second.kind !== 'up') throw this.#error(second)
    this.#log.warn({ aside }, 'Redis did not start with its data; they are set aside and it starts empty')
    this.#keep(second.running)
    this.#options.onSetAside(aside)
  }

  async stop(): Promise<void> {
    this.#stopping = true
    await this.#restarting
    if (this.#running !== undefined) await this.#end(this.#running)
    rmSync(this.#socketPath, { force: true })
  }

  async #spawn(): Promise<StartOutcome> {
    mkdirSync(this.#options.directory, { recursive: true, mode: 0o700 })
    const running = this.#run()
    const outcome = await Promise.race([running.ended, this.#answers(running)])
    if (outcome === 'up') return { kind: 'up', running }
    if (outcome === 'late') await this.#end(running)
    const isMissing = typeof outcome === 'number' && NOT_FOUND_CODES.includes(outcome)
    return { kind: isMissing ? 'not-installed' : 'failed', lastLines: running.lastLines }
  }

  #run(): RunningRedis {
    const settings = redisArguments(this.#options.directory, this.#socketPath)
    // A process group of its own: Ctrl-C in the terminal reaches the bridge, which drains first.
    const child = spawn('/bin/sh', ['-c', WATCHDOG, 'sh', this.#options.program, ...settings], {
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
      // Redis 7 ends at once when the environment names a locale that is not installed.
      env: { PATH: process.env.PATH, LC_ALL: 'C' },
    })
    const lastLines: string[] = []
    for (const stream of [child.stdout, child.stderr]) {
      if (stream === null) continue
      createInterface({ input: stream }).on('line', (line) => {
        this.#log.debug({ line }, 'redis-server says')
        if (lastLines.push(line) > KEPT_LOG_LINES) lastLines.shift()
      })
    }
    // The pipe breaks when redis-server ends first: that is told by 'close'.
    child.stdio[3]?.on('error', () => undefined)
    const ended = new Promise<number | null>((resolve) => {
      child.once('error', () => resolve(null))
      child.once('close', (code) => resolve(code))
    })
    return { child, ended, lastLines }
  }

  async #answers(running: RunningRedis): Promise<'up' | 'late'> {
    const { clock } = this.#options
    const giveUpAt = clock.now() + START_MS
    let isRunning = true
    void running.ended.then(() => {
      isRunning = false
    })
    while (isRunning && clock.now() < giveUpAt) {
      if (await answersPing(this.#socketPath)) return 'up'
      await sleep(clock, ANSWER_LOOK_MS)
    }
    return 'late'
  }

  #keep(running: RunningRedis): void {
    this.#running = running
    void running.ended.then((code) => {
      this.#running = undefined
      if (this.#stopping) return
      this.#log.warn({ code }, 'redis-server ended; starting it again')
      this.#restart(RESTART_MS.first)
    })
  }

  #restart(delayMs: number): void {
    this.#options.clock.after(delayMs, () => {
      if (!this.#stopping) this.#restarting = this.#tryRestart(delayMs)
    })
  }

  async #tryRestart(delayMs: number): Promise<void> {
    try {
      await stopLeftoverRedis(this.#options.runDirectory, this.#options.clock)
      await this.start()
      this.#log.info({}, 'redis-server runs again')
    } catch (cause) {
      this.#log.error({ cause }, 'redis-server does not start; jobs wait in the database')
      this.#restart(Math.min(delayMs * 2, RESTART_MS.longest))
    }
  }

  async #end({ child, ended }: RunningRedis): Promise<void> {
    const pipe = child.stdio[3]
    pipe?.destroy()
    const isGone = await Promise.race([
      ended.then(() => true),
      sleep(this.#options.clock, STOP_MS).then(() => false),
    ])
    if (isGone || child.pid === undefined) return
    process.kill(-child.pid, 'SIGKILL')
    await ended
  }

  #hasData(): boolean {
    return readdirSync(this.#options.directory).length > 0
  }

  #setAside(): string {
    const { directory, clock } = this.#options
    const stamp = new Date(clock.now()).toISOString().replaceAll(/[:.]/g, '-')
    const aside = `${directory}-damaged-${stamp}`
    renameSync(directory, aside)
    return aside
  }

  #error({ kind, lastLines }: FailedStart): RedisServerError {
    const { program } = this.#options
    if (kind === 'not-installed') {
      return new RedisServerError(
        `${program} is not installed: install it (Debian and Ubuntu: apt install redis-server), ` +
          'or name it in redis.program, or name a running Redis in redis.url',
      )
    }
    return new RedisServerError(`${program} does not start: ${lastLines.join(' | ') || 'it says nothing'}`)
  }
}

interface FailedStart {
  readonly kind: 'failed' | 'not-installed'
  readonly lastLines: readonly string[]
}

type StartOutcome = { readonly kind: 'up'; readonly running: RunningRedis } | FailedStart

function redisArguments(directory: string, socketPath: string): string[] {
  const settings: Record<string, string> = {
    port: '0',
    unixsocket: socketPath,
    unixsocketperm: '700',
    dir: directory,
    // Jobs survive a crash of the bridge or of Redis; a power cut may cost the last second, which the rows bring back.
    appendonly: 'yes',
    appendfsync: 'everysec',
    save: '',
    'maxmemory-policy': 'noeviction',
    daemonize: 'no',
    logfile: '',
  }
  return Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value])
}

/** True when Redis is there and has loaded its data. */
async function answersPing(socketPath: string): Promise<boolean> {
  const connection = await connectUnix(socketPath, { idleMs: START_MS })
  if (connection === undefined) return false
  try {
    await connection.write('PING\r\n')
    for await (const line of connection.lines(1024)) return line === '+PONG'
    return false
  } catch {
    // It went away while it was asked: not there.
    return false
  } finally {
    connection.destroy()
  }
}
