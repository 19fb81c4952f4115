import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import type { BlockKey } from '../../src/cm/ids.ts'
import type { BlockType, CmBlocks } from '../../src/cm/server/port.ts'
import { blockStores } from '../support/cm-block-stores.ts'

/** `blocks.db` as the first release made it. */
const FIRST_RELEASE = `
CREATE TABLE blocks (type TEXT NOT NULL, key TEXT NOT NULL, text TEXT NOT NULL, payload_bytes INTEGER NOT NULL,
  payload_file TEXT, stored_at_ms INTEGER NOT NULL, PRIMARY KEY (type, key)) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX blocks_by_payload ON blocks (payload_file) WHERE payload_file IS NOT NULL;
CREATE INDEX blocks_by_age ON blocks (type, stored_at_ms);
CREATE TABLE auth_keys (key_hash BLOB PRIMARY KEY, user_id TEXT NOT NULL, from_file INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE settings (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
PRAGMA user_version = 1;
`

const stores = blockStores(Date.UTC(2026, 10, 25))
const [MAILBOX, ADDRESS, KEY, DATA] = ['1', '2', '3', '4'].map((digit) => digit.repeat(40)) as [
  BlockKey,
  BlockKey,
  BlockKey,
  BlockKey,
]

const record = (date: string, hash: string) =>
  `Type: message-announcement\nDate: ${date}\nMailbox: 0\nMessageHash: ${hash.repeat(40)}\n`
const claim = (date: string, keyId: string) =>
  `-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\nType: address-claim\nDate: ${date}\nKeyid: ${keyId.repeat(40)}\n-----BEGIN PGP SIGNATURE-----\n\nxx\n-----END PGP SIGNATURE-----\n\n`

function makeFirstRelease(blocks: readonly (readonly [BlockType, BlockKey, string])[]): void {
  const directory = stores.directory()
  mkdirSync(join(directory, 'payloads'))
  writeFileSync(join(directory, 'payloads', 'payload-1'), 'hello')
  const database = new DatabaseSync(join(directory, 'blocks.db'))
  database.exec(FIRST_RELEASE)
  const insert = database.prepare('INSERT INTO blocks VALUES (?, ?, ?, ?, ?, 0)')
  for (const [type, key, text] of blocks) {
    const [bytes, file] = type === 'data' ? [5, 'payload-1'] : [0, null]
    insert.run(type, key, text, bytes, file)
  }
  database.close()
}

async function textsOf(blocks: CmBlocks, key: BlockKey): Promise<string[]> {
  const texts: string[] = []
  for await (const text of (await blocks.find(key))?.records() ?? []) texts.push(text)
  return texts
}

describe('a directory of the first release', () => {
  const [early, late] = [record('2026-11-24T00:00:00Z', 'a'), record('2026-11-25T00:00:00Z', 'b')]
  const claims = [claim('2026-11-24T00:00:00Z', 'C'), claim('2026-11-25T00:00:00Z', 'D')]
  const key = `Date: 2026-11-20T00:00:00Z\nType: key-announcement\n`
  const header = 'Type: data\nDate: 2026-11-24T00:00:00Z\nVersion: 1\nProofOfWork: bd,0,1\nData: 5\n'

  it('is split into records, and merged with what comes', async () => {
    makeFirstRelease([
      ['message-announcement', MAILBOX, `${late}NextMessage\n${early}`],
      ['address-claim', ADDRESS, claims.join('NextClaim\n')],
      ['key-announcement', KEY, key],
      ['data', DATA, header],
    ])
    const blocks = await stores.open()
    expect(await textsOf(blocks, MAILBOX)).toEqual([early, late])
    expect(await textsOf(blocks, ADDRESS)).toEqual(claims)
    expect(await textsOf(blocks, KEY)).toEqual([key])
    expect(await textsOf(blocks, DATA)).toEqual([header])
    const payload: Uint8Array[] = []
    for await (const chunk of (await blocks.find(DATA))?.payload() ?? []) payload.push(chunk)
    expect(Buffer.concat(payload).toString()).toBe('hello')

    const again = { identity: 'a'.repeat(40), dateMs: Date.UTC(2026, 10, 24), text: early }
    const upload = { type: 'message-announcement', key: MAILBOX, records: [again] } as const
    expect(await blocks.store(upload)).toEqual({ kind: 'unchanged' })
  })

  it('is read the same after a second start', async () => {
    makeFirstRelease([['message-announcement', MAILBOX, early]])
    await stores.close(await stores.open())
    expect(await textsOf(await stores.open(), MAILBOX)).toEqual([early])
  })
})
