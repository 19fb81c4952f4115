import type { BlockKey } from '../cm/ids.ts'
import { BLOCK_TYPES, type BlockRecord } from '../cm/server/port.ts'
import type { PendingUpload } from './cm-blocks-operations.ts'
import { typeCode } from './cm-blocks-schema.ts'

/**
 * Uploads on their way to the writer thread: without property names, and all payloads in one piece. Cloning them as
 * objects was a seventh of what the main thread of a busy server did.
 */
export interface PackedUploads {
  readonly uploads: readonly PackedUpload[]
  /** Payloads that are held in memory, one behind the other. */
  readonly payloads: Uint8Array
}

type PackedUpload = readonly [
  type: number,
  key: string,
  /** Identity, date and text of each record, one behind the other. */
  records: readonly (string | number)[],
  payloadBytes: number,
  isPayloadHeld: boolean,
  payloadFile: string | undefined,
  replicateFor: string | undefined,
]

const RECORD_FIELDS = 3

/** For `unpackUploads` on the other thread. */
export function packUploads(uploads: readonly PendingUpload[]): PackedUploads {
  return {
    uploads: uploads.map((upload) => [
      typeCode(upload.type),
      upload.key,
      upload.records.flatMap(({ identity, dateMs, text }) => [identity, dateMs, text]),
      upload.payloadBytes,
      upload.payload !== undefined,
      upload.payloadFile,
      upload.replicateFor,
    ]),
    payloads: Buffer.concat(uploads.flatMap(({ payload }) => payload ?? [])),
  }
}

/** The uploads again; payloads point into the one piece. */
export function unpackUploads({ uploads, payloads }: PackedUploads): PendingUpload[] {
  let offset = 0
  return uploads.map(([code, key, fields, payloadBytes, isPayloadHeld, payloadFile, replicateFor]) => {
    const type = BLOCK_TYPES[code]
    if (type === undefined) throw new Error(`no block type has the code ${code}`)
    const payload = isPayloadHeld ? payloads.subarray(offset, offset + payloadBytes) : undefined
    offset += payload?.length ?? 0
    return {
      type,
      key: key as BlockKey,
      records: recordsOf(fields),
      payloadBytes,
      payload,
      payloadFile,
      replicateFor,
    }
  })
}

function recordsOf(fields: readonly (string | number)[]): BlockRecord[] {
  const records: BlockRecord[] = []
  for (let at = 0; at < fields.length; at += RECORD_FIELDS) {
    records.push({
      identity: String(fields[at]),
      dateMs: Number(fields[at + 1]),
      text: String(fields[at + 2]),
    })
  }
  return records
}
