/** A settings file that is not JSON with comments; the message names the line. */
export class JsoncError extends Error {
  override readonly name = 'JsoncError'
}

/** Strings first, so that what looks like a comment inside one stays. */
const TOKEN = /"(?:[^"\\\n]|\\.)*"|\/\/[^\n]*|\/\*[\s\S]*?\*\/|,(?=(?:\s|\/\/[^\n]*|\/\*[\s\S]*?\*\/)*[}\]])/g

/**
 * Parses JSON with `//` and block comments and a comma allowed after the last item. Comments become blanks, so that
 * the places in error messages are those of the file. Throws JsoncError.
 */
export function parseJsonc(text: string): unknown {
  const json = text
    .replace(/^\uFEFF/, '')
    .replace(TOKEN, (token) => (token.startsWith('"') ? token : token.replace(/[^\n]/g, ' ')))
  try {
    return JSON.parse(json)
  } catch (error) {
    if (error instanceof SyntaxError) throw new JsoncError(error.message, { cause: error })
    throw error
  }
}
