import type { Log, LogFields } from '../../src/bridge/log.ts'

export interface LogLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error'
  readonly message: string
  readonly fields: LogFields
}

/** A log that keeps its lines, and lets a test wait for one. */
export class RecordingLog implements Log {
  readonly lines: LogLine[] = []
  readonly #waiting: { message: string; found: (line: LogLine) => void }[] = []

  debug = (fields: LogFields, message: string): void => this.#keep({ level: 'debug', message, fields })
  info = (fields: LogFields, message: string): void => this.#keep({ level: 'info', message, fields })
  warn = (fields: LogFields, message: string): void => this.#keep({ level: 'warn', message, fields })
  error = (fields: LogFields, message: string): void => this.#keep({ level: 'error', message, fields })
  child = (): Log => this

  /** Resolves with the next line that has this in its message. */
  next(message: string): Promise<LogLine> {
    return new Promise((found) => this.#waiting.push({ message, found }))
  }

  #keep(line: LogLine): void {
    this.lines.push(line)
    for (const { message, found } of this.#waiting) if (line.message.includes(message)) found(line)
  }
}
