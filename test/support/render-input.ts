import { readFileSync } from 'node:fs'
import type { Party } from '../../src/bridge/render/display-name.ts'
import type { IncomingVerdict } from '../../src/bridge/render/incoming-headers.ts'
import type { MessageToRender } from '../../src/bridge/render/render-message.ts'
import { type KeyId, parseKeyId } from '../../src/cm/ids.ts'

const BOB_KEY = parseKeyId('2'.repeat(40))!
const ALICE_KEY = parseKeyId('1'.repeat(40))!

export const GOOD: IncomingVerdict = {
  signature: 'good',
  reason: 'verified',
  show: 'everything',
  signer: BOB_KEY,
  trust: 'known',
  firstSeenMs: Date.UTC(2026, 1, 1),
  collidingKeys: [],
}

/** A party whose key is held under that user id. */
function party(keyId: KeyId, userId: string): Party {
  return { keyId, userId, headerText: userId }
}

/** The octets of a rendered message, whole. */
export async function collect(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** A plain verified message from bob to alice, with changes. */
export function messageToRender(changes: Partial<MessageToRender> = {}): MessageToRender {
  return {
    from: party(BOB_KEY, 'Bob Example <bob@example.net>'),
    to: [party(ALICE_KEY, 'Alice Example <alice@example.org>')],
    cc: [],
    ownBcc: [],
    subject: 'hello',
    dateMs: Date.UTC(2026, 1, 3, 9, 15),
    messageUniqueId: '4'.repeat(40),
    replyToIds: [],
    bodyText: 'hello\n',
    bodyHtml: undefined,
    bodyXml: undefined,
    attachments: [],
    verdict: GOOD,
    origin: { messageId: '5'.repeat(40), receivedFrom: 'mx.example.net:8081' },
    fingerprint: 'always',
    ...changes,
  }
}

type GoldenInput = Omit<Partial<MessageToRender>, 'attachments' | 'forwarded' | 'verdict'> & {
  readonly attachments?: readonly { readonly name: string; readonly text: string }[]
  readonly forwarded?: GoldenInput
  readonly verdict?: Partial<IncomingVerdict>
}

/** The input of one folder of test/golden/render. */
export function readGoldenInput(path: string): MessageToRender {
  return fromGolden(JSON.parse(readFileSync(path, 'utf8')) as GoldenInput)
}

/** JSON has no undefined: null stands for it. */
function withAbsent<T extends object>(value: T): T {
  const entries = Object.entries(value).map(([key, each]) => [key, each === null ? undefined : each])
  return Object.fromEntries(entries) as T
}

function fromGolden({ attachments, forwarded, verdict, ...plain }: GoldenInput): MessageToRender {
  return messageToRender({
    ...withAbsent(plain),
    verdict: { ...GOOD, ...withAbsent(verdict ?? {}) },
    attachments: (attachments ?? []).map(({ name, text }) => ({
      name,
      open: async function* () {
        yield Buffer.from(text)
      },
    })),
    ...(forwarded === undefined ? {} : { forwarded: fromGolden(forwarded) }),
  })
}
