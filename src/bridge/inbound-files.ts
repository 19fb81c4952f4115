import { mkdir, open } from 'node:fs/promises'
import { join } from 'node:path'
import { MAX_SERVER_PAYLOAD_BYTES } from '../cm/block-text.ts'
import { requireDiskRoom } from '../store/blob-store.ts'
import type { BridgeContext } from './bridge-context.ts'

/** Where the data blocks of inbound messages lie until they are opened. */

type Places = Pick<BridgeContext, 'directories'>

/** The directory of an inbound message's data blocks. */
export function inboundDirectory(context: Places, inboundId: number): string {
  return join(context.directories.inbound, String(inboundId))
}

/** The file of one data block: its payload alone. */
export function inboundBlockPath(context: Places, inboundId: number, position: number): string {
  return join(inboundDirectory(context, inboundId), `block-${position}`)
}

/** Makes room for a block's file and returns its path. Rejects with DiskFullError when there is none. */
export async function prepareInboundFile(
  context: Places,
  inboundId: number,
  position: number,
): Promise<string> {
  await requireDiskRoom(context.directories.inbound, MAX_SERVER_PAYLOAD_BYTES)
  await mkdir(inboundDirectory(context, inboundId), { recursive: true, mode: 0o700 })
  return inboundBlockPath(context, inboundId, position)
}

/** Writes a block that was held in memory to its file, durably. Rejects with DiskFullError when there is no room. */
export async function writeInboundBlock(
  context: Places,
  inboundId: number,
  { position, payload }: { readonly position: number; readonly payload: Uint8Array },
): Promise<void> {
  const file = await open(await prepareInboundFile(context, inboundId, position), 'w', 0o600)
  try {
    await file.writeFile(payload)
    await file.sync()
  } finally {
    await file.close()
  }
}
