import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Command } from 'commander'
import { afterAll, describe, expect, it } from 'vitest'
import { CliError } from '../../../src/cli/cli-error.ts'
import type { CliContext } from '../../../src/cli/context.ts'
import { registerInspect } from '../../../src/cli/inspect.ts'
import { vectorPath } from '../../support/vectors.ts'

const directory = mkdtempSync(join(tmpdir(), 'inspect-'))
afterAll(() => rmSync(directory, { recursive: true }))

const CASES = new URL('../../golden/cases/', import.meta.url).pathname

interface Outcome {
  readonly exitCode: number
  readonly json: Record<string, unknown>
}

/** Runs the verbs as the program does. */
async function inspect(...args: readonly string[]): Promise<Outcome> {
  let printed = ''
  const context: CliContext = {
    environment: {},
    clock: { now: () => Date.UTC(2026, 10, 25, 12), after: () => () => undefined },
    randomBytes: (size) => new Uint8Array(size),
    print: (text) => {
      printed += text
    },
    askedToEnd: Promise.withResolvers<string>().promise,
  }
  const program = new Command('cmbridge').exitOverride()
  registerInspect(program, context)
  const exitCode = await program.parseAsync(['inspect', ...args], { from: 'user' }).then(
    () => 0,
    (error: unknown) => {
      if (error instanceof CliError) return error.exitCode
      throw error
    },
  )
  return { exitCode, json: printed === '' ? {} : JSON.parse(printed) }
}

function file(name: string, content: string | Uint8Array): string {
  const path = join(directory, name)
  writeFileSync(path, content)
  return path
}

const NOW = ['--now', '2025-01-20T09:01:00Z']
const ALICE = 'E6E73DF5920E7325F02029372AFA2D8EAD20D7FA'

describe('inspect block', () => {
  const announcement = vectorPath('announcements/alice-server-bypass.txt') ?? ''

  it('finds a key announcement’s own key and accepts it', async () => {
    const { exitCode, json } = await inspect('block', announcement, ...NOW, '--user', ALICE)
    expect(exitCode).toBe(0)
    expect(json).toMatchObject({
      type: 'key-announcement',
      key: ALICE.toLowerCase(),
      accepted: true,
      reason: null,
      date: '2025-01-20T09:00:00Z',
      ageSeconds: 60,
      proofOfWork: { bits: expect.any(Number), matches: 2 },
      signature: 'good',
    })
  })

  it('applies the login rule only when a user is given', async () => {
    expect(await inspect('block', announcement, ...NOW, '--user', 'NONE')).toMatchObject({
      exitCode: 1,
      json: { accepted: false, reason: 'user' },
    })
  })

  it('lists the records of a claim block and checks the keys it is given', async () => {
    const claims = vectorPath('claims/merged-bob-impostor.txt') ?? ''
    const bob = vectorPath('keys/bob.pub.asc') ?? ''
    const { exitCode, json } = await inspect('block', claims, ...NOW, '--public-key', bob)
    expect(exitCode).toBe(0)
    expect(json.records).toMatchObject([{ signature: 'unknown-key' }, { signature: 'good' }])
  })

  it('takes several key files after one --public-key, and no second block file', async () => {
    const claims = vectorPath('claims/merged-bob-impostor.txt') ?? ''
    const [bob, impostor] = [vectorPath('keys/bob.pub.asc') ?? '', vectorPath('keys/impostor.pub.asc') ?? '']
    const { json } = await inspect('block', claims, ...NOW, '--public-key', bob, impostor)
    expect(json).toMatchObject({ records: [{ signature: 'good' }, { signature: 'good' }] })
    await expect(inspect('block', claims, impostor)).resolves.toMatchObject({ exitCode: 2 })
  })

  it('measures what is refused too', async () => {
    const claims = vectorPath('claims/merged-bob-impostor.txt') ?? ''
    const bob = vectorPath('keys/bob.pub.asc') ?? ''
    const { json } = await inspect('block', claims, ...NOW, '--public-key', bob, '--user', 'NONE')
    expect(json).toMatchObject({ accepted: false, reason: 'user', proofOfWork: { bits: 24, matches: 2 } })
    expect(json.records).toMatchObject([{}, { reason: 'user', signature: 'good' }])
  })

  it.each([
    ['claims/forged-signature.txt', 'signature'],
    ['claims/unsigned.txt', 'unsigned'],
  ])('rejects %s', async (name, reason) => {
    const bob = vectorPath('keys/bob.pub.asc') ?? ''
    expect(await inspect('block', vectorPath(name) ?? '', ...NOW, '--public-key', bob)).toMatchObject({
      exitCode: 1,
      json: { reason },
    })
  })

  it('skips and lists outbox lines', async () => {
    const { json } = await inspect('block', vectorPath('acks/server.txt') ?? '', ...NOW)
    expect(json).toMatchObject({
      type: 'acknowledgment',
      accepted: true,
      postTo: ['server=mail1.example.org:8081,mail2.example.org:8082'],
      embargo: null,
    })
  })

  it('shows what a merge would leave', async () => {
    const out = join(directory, 'merged')
    const stored = vectorPath('claims/stored-bob.txt') ?? ''
    const impostor = vectorPath('claims/impostor.txt') ?? ''
    const { json } = await inspect('block', impostor, ...NOW, '--stored', stored, '--out', out)
    expect(json).toMatchObject({ accepted: true, merge: 'stored' })
    const parts = readFileSync(out, 'utf8').split('NextClaim\n')
    expect(parts.sort()).toEqual(
      readFileSync(vectorPath('claims/merged-bob-impostor.txt') ?? '', 'utf8')
        .split('NextClaim\n')
        .map((part) => part.replace(/\n+$/, '\n\n'))
        .sort(),
    )
    expect(await inspect('block', announcement, ...NOW, '--stored', announcement)).toMatchObject({
      exitCode: 1,
      json: { reason: 'unchanged' },
    })
  })

  it.each([
    [['block', '/nowhere/at/all']],
    [['block', announcement, '--user', 'me']],
    [['block', announcement, '--key', '123']],
    [['block', announcement, '--now', 'yesterday']],
  ])('calls %s misuse', async (args) => {
    expect((await inspect(...args)).exitCode).toBe(2)
  })
})

