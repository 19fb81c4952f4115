import { blockLines, parseHeaderLine } from './block-text.ts'

/** Header values of one record, name by name, in the order they stand (CM wire 2.1). */
export class HeaderFields {
  readonly #values = new Map<string, string[]>()
  readonly #headerLines: { readonly name: string; readonly line: string }[] = []

  constructor(lines: readonly string[]) {
    for (const line of lines) {
      const header = parseHeaderLine(line)
      if (header === undefined) continue
      this.#headerLines.push({ name: header.name, line })
      const values = this.#values.get(header.name)
      if (values === undefined) this.#values.set(header.name, [header.value])
      else values.push(header.value)
    }
  }

  /** All values that fit; a line that does not fit its grammar counts as missing. `name` in lower case. */
  all(name: string, grammar: RegExp): string[] {
    return (this.#values.get(name) ?? []).filter((value) => grammar.test(value))
  }

  first(name: string, grammar: RegExp): string | undefined {
    return this.all(name, grammar)[0]
  }

  last(name: string, grammar: RegExp): string | undefined {
    return this.all(name, grammar).at(-1)
  }

  /**
   * The lines of an unsigned block that may be stored: known names only, as they were written. What an unsigned
   * unknown line can do to a reader is CM wire S5; a Post-To is S6.
   */
  knownLines(names: ReadonlySet<string>): string[] {
    return this.#headerLines.filter(({ name }) => names.has(name)).map(({ line }) => line)
  }
}

export const DATE_FORM = /^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}[Zz]$/
export const HEX_ID_FORM = /^[0-9a-fA-F]{40}$/
export const PROOF_OF_WORK_FORM = /^bd,[0-9a-f]+(?:,[0-9a-f]+)+$/i
/** One run without ASCII white space (CM wire 1.4). */
export const WORD_FORM = /^[^\t-\r ]+$/
export const ANY_FORM = /^/

/** Lines of a text that are not empty. */
export function filledLines(text: string): string[] {
  return blockLines(text).filter((line) => line !== '')
}
