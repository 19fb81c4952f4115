import { describe, expect, it } from 'vitest'
import {
  acceptedProofOfWork,
  announcedMailboxes,
  announcedProofOfWork,
  polledMailboxes,
} from '../../../src/bridge/own-announcement.ts'
import type { AccountNetwork } from '../../../src/store/account-queries.ts'

const UNTIL = Date.UTC(2026, 11, 7)
const network: AccountNetwork = {
  mailboxCount: 2,
  costBits: 36,
  previous: { mailboxCount: 4, costBits: 24, untilMs: UNTIL },
  old: undefined,
  publishServers: [],
  usesBypassTokens: true,
  appliesFolderSync: false,
  rotateDays: 0,
}

describe('what an account announces', () => {
  it('is what it is set to, at once', () => {
    expect(announcedMailboxes(network)).toEqual(['0', '1'])
    expect(announcedProofOfWork(network)).toEqual({ bits: 36, matches: 2 })
  })
})

describe('what an account goes by', () => {
  it('is what was announced before too, to the end of that time and not longer', () => {
    expect(polledMailboxes(network, UNTIL - 1)).toEqual(['0', '1', '2', '3'])
    expect(acceptedProofOfWork(network, UNTIL - 1)).toEqual({ bits: 24, matches: 2 })
    expect(polledMailboxes(network, UNTIL)).toEqual(['0', '1'])
    expect(acceptedProofOfWork(network, UNTIL)).toEqual({ bits: 36, matches: 2 })
  })

  it('is never more than one of the two', () => {
    const cheaper = { ...network, costBits: 24, previous: { mailboxCount: 2, costBits: 36, untilMs: UNTIL } }
    expect(acceptedProofOfWork(cheaper, 0).bits).toBe(24)
    expect(polledMailboxes({ ...cheaper, mailboxCount: 16 }, 0)).toHaveLength(16)
  })
})
