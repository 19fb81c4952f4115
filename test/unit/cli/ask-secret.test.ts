import { PassThrough } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { askSecret } from '../../../src/cli/ask-secret.ts'

class Terminal extends PassThrough {
  readonly modes: boolean[] = []
  setRawMode(isRaw: boolean): void {
    this.modes.push(isRaw)
  }
}

function ask(...typed: string[]) {
  const input = new Terminal()
  const output = new PassThrough()
  const answer = askSecret({ input, output }, 'passphrase: ')
  for (const text of typed) input.write(text)
  return { input, answer, shown: () => String(output.read()) }
}

describe('a passphrase is asked for', () => {
  it.each([
    ['at once', ['correct horse\r'], 'correct horse'],
    ['letter by letter', [...'geheim', '\r'], 'geheim'],
    ['with a letter taken back', ['geheimm\u007f\r'], 'geheim'],
    ['with blanks around it, which count', ['  x \n'], '  x '],
    ['with letters outside ASCII', ['žluťoučký\r'], 'žluťoučký'],
  ])('%s, and never shown', async (_name, typed, expected) => {
    const { answer, shown, input } = ask(...typed)
    expect(await answer).toBe(expected)
    expect(shown()).toBe('passphrase: \n')
    expect(input.modes).toEqual([true, false])
  })

  it('until the person gives up', async () => {
    const { answer, input } = ask('gehe\u0003')
    await expect(answer).rejects.toThrow('nothing was entered')
    expect(input.modes).toEqual([true, false])
  })

  it('until the input ends', async () => {
    const { answer, input } = ask('gehe')
    input.end()
    await expect(answer).rejects.toThrow('nothing was entered')
  })

  it('twice on one terminal', async () => {
    const input = new Terminal()
    const output = new PassThrough()
    const first = askSecret({ input, output }, '1: ')
    input.write('one\r')
    expect(await first).toBe('one')
    const second = askSecret({ input, output }, '2: ')
    input.write('two\r')
    expect(await second).toBe('two')
  })
})
