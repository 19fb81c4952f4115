import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Command } from 'commander'
import { afterAll, describe, expect, it } from 'vitest'
import { CliError } from '../../../src/cli/cli-error.ts'
import type { CliContext } from '../../../src/cli/context.ts'
import { registerInspectMessage } from '../../../src/cli/inspect-message.ts'
import { vectorJson, vectorPath } from '../../support/vectors.ts'

const directory = mkdtempSync(join(tmpdir(), 'inspect-message-'))
afterAll(() => rmSync(directory, { recursive: true }))

async function inspect(
  ...args: readonly string[]
): Promise<{ exitCode: number; json: Record<string, unknown> }> {
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
  registerInspectMessage(program.command('inspect'), context)
  const exitCode = await program.parseAsync(['inspect', 'message', ...args], { from: 'user' }).then(
    () => 0,
    (error: unknown) => {
      if (error instanceof CliError) return error.exitCode
      throw error
    },
  )
  return { exitCode, json: printed === '' ? {} : JSON.parse(printed) }
}

const vector = (name: string): string => vectorPath(name) ?? name
const secret = (user: string) => ['--secret-key', vector(`keys/${user}.sec.asc`)]
const known = (...users: string[]) => ['--public-key', ...users.map((user) => vector(`keys/${user}.pub.asc`))]
const NOW = ['--now', '2025-01-20T22:00:00Z']

interface Announced {
  readonly announcements?: readonly { readonly file: string }[]
  readonly dataBlocks?: readonly { readonly file: string }[]
  readonly files?: readonly string[]
}

/** `--announcement FILE BLOCK…` of a vector. */
function announced(folder: string, which = 0): string[] {
  const expected = vectorJson<Announced>(`${folder}/expected.json`)
  const [announcement, ...blocks] = expected.files ?? [
    expected.announcements?.[which]?.file ?? '',
    ...(expected.dataBlocks ?? []).map(({ file }) => file),
  ]
  return ['--announcement', vector(announcement ?? ''), ...blocks.map(vector)]
}

