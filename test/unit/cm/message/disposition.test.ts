import { describe, expect, it } from 'vitest'
import { type DispositionFacts, decideDisposition } from '../../../../src/cm/message/disposition.ts'

type Readable = Extract<DispositionFacts, { kind: 'readable' }>

const GOOD: Readable = {
  kind: 'readable',
  signature: 'good',
  isNamed: true,
  dateFault: undefined,
  isFolderSync: false,
  work: 'met',
  hasCollision: false,
  isBlocked: false,
}

describe('where a message goes (design 8.8)', () => {
  it.each<[string, Partial<Readable>, string]>([
    ['good', {}, 'inbox verified ack everything'],
    ['good with a token', { work: 'bypassed' }, 'inbox verified ack everything'],
    ['good with a collision', { hasCollision: true }, 'inbox key-collision ack text-only'],
    ['good, not named', { isNamed: false }, 'inbox recipient-not-named - text-only'],
    ['good, date unreadable', { dateFault: 'date-unreadable' }, 'inbox date-unreadable - text-only'],
    [
      'good, not named, with a collision',
      { isNamed: false, hasCollision: true },
      'inbox recipient-not-named - text-only',
    ],
    ['signed by another', { signature: 'mismatch' }, 'inbox signer-is-not-from - text-only'],
    ['badly signed', { signature: 'bad' }, 'inbox bad-signature - text-only'],
    ['of an unknown key', { signature: 'unknown-key' }, 'inbox unknown-key - text-only'],
    ['not signed', { signature: 'none' }, 'inbox not-signed - text-only'],
    ['signed in the future', { signature: 'bad', heldUntilMs: 1 }, 'inbox signed-in-future - text-only'],
    ['of too little work', { work: 'below' }, 'junk work-below-demand - text-only'],
    [
      'of too little work and badly signed',
      { work: 'below', signature: 'bad' },
      'junk work-below-demand - text-only',
    ],
    ['of a blocked key', { isBlocked: true }, 'junk sender-blocked - text-only'],
    ['folder synchronization', { isFolderSync: true, work: 'below' }, 'hidden folder-sync ack text-only'],
    [
      'folder synchronization of another time',
      { isFolderSync: true, dateFault: 'date-not-signing-time' },
      'hidden folder-sync - text-only',
    ],
  ])('%s', (_, facts, expected) => {
    const { place, reason, acknowledge, show } = decideDisposition({ ...GOOD, ...facts })
    expect(`${place} ${reason} ${acknowledge ? 'ack' : '-'} ${show}`).toBe(expected)
  })

  it('what cannot be read waits in quarantine and is never acknowledged', () => {
    expect(decideDisposition({ kind: 'unreadable', reason: 'several-from' })).toEqual({
      place: 'quarantine',
      reason: 'several-from',
      acknowledge: false,
      show: 'text-only',
    })
  })
})
