import { createHash, randomBytes } from 'node:crypto'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { duration } from '../../src/base/clock.ts'
import type { BlockKey } from '../../src/cm/ids.ts'
import type { BlockType, CmAccounts, CmBlocks, MergeDecision } from '../../src/cm/server/port.ts'
import { CmBlockStore } from '../../src/store/cm-blocks.ts'
import { realClock } from '../support/cm-client-support.ts'
import { MemoryCmAccounts, MemoryCmBlocks } from '../support/memory-cm-blocks.ts'

const KEY = '0123456789abcdef0123456789abcdef01234567' as BlockKey
const OTHER_KEY = 'ffffffffffffffffffffffffffffffffffffffff' as BlockKey
const USER = 'C38830C357EF0AEA6992FB756A7E1664812EBED4'

let directory: string
let nowMs = Date.UTC(2026, 10, 25)
let open: CmBlockStore[] = []

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'cmb-blocks-'))
})

afterEach(() => {
  for (const store of open) store.close()
  open = []
  rmSync(directory, { recursive: true })
})

function openStore(): CmBlockStore {
  const store = new CmBlockStore(directory, { clock: realClock(() => nowMs), randomBytes })
  open.push(store)
  return store
}

function closeStore(store: CmBlockStore): void {
  store.close()
  open = open.filter((other) => other !== store)
}

const stored = (text: string) => (): MergeDecision => ({ kind: 'stored', text })

async function payloadOf(blocks: CmBlocks, key: BlockKey): Promise<string> {
  let text = ''
  for await (const chunk of blocks.readPayload(key)) text += Buffer.from(chunk).toString('latin1')
  return text
}

async function storePayload(
  blocks: CmBlocks,
  payload: string,
  decision: MergeDecision = { kind: 'stored', text: `Data: ${payload.length}\n` },
): Promise<BlockKey> {
  const key = createHash('sha1').update(payload).digest('hex') as BlockKey
  const sink = await blocks.beginPayload()
  for (const octet of payload.match(/.{1,3}/gs) ?? []) await sink.write(Buffer.from(octet, 'latin1'))
  await sink.commit(key, `Data: ${payload.length}\n`, () => decision)
  return key
}

