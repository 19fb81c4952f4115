import { decodeCharset } from './charset.ts'
import { decodeHeaderText, singleLine } from './encoded-words.ts'
import type { BodyPart, Parameters } from './message-index.ts'
import { parameterValue, splitExtended } from './parameters.ts'

/**
 * The name a part gives its file, as text: `filename` of Content-Disposition, else `name` of Content-Type
 * (RFC 2183 2.3), decoded by RFC 2231 or, as programs do it, RFC 2047 (cases M06, M07). Undefined when there is
 * none or it is empty. Not made safe: paths, devices and equal names are the business of who writes it somewhere.
 */
export function partFileName(part: Pick<BodyPart, 'parameters' | 'disposition'>): string | undefined {
  return named(part.disposition?.parameters ?? [], 'filename') ?? named(part.parameters, 'name')
}

function named(parameters: Parameters, name: string): string | undefined {
  const extended = parameterValue(parameters, `${name}*`)
  const plain = parameterValue(parameters, name)
  const text = extended === undefined ? plain && decodeHeaderText(plain) : decodeExtended(extended)
  return text === undefined || text.trim() === '' ? undefined : text
}

function decodeExtended(value: string): string {
  const { charset, bytes } = splitExtended(value)
  return singleLine(decodeCharset(Buffer.from(bytes, 'latin1'), charset))
}
