import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import type { AccountId } from '../../src/store/ids.ts'
import type { Store } from '../../src/store/open-store.ts'
import { rowsWaitingForServer } from '../../src/store/work-queries.ts'
import { storePerTest } from '../support/store-per-test.ts'

let store: Store
let accountId: AccountId
let directory: string
storePerTest((fresh) => {
  ;({ store, accountId, directory } = fresh)
})

/** An acknowledgment that could not be posted to these servers once. */
function waitsFor(target: string): string {
  const database = new DatabaseSync(join(directory, 'bridge.db'))
  try {
    const { lastInsertRowid: id } = database
      .prepare(
        `INSERT INTO outbound_blocks (account_id, type, block_key, target, text, created_ms)
         VALUES (?, 'acknowledgment', '', ?, '', 0)`,
      )
      .run(accountId, target)
    const row = `ak${id}`
    database
      .prepare(
        `INSERT INTO work (row, account_id, stage, attempt, failures, next_attempt_ms)
         VALUES (?, ?, 'acknowledge', 2, 1, 0)`,
      )
      .run(row, accountId)
    return row
  } finally {
    database.close()
  }
}

describe('rows that wait for a server', () => {
  it('are those whose target names it, at whatever place and in whatever case it is asked for', () => {
    const alone = waitsFor('server=cm.example.org:8081')
    const last = waitsFor('server=other.example:8081,cm.example.org:8081')
    const rows = rowsWaitingForServer(store.read, 'CM.example.org:8081', 10)
    expect(rows.toSorted()).toEqual([alone, last].toSorted())
    expect(rowsWaitingForServer(store.read, '[2001:db8::1]:8081', 10)).toEqual([])
  })

  it('are not those of a server whose name or port only has that one in it', () => {
    waitsFor('server=cm.example.org:80811,x.cm.example.org:8081')
    expect(rowsWaitingForServer(store.read, 'cm.example.org:8081', 10)).toEqual([])
  })
})
