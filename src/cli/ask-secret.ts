import type { Readable, Writable } from 'node:stream'
import { CliError } from './cli-error.ts'

/** A terminal that is typed at. */
export interface SecretTerminal {
  readonly input: Readable & { setRawMode?(isRaw: boolean): unknown }
  /** Not standard output, which may be a pipe. */
  readonly output: Writable
}

/** Characters of an answer. */
const MAX_ANSWER_LENGTH = 4096
const END = new Set(['\r', '\n'])
/** Ctrl-C, Ctrl-D. */
const GIVE_UP = new Set(['\u0003', '\u0004'])
const ERASE = new Set(['\u007f', '\b'])

/** Takes what was typed; `done` at the end of the line, whatever comes behind it. */
function typeInto(typed: string[], text: string): 'more' | 'done' | 'gave-up' {
  for (const character of text) {
    if (END.has(character)) return 'done'
    if (GIVE_UP.has(character) || typed.length > MAX_ANSWER_LENGTH) return 'gave-up'
    if (ERASE.has(character)) typed.pop()
    else typed.push(character)
  }
  return 'more'
}

/** Asks a question and reads a line without showing it. Throws CliError when the person gives up. */
export function askSecret({ input, output }: SecretTerminal, question: string): Promise<string> {
  // First, so that nothing typed at once is shown.
  input.setRawMode?.(true)
  output.write(question)
  input.setEncoding('utf8')
  return new Promise((resolve, reject) => {
    const typed: string[] = []
    const finish = (): void => {
      input.off('data', take)
      input.off('end', giveUp)
      input.setRawMode?.(false)
      input.pause()
      output.write('\n')
    }
    const giveUp = (): void => {
      finish()
      reject(new CliError('nothing was entered: nothing was done'))
    }
    const take = (text: string): void => {
      const state = typeInto(typed, text)
      if (state === 'gave-up') giveUp()
      if (state !== 'done') return
      finish()
      resolve(typed.join(''))
    }
    input.on('data', take)
    input.on('end', giveUp)
    input.resume()
  })
}