describe('inspect message', () => {
  it('prints what the message is, for its recipient', async () => {
    const { exitCode, json } = await inspect(
      ...announced('messages/01-plain'),
      ...secret('bob'),
      ...known('carol', 'alice'),
      ...NOW,
      '--demand',
      '20,3',
    )
    expect(exitCode).toBe(0)
    expect(json).toEqual({
      announcementId: '5408573f0d4c39ed30e928ba5cfbd12627431fec',
      messageHash: '30c8a7819fc6cf96c1e4f7377d4facfe043ae33f',
      signature: 'good',
      signer: 'e6e73df5920e7325f02029372afa2d8ead20d7fa',
      disposition: 'inbox',
      reason: 'verified',
      from: 'Alice Example <alice@example.org> e6e73df5920e7325f02029372afa2d8ead20d7fa',
      to: ['Bob Example <bob@example.net> da3f4e31ae4082ecf960b007ec8dacbe1ca9e289'],
      cc: [],
      bcc: [],
      subject: 'Plain text only',
      date: '2025-01-20T10:00:00Z',
      messageUniqueId: '7407e596c6c626d2c0c0b5ee12f0f8a7e29fa947',
      replyThreadId: null,
      forwardedMessageId: null,
      text: 'Hello Bob,\nthis is plain text.\n',
      html: null,
      attachments: [],
      acknowledgments: [
        {
          keyId: 'da3f4e31ae4082ecf960b007ec8dacbe1ca9e289',
          id: 'badc43ae622c2ed9e29615dc3d950ec70418d503',
          secret: '29ec48337729d7a9def4224136080098728cd358',
          bypassToken: null,
        },
      ],
      heldUntil: null,
      warnings: [],
    })
  })

  it('takes a container, and of several secret keys the one that is named', async () => {
    const { json } = await inspect(
      '--container',
      vector('messages/03-multi/container.bin'),
      ...secret('dora'),
      ...secret('zofia'),
      ...known('alice'),
      ...NOW,
    )
    expect(json).toMatchObject({ announcementId: null, signature: 'good', reason: 'verified', warnings: [] })
    expect(json.acknowledgments).toContainEqual(expect.objectContaining({ secret: expect.any(String) }))
  })

  it('judges the work of the announcement against a demand and a bypass secret', async () => {
    const low = await inspect(
      ...announced('messages-bad/27-pow-below-demand'),
      ...secret('bob'),
      ...known('alice'),
      ...NOW,
      '--demand',
      '20,3',
    )
    expect(low).toMatchObject({ exitCode: 0, json: { disposition: 'junk', reason: 'work-below-demand' } })
    const token = [
      ...announced('messages/06b-bypass-used'),
      ...secret('alice'),
      ...known('bob'),
      ...NOW,
      '--demand',
      '20,3',
    ]
    expect((await inspect(...token)).json).toMatchObject({ disposition: 'junk' })
    const { json } = await inspect(...token, '--bypass-secret', 'b956770b7386efa34f4476967580ae90d9fb9c7b')
    expect(json).toMatchObject({ disposition: 'inbox', reason: 'verified' })
  })

  it('hides folder synchronization', async () => {
    const { exitCode, json } = await inspect(
      ...announced('messages/12-folder-sync'),
      ...secret('alice'),
      ...NOW,
    )
    expect(exitCode).toBe(0)
    expect(json).toMatchObject({ disposition: 'hidden', reason: 'folder-sync', signature: 'good' })
  })

  it.each([
    ['02-signed-by-unknown-key', 0, 'unknown-key', 'inbox', 'unknown-key'],
    ['03-signed-by-other-known-key', 0, 'mismatch', 'inbox', 'signer-is-not-from'],
    ['05-zip-changed-after-signing', 0, 'bad', 'inbox', 'bad-signature'],
    ['10-one-byte-container', 1, 'none', 'quarantine', 'container-empty'],
    ['14-two-from-lines', 1, 'none', 'quarantine', 'several-from'],
    ['22-encrypted-to-other', 1, 'none', 'quarantine', 'not-for-us'],
    ['25-wrong-message-hash', 1, 'none', 'quarantine', 'wrong-message-hash'],
    ['29-no-data-blocks', 1, 'none', 'quarantine', 'no-data-blocks'],
  ])('gives %s exit code %i', async (name, exitCode, signature, disposition, reason) => {
    const outcome = await inspect(
      ...announced(`messages-bad/${name}`),
      ...secret('bob'),
      ...known('alice', 'carol'),
      ...NOW,
    )
    expect(outcome).toMatchObject({ exitCode, json: { signature, disposition, reason } })
  })

  it('says until when a signature ahead of the clock is held', async () => {
    const { json } = await inspect(
      ...announced('messages/01-plain'),
      ...secret('bob'),
      ...known('alice'),
      '--now',
      '2025-01-20T09:00:00Z',
    )
    expect(json).toMatchObject({
      signature: 'bad',
      reason: 'signed-in-future',
      heldUntil: '2025-01-20T09:45:00Z',
    })
  })

  it('takes the blocks wherever they stand, as files or as bare payloads', async () => {
    const [, announcement = '', block = ''] = announced('messages/01-plain')
    const bytes = readFileSync(block)
    const payload = join(directory, 'payload')
    writeFileSync(payload, bytes.subarray(bytes.length - 1332))
    for (const file of [block, payload]) {
      const { json } = await inspect(
        file,
        '--announcement',
        announcement,
        ...secret('bob'),
        ...known('alice'),
        ...NOW,
      )
      expect(json).toMatchObject({ signature: 'good' })
    }
    const { json } = await inspect('--announcement', announcement, ...secret('bob'), ...known('alice'), block)
    expect(json).toMatchObject({ signature: 'good' })
  })

  it('rejects a message whose block is missing or damaged', async () => {
    const [, announcement = '', block = ''] = announced('messages/01-plain')
    const damaged = join(directory, 'damaged')
    const bytes = readFileSync(block)
    bytes.writeUInt8(bytes.readUInt8(bytes.length - 1) ^ 1, bytes.length - 1)
    writeFileSync(damaged, bytes)
    for (const blocks of [[], [damaged]]) {
      const outcome = await inspect('--announcement', announcement, ...blocks, ...secret('bob'), ...NOW)
      expect(outcome).toMatchObject({ exitCode: 1, json: { reason: 'missing-block' } })
    }
  })

  it('writes the message as IMAP would serve it', async () => {
    const eml = join(directory, 'message.eml')
    await inspect(
      ...announced('messages/01-plain'),
      ...secret('bob'),
      ...known('alice'),
      ...NOW,
      '--eml',
      eml,
    )
    const text = readFileSync(eml, 'latin1')
    expect(text).toContain('From: ')
    expect(text).toContain('<alice@example.org>')
    expect(text).toContain('X-CM-Signature: good\r\n')
    expect(text).toContain('Hello Bob,\r\nthis is plain text.\r\n')
  })

  it.each([
    ['nothing to inspect', []],
    ['both kinds', ['--container', 'x', '--announcement', 'y']],
    ['a file that is not there', ['--container', join(directory, 'none')]],
    ['an announcement without a key to decrypt', announced('messages/01-plain')],
    ['a public key that is none', [...announced('messages/01-plain'), '--public-key', vector('pow.json')]],
    ['a demand that is none', [...announced('messages/01-plain'), ...secret('bob'), '--demand', 'much']],
    [
      'a secret of another length',
      [...announced('messages/01-plain'), ...secret('bob'), '--bypass-secret', 'ab'],
    ],
    ['a time that is none', [...announced('messages/01-plain'), ...secret('bob'), '--now', 'today']],
  ])('calls %s misuse', async (_, args) => {
    expect((await inspect(...args)).exitCode).toBe(2)
  })
})
