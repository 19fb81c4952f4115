import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { splitDataBlock } from '../../src/cm/data-block.ts'
import type { KeyId } from '../../src/cm/ids.ts'
import type { BlockFile } from '../../src/cm/message/block-file.ts'
import type { MessageOwner } from '../../src/cm/message/decode-message.ts'
import { type MessageAnnouncement, parseMessageAnnouncements } from '../../src/cm/message-announcement.ts'
import { hasVector, vectorBytes, vectorJson, vectorPath } from './vectors.ts'

/** The throwaway keys of the vectors and the blocks of their messages. */

const KEYS = vectorJson<{ keys: Record<string, { fingerprint: string }> }>('keys/keys.json').keys

export function vectorKeyId(user: string): KeyId {
  return (KEYS[user]?.fingerprint ?? '').toLowerCase() as KeyId
}

export function vectorOwner(user: string): MessageOwner {
  return { keyId: vectorKeyId(user), secretKeys: [vectorBytes(`keys/${user}.sec.asc`).toString()] }
}

export function vectorCertificate(user: string): string {
  return vectorBytes(`keys/${user}.pub.asc`).toString()
}

export interface MessageBlocks {
  readonly announcements: readonly MessageAnnouncement[]
  readonly blocks: ReadonlyMap<string, BlockFile>
}

/** The announcement records of one message folder, and those of their data blocks that are there. */
export function messageBlocks(folder: string): MessageBlocks {
  const announcements: MessageAnnouncement[] = []
  for (const name of readdirSync(join(vectorPath(folder) ?? '', 'blocks'))) {
    const block = vectorBytes(`${folder}/blocks/${name}`)
    if (splitDataBlock(block) !== undefined) continue
    const parsed = parseMessageAnnouncements(block.toString())
    if (parsed.kind === 'ok') announcements.push(...parsed.records.map((record) => record.announcement))
  }
  const blocks = new Map<string, BlockFile>()
  for (const key of announcements.flatMap((announcement) => announcement.dataBlocks)) {
    const path = vectorPath(`${folder}/blocks/${key.toUpperCase()}`)
    if (path === undefined) continue
    const bytes = readFileSync(path)
    blocks.set(key, { key, path, start: bytes.length - (splitDataBlock(bytes)?.payload.length ?? 0) })
  }
  return { announcements, blocks }
}

/** False when a large block of the message is not at hand; says so. */
export function hasAllBlocks(folder: string): boolean {
  const { announcements, blocks } = messageBlocks(folder)
  const missing = announcements.flatMap(({ dataBlocks }) => dataBlocks).find((key) => !blocks.has(key))
  return missing === undefined || hasVector(`${folder}/blocks/${missing.toUpperCase()}`)
}
