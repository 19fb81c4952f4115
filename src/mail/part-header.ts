import { fieldsNamed, fieldValue, type HeaderField } from './header.ts'
import type { Parameters } from './message-index.ts'
import { parameterValue, parseParameterized } from './parameters.ts'

/** What a part's MIME header says about it (RFC 2045, RFC 2183, RFC 3282, RFC 2557): byte strings. */
export interface PartHeader {
  readonly type: string
  readonly subtype: string
  readonly parameters: Parameters
  /** Lower case; `7bit` when the part names none (RFC 2045 6.1). */
  readonly encoding: string
  readonly contentId: string | null
  readonly description: string | null
  readonly md5: string | null
  readonly disposition: { readonly type: string; readonly parameters: Parameters } | null
  readonly language: readonly string[] | null
  readonly location: string | null
}

/** RFC 2046 5.1.1 says 70; programs write longer ones. A delimiter must fit a line (RFC 5322 2.1.1). */
const MAX_BOUNDARY_BYTES = 900

/** Languages of one Content-Language field. */
const MAX_LANGUAGES = 32

const TOKEN_PAIR = /^([!#$%&'*+\-.^_`{|}~0-9a-z]+)\/([!#$%&'*+\-.^_`{|}~0-9a-z]+)$/

/** Reads a MIME header. A Content-Type that is missing or no `type/subtype` is `defaultType` (RFC 2045 5.2, 2046 5.1.5). */
export function readPartHeader(
  fields: readonly HeaderField[],
  defaultType: 'text/plain' | 'message/rfc822',
): PartHeader {
  const contentType = parseParameterized(value(fields, 'content-type') ?? '')
  const match = TOKEN_PAIR.exec(contentType.value)
  const [type, subtype] =
    match === null ? (defaultType.split('/') as [string, string]) : [match[1] ?? '', match[2] ?? '']
  return {
    type,
    subtype,
    parameters: contentType.parameters,
    encoding: readEncoding(fields),
    contentId: value(fields, 'content-id'),
    description: value(fields, 'content-description'),
    md5: value(fields, 'content-md5'),
    disposition: readDisposition(fields),
    language: readLanguages(fields),
    location: value(fields, 'content-location'),
  }
}

/** The boundary of a multipart; undefined when there is none that can stand on a line. */
export function readBoundary(header: PartHeader): string | undefined {
  // RFC 2046 5.1.1: a boundary does not end in a blank, since a delimiter line may.
  const boundary = parameterValue(header.parameters, 'boundary')?.trimEnd()
  if (boundary === undefined || boundary === '' || boundary.length > MAX_BOUNDARY_BYTES) return undefined
  return /[\r\n]/.test(boundary) ? undefined : boundary
}

/** True when the body stands as it is (RFC 2045 6.2), so that what is inside can be read without decoding. */
export function isIdentityEncoding(encoding: string): boolean {
  return encoding === '7bit' || encoding === '8bit' || encoding === 'binary'
}

function value(fields: readonly HeaderField[], name: string): string | null {
  const field = fieldsNamed(fields, name)[0]
  if (field === undefined) return null
  const text = fieldValue(field)
  return text === '' ? null : text
}

function readEncoding(fields: readonly HeaderField[]): string {
  const encoding = parseParameterized(value(fields, 'content-transfer-encoding') ?? '').value
  return encoding === '' ? '7bit' : encoding.replace(/^"(.*)"$/, '$1')
}

function readDisposition(fields: readonly HeaderField[]): PartHeader['disposition'] {
  const text = value(fields, 'content-disposition')
  if (text === null) return null
  const { value: type, parameters } = parseParameterized(text)
  // RFC 2183 2.8: an unknown disposition is an attachment; so is one that only has parameters.
  return { type: type === '' || type.includes('=') ? 'attachment' : type, parameters }
}

function readLanguages(fields: readonly HeaderField[]): readonly string[] | null {
  const text = value(fields, 'content-language')
  if (text === null) return null
  const tags = text
    .replace(/\([^)]*\)/g, '')
    .split(',')
    .map((tag) => tag.trim())
    .filter((tag) => tag !== '')
  return tags.length === 0 ? null : tags.slice(0, MAX_LANGUAGES)
}