describe('inspect pow', () => {
  it('measures and asks for a demand', async () => {
    const data = file('hello', 'hello world')
    const proof = 'bd,0000005b2,000000c95'
    expect(await inspect('pow', proof, '--data', data)).toEqual({
      exitCode: 0,
      json: { bits: 26, matches: 2, accepted: true, reason: null },
    })
    expect(await inspect('pow', proof, '--data', data, '--demand', '27,2')).toMatchObject({ exitCode: 1 })
    expect(await inspect('pow', 'BD,1,2', '--data', data)).toMatchObject({
      exitCode: 1,
      json: { bits: 0, matches: -1 },
    })
  })
})

describe('inspect key', () => {
  it('shows ids, addresses, hashes and what the key is good for', async () => {
    const { exitCode, json } = await inspect('key', `${CASES}K09-two-uids.asc`)
    expect(exitCode).toBe(0)
    expect(json).toMatchObject({
      addresses: ['first@example.net', 'second@example.net'],
      primaryUserId: 'Second <second@example.net>',
      encrypt: { usable: true, reason: null },
    })
    expect(json.fingerprint).toMatch(/^[0-9A-F]{40}$/)
    expect(Object.keys(json.mailboxHashes as object)).toEqual(['0', '1', '2', '3'])
  })

  it('says why an expired key is of no use', async () => {
    const { json } = await inspect('key', `${CASES}K05.asc`)
    expect(json).toMatchObject({ encrypt: { usable: false, reason: 'expired' } })
  })

  it.each([
    ['K03.asc', 'several-certificates'],
    ['K13-v6.asc', 'version-6'],
    ['K13-v4-then-v3.bin', 'several-certificates'],
    ['K09-separator.asc', 'control-character'],
    ['K04-secret.asc', 'secret-key'],
    ['K08.asc', 'user-id-encoding'],
    ['K10.txt', 'not-a-key'],
  ])('refuses %s: %s', async (name, reason) => {
    expect(await inspect('key', CASES + name)).toMatchObject({ exitCode: 1, json: { reason } })
  })
})
