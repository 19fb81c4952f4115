import { readPartText } from '../../src/mail/decode-part.ts'
import { decodeHeaderText } from '../../src/mail/encoded-words.ts'
import { indexMessage } from '../../src/mail/index-message.ts'
import type { BodyPart } from '../../src/mail/message-index.ts'

async function* once(octets: Uint8Array): AsyncGenerator<Uint8Array> {
  yield octets
}

/** Subject, thread and first text of a message, as a mail program would show them. */
export async function readMail(octets: Uint8Array): Promise<{
  readonly subject: string
  readonly inReplyTo: string | null
  readonly text: string
  readonly structure: BodyPart
}> {
  const { envelope, structure } = await indexMessage(once(octets))
  const part = firstText(structure)
  const text =
    part === undefined
      ? ''
      : await readPartText(once(octets.subarray(part.body.start, part.body.end)), part, octets.length)
  return { subject: decodeHeaderText(envelope.subject ?? ''), inReplyTo: envelope.inReplyTo, text, structure }
}

function firstText(part: BodyPart): Extract<BodyPart, { kind: 'basic' | 'text' }> | undefined {
  if (part.kind === 'multipart') {
    return part.parts.map(firstText).find((found) => found !== undefined)
  }
  return part.kind === 'text' ? part : undefined
}
