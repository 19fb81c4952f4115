import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type OpenedMessage, openContainer } from '../../../../src/cm/message/decode-message.ts'
import { openForwardedOriginal } from '../../../../src/cm/message/forwarded-original.ts'
import { judgeMessage } from '../../../../src/cm/message/judge-message.ts'
import { vectorCertificate, vectorKeyId, vectorOwner } from '../../../support/message-vectors.ts'
import { vectorPath } from '../../../support/vectors.ts'

const NOW = Date.UTC(2025, 0, 20, 15)
const DAY = 86_400_000

async function open(name: string, user?: string): Promise<OpenedMessage> {
  const opened = await openContainer({
    containerPath: vectorPath(`messages/${name}/container.bin`) ?? '',
    owner: user === undefined ? undefined : vectorOwner(user),
  })
  if (opened.kind !== 'opened') throw new Error(opened.reason)
  return opened
}

const judge = (opened: OpenedMessage, owner: string, users: readonly string[], nowMs = NOW) =>
  judgeMessage(opened, { owner: vectorKeyId(owner), certificates: users.map(vectorCertificate), nowMs })

describe('a message that is judged', () => {
  it('entitles only its named recipient to acknowledge', async () => {
    const opened = await open('01-plain', 'bob')
    expect(await judge(opened, 'bob', ['alice'])).toMatchObject({
      isNamed: true,
      receipt: { bypassGrant: undefined },
    })
    expect(await judge(opened, 'carol', ['alice'])).toMatchObject({ isNamed: false, receipt: undefined })
  })

  it('keeps secrets out of any printout', async () => {
    const judged = await judge(await open('06a-bypass-issued', 'bob'), 'bob', ['alice'])
    expect(JSON.stringify(judged.receipt)).toBe(
      '{"acknowledgmentSecret":"[redacted]","bypassGrant":"[redacted]"}',
    )
    expect(judged.receipt?.bypassGrant?.reveal().expires).toBe('never')
  })

  it('whose signer has to be found names the keys to look for', async () => {
    const opened = await open('01-plain')
    expect(opened.signatureIssuers).toEqual([vectorKeyId('alice').slice(24)])
    expect(await judge(opened, 'bob', ['carol'])).toMatchObject({
      verdict: { signature: 'unknown-key', signer: undefined, reason: 'unknown-key' },
    })
  })

  it('signed ahead of our clock is held, not called bad for ever', async () => {
    const opened = await open('01-plain')
    const signedMs = Date.UTC(2025, 0, 20, 10)
    expect(await judge(opened, 'bob', ['alice'], signedMs - 15 * 60_000)).toMatchObject({
      verdict: { signature: 'good' },
    })
    expect(await judge(opened, 'bob', ['alice'], signedMs - 16 * 60_000)).toMatchObject({
      verdict: { signature: 'bad', reason: 'signed-in-future', heldUntilMs: signedMs - 15 * 60_000 },
      receipt: undefined,
    })
  })

  it('is folder synchronization only from oneself to oneself alone, and signed', async () => {
    const sync = await open('12-folder-sync', 'alice')
    expect(await judge(sync, 'alice', ['alice'])).toMatchObject({ isFolderSync: true })
    expect(await judge(sync, 'bob', ['alice'])).toMatchObject({ isFolderSync: false })
    expect(await judge(sync, 'alice', [])).toMatchObject({ isFolderSync: false })
    const withOther: OpenedMessage = {
      ...sync,
      header: {
        ...sync.header,
        recipients: [...sync.header.recipients, { type: 'cc', keyId: vectorKeyId('bob'), text: '' }],
      },
    }
    expect(await judge(withOther, 'alice', ['alice'])).toMatchObject({ isFolderSync: false })
  })

  it.each([
    ['cannot be read', undefined, 'date-unreadable'],
    ['is not when it was signed', Date.UTC(2025, 0, 18), 'date-not-signing-time'],
    ['lies ahead', NOW + 2 * DAY, 'date-ahead'],
    ['is near the signature', Date.UTC(2025, 0, 20, 11), undefined],
  ])('says when its Date %s', async (_, ms, fault) => {
    const opened = await open('01-plain')
    const date = ms === undefined ? undefined : { ms, text: '' }
    const judged = await judge({ ...opened, header: { ...opened.header, date } }, 'bob', ['alice'])
    expect(judged.dateFault).toBe(fault)
  })

  it('without an owner names nobody', async () => {
    const judged = await judgeMessage(await open('01-plain'), {
      owner: undefined,
      certificates: [vectorCertificate('alice')],
      nowMs: NOW,
    })
    expect(judged).toMatchObject({ isNamed: false, verdict: { signature: 'good' } })
  })
})

describe('the original inside a signed forward', () => {
  let folder = ''
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'cm-forward-'))
  })
  afterEach(() => rm(folder, { recursive: true }))

  it('is opened and judged by its own signature', async () => {
    const forward = await open('05-forward')
    const original = await openForwardedOriginal({ opened: forward, containerPath: join(folder, 'original') })
    if (original?.kind !== 'opened') throw new Error('not opened')
    expect(original.bodyText).toBe('Hello Bob,\nthis is plain text.\n')
    expect(original.acknowledgment.acknowledgmentSecret).toBeUndefined()
    expect(await judge(original, 'bob', ['alice'])).toMatchObject({
      verdict: { signature: 'good', signer: vectorKeyId('alice') },
    })
  })

  it('is not there in other messages', async () => {
    const opened = await open('01-plain')
    expect(await openForwardedOriginal({ opened, containerPath: join(folder, 'x') })).toBeUndefined()
  })

  it('that is damaged cannot be read', async () => {
    const forward = await open('05-forward')
    const damaged: OpenedMessage = {
      ...forward,
      forwardedOriginal: forward.forwardedOriginal && {
        ...forward.forwardedOriginal,
        zip: { ...forward.forwardedOriginal.zip, crc32: 1 },
      },
    }
    expect(await openForwardedOriginal({ opened: damaged, containerPath: join(folder, 'y') })).toEqual({
      kind: 'unreadable',
      reason: 'zip-damaged',
    })
  })
})
