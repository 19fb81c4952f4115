import { describe, expect, it } from 'vitest'
import type { KeyLookup, LookupOutcome } from '../../../../src/bridge/key-lookup.ts'
import { rememberLookups } from '../../../../src/bridge/lookup/remember-lookups.ts'
import type { KeyId } from '../../../../src/cm/ids.ts'
import { ManualClock } from '../../../support/manual-clock.ts'

const MINUTE_MS = 60_000
const NOTHING: LookupOutcome = { kind: 'answered', found: [], unusable: [], dropped: [] }
const SILENT: LookupOutcome = { ...NOTHING, kind: 'unreachable', reason: 'no answer' }
const signal = new AbortController().signal
const OLD = { signal, maxAgeMs: MINUTE_MS }

/** A look-up that counts what it is asked and says this each time. */
function counting(say: () => Promise<LookupOutcome>) {
  const asked: string[] = []
  const inner: KeyLookup = {
    byAddress(accountId, address) {
      asked.push(`${accountId} ${address}`)
      return say()
    },
    byKeyId(accountId, keyId) {
      asked.push(`${accountId} ${keyId}`)
      return say()
    },
  }
  const clock = new ManualClock()
  return { asked, clock, lookup: rememberLookups(inner, clock) }
}

describe('remembered look-ups', () => {
  it('asks once a minute for who may take an old answer, for each account and address by itself', async () => {
    const { asked, clock, lookup } = counting(async () => NOTHING)
    for (const address of ['a@example.org', 'A@EXAMPLE.ORG', 'b@example.org']) {
      await lookup.byAddress(1, address, OLD)
    }
    await lookup.byAddress(2, 'a@example.org', OLD)
    expect(asked).toEqual(['1 a@example.org', '1 b@example.org', '2 a@example.org'])
    clock.advance(MINUTE_MS)
    await lookup.byAddress(1, 'a@example.org', OLD)
    expect(asked).toHaveLength(3)
    clock.advance(1)
    await lookup.byAddress(1, 'a@example.org', OLD)
    expect(asked).toHaveLength(4)
  })

  it('measures the age from the moment of the question, not of the answer', async () => {
    const answer = Promise.withResolvers<LookupOutcome>()
    const { asked, clock, lookup } = counting(() => answer.promise)
    const first = lookup.byAddress(1, 'a@example.org', OLD)
    const second = lookup.byAddress(1, 'a@example.org', OLD)
    clock.advance(MINUTE_MS + 1)
    answer.resolve(NOTHING)
    expect(await first).toBe(await second)
    expect(asked).toHaveLength(1)
    await lookup.byAddress(1, 'a@example.org', OLD)
    expect(asked).toHaveLength(2)
  })

  it('asks anew for who did not say that an old answer will do, or named servers', async () => {
    const { asked, lookup } = counting(async () => NOTHING)
    await lookup.byAddress(1, 'a@example.org', { signal })
    await lookup.byAddress(1, 'a@example.org', { signal })
    const servers = [{ host: 'cm.example.net', port: 8081 }]
    await lookup.byAddress(1, 'a@example.org', { ...OLD, servers })
    await lookup.byKeyId(1, '1'.repeat(40) as KeyId, { ...OLD, hints: [] })
    expect(asked).toHaveLength(4)
    // What was asked without a limit of age is an answer like any other.
    await lookup.byAddress(1, 'a@example.org', OLD)
    expect(asked).toHaveLength(4)
  })

  it('gives no answer again that misses a source, nor a failure', async () => {
    const says = [async () => SILENT, async () => Promise.reject(new Error('no disk')), async () => NOTHING]
    const { asked, lookup } = counting(() => (says.shift() ?? (async () => NOTHING))())
    expect(await lookup.byAddress(1, 'a@example.org', OLD)).toBe(SILENT)
    await expect(lookup.byAddress(1, 'a@example.org', OLD)).rejects.toThrow('no disk')
    expect(await lookup.byAddress(1, 'a@example.org', OLD)).toBe(NOTHING)
    await lookup.byAddress(1, 'a@example.org', OLD)
    expect(asked).toHaveLength(3)
  })

  it('takes no answer for fresh after the clock was put back', async () => {
    const { asked, clock, lookup } = counting(async () => NOTHING)
    await lookup.byAddress(1, 'a@example.org', OLD)
    clock.advance(-2 * MINUTE_MS)
    await lookup.byAddress(1, 'a@example.org', OLD)
    expect(asked).toHaveLength(2)
  })

  it('keeps a bounded number of answers', async () => {
    const { asked, lookup } = counting(async () => NOTHING)
    for (let n = 0; n <= 64; n += 1) await lookup.byAddress(1, `a${n}@example.org`, OLD)
    await lookup.byAddress(1, 'a0@example.org', OLD)
    expect(asked).toHaveLength(66)
  })
})