describe.each([
  ['SQLite', () => openStore() as CmBlocks],
  ['memory', () => new MemoryCmBlocks() as CmBlocks],
])('CmBlocks on %s', (_, create) => {
  it('gives back what was stored, by type and key', async () => {
    const blocks = create()
    expect(await blocks.getAny(KEY)).toBeUndefined()
    await blocks.update('acknowledgment', KEY, stored('Hash: ü\n'))
    const block = { type: 'acknowledgment', text: 'Hash: ü\n', payloadBytes: 0 }
    expect(await blocks.get('acknowledgment', KEY)).toEqual(block)
    expect(await blocks.getAny(KEY)).toEqual(block)
    expect(await blocks.get('data', KEY)).toBeUndefined()
    expect(await blocks.getAny(OTHER_KEY)).toBeUndefined()
  })

  it('shows the stored text to the merge and keeps it when the merge says so', async () => {
    const blocks = create()
    await blocks.update('message-announcement', KEY, stored('one\n'))
    const seen: (string | undefined)[] = []
    const decisions: MergeDecision[] = [
      { kind: 'unchanged' },
      { kind: 'rejected', reason: 'date' },
      { kind: 'stored', text: 'two\n' },
    ]
    for (const decision of decisions) {
      const result = await blocks.update('message-announcement', KEY, (text) => {
        seen.push(text)
        return decision
      })
      expect(result).toEqual(decision)
    }
    expect(seen).toEqual(['one\n', 'one\n', 'one\n'])
    expect((await blocks.getAny(KEY))?.text).toBe('two\n')
  })

  it('loses no update of two at the same time', async () => {
    const blocks = create()
    const add = (line: string) =>
      blocks.update('message-announcement', KEY, (text) => ({
        kind: 'stored',
        text: `${text ?? ''}${line}\n`,
      }))
    await Promise.all(Array.from({ length: 20 }, (__, index) => add(String(index))))
    expect((await blocks.getAny(KEY))?.text.split('\n')).toHaveLength(21)
  })

  it('keeps types of one key apart and prefers the signed ones', async () => {
    const blocks = create()
    const order: BlockType[] = ['acknowledgment', 'message-announcement', 'address-claim', 'key-announcement']
    for (const type of order) {
      await blocks.update(type, KEY, stored(`${type}\n`))
      expect((await blocks.getAny(KEY))?.type).toBe(type)
    }
    expect((await blocks.get('acknowledgment', KEY))?.text).toBe('acknowledgment\n')
  })

  it('shows a payload only after its commit', async () => {
    const blocks = create()
    const sink = await blocks.beginPayload()
    await sink.write(Buffer.from('hello'))
    expect(await blocks.getAny(KEY)).toBeUndefined()
    expect(readFileSync(sink.path, 'utf8')).toBe('hello')
    await sink.commit(KEY, 'Data: 5\n', stored('Type: data\nData: 5\n'))
    expect(await blocks.getAny(KEY)).toEqual({ type: 'data', text: 'Type: data\nData: 5\n', payloadBytes: 5 })
    expect(await payloadOf(blocks, KEY)).toBe('hello')
  })

  it('drops a payload that was refused or discarded', async () => {
    const blocks = create()
    const sink = await blocks.beginPayload()
    await sink.discard()
    const refused = await blocks.beginPayload()
    await refused.write(Buffer.from('x'))
    const decision = { kind: 'rejected', reason: 'date' } as const
    expect(await refused.commit(KEY, 'Data: 1\n', () => decision)).toEqual(decision)
    expect([existsSync(sink.path), existsSync(refused.path)]).toEqual([false, false])
    expect(await blocks.getAny(KEY)).toBeUndefined()
  })

  it('replaces the header of a payload that is posted again', async () => {
    const blocks = create()
    const key = await storePayload(blocks, 'hello')
    await storePayload(blocks, 'hello', { kind: 'stored', text: 'Date: newer\nData: 5\n' })
    expect((await blocks.getAny(key))?.text).toBe('Date: newer\nData: 5\n')
    expect(await payloadOf(blocks, key)).toBe('hello')
  })
})

describe('CmBlockStore', () => {
  it('keeps everything over a restart and sweeps files no row names', async () => {
    const first = openStore()
    const key = await storePayload(first, 'hello')
    await first.update('acknowledgment', KEY, stored('Hash: x\n'))
    await (await first.beginPayload()).write(Buffer.from('never committed'))
    closeStore(first)
    writeFileSync(join(directory, 'payloads', 'stray'), 'x')
    const second = openStore()
    expect(await payloadOf(second, key)).toBe('hello')
    expect((await second.getAny(KEY))?.text).toBe('Hash: x\n')
    expect(readdirSync(join(directory, 'payloads'))).toHaveLength(1)
  })

  it('leaves one file when a payload is replaced, and a reader of the old one is not disturbed', async () => {
    const store = openStore()
    const key = await storePayload(store, 'hello')
    const reading = store.readPayload(key)
    const replacing = storePayload(store, 'hello', { kind: 'stored', text: 'newer\n' })
    let text = ''
    for await (const chunk of reading) text += Buffer.from(chunk).toString()
    await replacing
    expect(text).toBe('hello')
    expect(readdirSync(join(directory, 'payloads'))).toHaveLength(1)
  })

  it('prunes each type at its age, with its file', async () => {
    const store = openStore()
    const dataKey = await storePayload(store, 'hello')
    await store.update('key-announcement', KEY, stored('key\n'))
    const ages = {
      'key-announcement': 31 * duration.day,
      'address-claim': 10 * duration.day,
      'message-announcement': 10 * duration.day,
      acknowledgment: 10 * duration.day,
      data: 10 * duration.day,
    }
    expect(await store.prune(ages)).toBe(0)
    nowMs += 10.5 * duration.day
    expect(await store.prune(ages)).toBe(0)
    nowMs += duration.day
    expect(await store.prune(ages)).toBe(1)
    expect(await store.getAny(dataKey)).toBeUndefined()
    expect(readdirSync(join(directory, 'payloads'))).toEqual([])
    expect((await store.getAny(KEY))?.type).toBe('key-announcement')
  })

  it('takes payload files without a database for damage, not for a new start', async () => {
    const store = openStore()
    await storePayload(store, 'hello')
    closeStore(store)
    rmSync(join(directory, 'blocks.db'))
    expect(() => openStore()).toThrow('damaged')
    writeFileSync(
      join(directory, 'blocks.db'),
      'this is no database at all, but long enough to be read as one',
    )
    expect(() => openStore()).toThrow('damaged')
  })
})

