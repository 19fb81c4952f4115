import { pino } from 'pino'
import type { Config } from '../bridge/config.ts'
import type { Log } from '../bridge/log.ts'

/** Fields about the people somebody writes with: in the log at level debug only (design 5). */
const PERSONAL_FIELDS = [
  'address',
  'addresses',
  'authcid',
  'from',
  'keyId',
  'keyIds',
  'recipient',
  'subject',
  'to',
]

interface LogLine {
  readonly level: string
  readonly time: string
  readonly msg: string
  readonly part?: string
  readonly cause?: { readonly stack?: string }
}

/** The program's log, written to standard error: a JSON line each, or text for people. */
export function createLog(settings: Config['log'], write: (text: string) => void): Log {
  return pino(
    {
      level: settings.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (level) => ({ level }) },
      serializers: { cause: pino.stdSerializers.err },
      redact: { paths: settings.level === 'debug' ? [] : PERSONAL_FIELDS, remove: true },
    },
    { write: settings.format === 'json' ? write : (line) => write(textLine(line)) },
  )
}

/** `2026-11-25T12:00:00.000Z info  queue: Redis is back  job=om1-encode-0`, with the stack of a cause below. */
function textLine(json: string): string {
  const { level, time, msg, part, cause, ...fields } = JSON.parse(json) as LogLine
  const prefix = part === undefined ? '' : `${part}: `
  const pairs = Object.entries(fields).map(([name, value]) => `${name}=${shown(value)}`)
  const reason = typeof cause === 'string' ? [`cause=${shown(cause)}`] : []
  const stack =
    typeof cause === 'object' && cause.stack !== undefined
      ? `\n  ${cause.stack.replaceAll('\n', '\n  ')}`
      : ''
  return `${[`${time} ${level.padEnd(5)} ${prefix}${msg}`, ...reason, ...pairs].join('  ')}${stack}\n`
}

function shown(value: unknown): string {
  return typeof value === 'string' && /^[\w./:@+-]+$/.test(value) ? value : JSON.stringify(value)
}
