import { describe, expect, it } from 'vitest'
import type { BlockKey } from '../../../src/cm/ids.ts'
import type { PendingUpload } from '../../../src/store/cm-blocks-operations.ts'
import { packUploads, unpackUploads } from '../../../src/store/cm-blocks-packing.ts'

const key = '1'.repeat(40) as BlockKey
const record = (text: string) => ({ identity: '2'.repeat(40), dateMs: 1_000, text })
const held = (text: string): PendingUpload => {
  const payload = Uint8Array.from(Buffer.from(text))
  return { type: 'data', key, records: [record(text)], payload, payloadBytes: payload.length }
}

describe('packed uploads', () => {
  it('are the same behind a structured clone', () => {
    const uploads: PendingUpload[] = [
      held('first'),
      {
        type: 'message-announcement',
        key,
        records: [record('ü'), record('b')],
        payloadBytes: 0,
        replicateFor: 'none',
      },
      { type: 'data', key, records: [record('file')], payloadBytes: 9_000_000, payloadFile: 'name' },
      held('second'),
      { type: 'acknowledgment', key, records: [], payloadBytes: 0 },
    ]
    expect(unpackUploads(structuredClone(packUploads(uploads)))).toEqual(uploads)
  })
})