describe.each([
  [
    'SQLite',
    async (entries: Record<string, string>) => {
      const { accounts } = openStore()
      await accounts.importFile(Object.entries(entries).map(([authKey, userId]) => ({ authKey, userId })))
      return accounts as CmAccounts
    },
  ],
  ['memory', async (entries: Record<string, string>) => new MemoryCmAccounts(entries) as CmAccounts],
])('CmAccounts on %s', (_, create) => {
  it('compares key ids without regard to case, auth keys exactly', async () => {
    const accounts = await create({ ACCOUNTKEY000001: USER })
    expect(await accounts.login(USER.toLowerCase(), 'ACCOUNTKEY000001')).toEqual({
      kind: 'ok',
      userId: USER,
    })
    expect(await accounts.login(USER, 'accountkey000001')).toEqual({ kind: 'refused' })
    expect(await accounts.login('A'.repeat(40), 'ACCOUNTKEY000001')).toEqual({ kind: 'refused' })
  })

  it('binds an undefined key to the first user, for good, but never to a role', async () => {
    const accounts = await create({ NEWKEY0001: 'undefined' })
    for (const role of ['undefined', 'UNDEFINED', 'Administrator', 'replication']) {
      expect(await accounts.login(role, 'NEWKEY0001')).toEqual({ kind: 'refused' })
    }
    expect(await accounts.login(USER, 'NEWKEY0001')).toEqual({ kind: 'ok', userId: USER })
    expect(await accounts.login('B'.repeat(40), 'NEWKEY0001')).toEqual({ kind: 'refused' })
    expect(await accounts.login(USER, 'NEWKEY0001')).toEqual({ kind: 'ok', userId: USER })
  })

  it('refuses a disabled key', async () => {
    const accounts = await create({ NEWKEY0002: 'disabled' })
    expect(await accounts.login(USER, 'NEWKEY0002')).toEqual({ kind: 'refused' })
    expect(await accounts.login('disabled', 'NEWKEY0002')).toEqual({ kind: 'refused' })
  })

  it('gives a key to another user, to nobody, and to whoever comes first again', async () => {
    const accounts = await create({ ACCOUNTKEY000001: USER })
    const other = 'B'.repeat(40)
    await accounts.assign([{ authKey: 'ACCOUNTKEY000001', userId: other }])
    expect((await accounts.login(USER, 'ACCOUNTKEY000001')).kind).toBe('refused')
    expect((await accounts.login(other, 'ACCOUNTKEY000001')).kind).toBe('ok')
    await accounts.assign([{ authKey: 'ACCOUNTKEY000001', userId: 'disabled' }])
    expect((await accounts.login(other, 'ACCOUNTKEY000001')).kind).toBe('refused')
    await accounts.assign([{ authKey: 'ACCOUNTKEY000001', userId: 'undefined' }])
    expect((await accounts.login(USER, 'ACCOUNTKEY000001')).kind).toBe('ok')
  })

  it('lets two keys belong to one user', async () => {
    const accounts = await create({ ACCOUNTKEY000001: USER, NEWKEY0001: 'undefined' })
    expect((await accounts.login(USER, 'NEWKEY0001')).kind).toBe('ok')
    expect((await accounts.login(USER, 'ACCOUNTKEY000001')).kind).toBe('ok')
  })

  it('makes changes in the order they were asked for', async () => {
    const accounts = await create({})
    const users = [USER, 'disabled', 'B'.repeat(40)]
    await Promise.all(users.map((userId) => accounts.assign([{ authKey: 'ACCOUNTKEY000001', userId }])))
    expect((await accounts.login('B'.repeat(40), 'ACCOUNTKEY000001')).kind).toBe('ok')
  })
})

describe('CmAccountTable', () => {
  it('keeps bindings when the file is read again, takes overrides and forgets removed keys', async () => {
    const { accounts } = openStore()
    const fresh = { authKey: 'NEWKEY0001', userId: 'undefined' }
    const old = { authKey: 'OLDKEY0001', userId: USER }
    await accounts.assign([{ authKey: 'OWNKEY0001', userId: USER }])
    await accounts.importFile([fresh, old])
    expect((await accounts.login(USER, 'NEWKEY0001')).kind).toBe('ok')
    await accounts.importFile([fresh])
    expect((await accounts.login('B'.repeat(40), 'NEWKEY0001')).kind).toBe('refused')
    expect((await accounts.login(USER, 'NEWKEY0001')).kind).toBe('ok')
    expect((await accounts.login(USER, 'OLDKEY0001')).kind).toBe('refused')
    expect((await accounts.login(USER, 'OWNKEY0001')).kind).toBe('ok')
    await accounts.importFile([{ authKey: 'NEWKEY0001', userId: 'disabled' }])
    expect((await accounts.login(USER, 'NEWKEY0001')).kind).toBe('refused')
  })

  it('lets what a command said of a key stand when the file is read again, unless the file disables it', async () => {
    const { accounts } = openStore()
    const file = [{ authKey: 'FILEKEY0001', userId: USER }]
    await accounts.importFile(file)
    await accounts.assign([{ authKey: 'FILEKEY0001', userId: 'disabled' }])
    await accounts.importFile(file)
    expect((await accounts.login(USER, 'FILEKEY0001')).kind).toBe('refused')
    await accounts.assign([{ authKey: 'OWNKEY0001', userId: USER }])
    await accounts.importFile([{ authKey: 'OWNKEY0001', userId: 'disabled' }])
    expect((await accounts.login(USER, 'OWNKEY0001')).kind).toBe('refused')
  })

  it('knows keys that were good or stand in the file without hashing them again', async () => {
    const { accounts } = openStore()
    await accounts.importFile([{ authKey: 'FILEKEY0001', userId: 'undefined' }])
    await accounts.assign([{ authKey: 'OWNKEY0001', userId: USER }])
    expect((await accounts.login(USER, 'FILEKEY0001', { which: 'remembered' })).kind).toBe('ok')
    expect((await accounts.login(USER, 'OWNKEY0001', { which: 'remembered' })).kind).toBe('refused')
    expect((await accounts.login(USER, 'OWNKEY0001')).kind).toBe('ok')
    expect((await accounts.login(USER, 'OWNKEY0001', { which: 'remembered' })).kind).toBe('ok')
    expect((await accounts.login('B'.repeat(40), 'OWNKEY0001', { which: 'remembered' })).kind).toBe('refused')
  })

  it('writes no key in clear', async () => {
    const store = openStore()
    await store.accounts.assign([{ authKey: 'VERYSECRETKEY0001', userId: USER }])
    closeStore(store)
    for (const name of readdirSync(directory).filter((file) => file.startsWith('blocks.db'))) {
      expect(readFileSync(join(directory, name)).includes('VERYSECRETKEY0001')).toBe(false)
    }
  })
})
