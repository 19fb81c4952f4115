import { createHash } from 'node:crypto'
import { access } from 'node:fs/promises'
import { MAX_HEADER_TEXT_BYTES, MAX_SERVER_PAYLOAD_BYTES } from '../cm/block-text.ts'
import { type Certificate, MAX_CERTIFICATE_BYTES } from '../cm/certificate.ts'
import { splitDataBlock } from '../cm/data-block.ts'
import type { BlockKey } from '../cm/ids.ts'
import { parseKeyAnnouncement } from '../cm/key-announcement.ts'
import type { BlockFile } from '../cm/message/block-file.ts'
import { parseCertificate } from '../cm/openpgp/certificates.ts'
import { readSecretKey } from '../cm/openpgp/secret-keys.ts'
import { type ProofOfWorkStrength, parseProofOfWorkDemand } from '../cm/proof-of-work.ts'
import type { SecretKey } from '../cm/secret-key.ts'
import { misuse } from './cli-error.ts'
import type { CliContext } from './context.ts'
import { nowOption, readInput } from './inspect-result.ts'

/** What `cmbridge inspect message` is given, read and checked; a wrong flag or file is misuse. */

export interface InspectMessageFlags {
  readonly container?: string
  readonly announcement?: string
  readonly secretKey?: readonly string[]
  readonly publicKey?: readonly string[]
  readonly demand?: string
  readonly bypassSecret?: readonly string[]
  readonly now?: string
  readonly eml?: string
}

export interface InspectMessageInput {
  readonly source:
    | { readonly kind: 'container'; readonly path: string }
    | { readonly kind: 'announcement'; readonly text: string; readonly blocks: readonly BlockFile[] }
  readonly secretKeys: readonly SecretKey[]
  readonly certificates: readonly Certificate[]
  readonly demand: ProofOfWorkStrength | undefined
  /** 40 hex digits each, lower case. */
  readonly bypassSecrets: readonly string[]
  readonly nowMs: number
}

/** Reads everything. Keys are read as of the clock, not of `--now`: how a key looks at that time is for the verdict. */
export async function readInspectMessageInput(
  blockPaths: readonly string[],
  flags: InspectMessageFlags,
  context: Pick<CliContext, 'clock'>,
): Promise<InspectMessageInput> {
  const clockMs = context.clock.now()
  const [strayBlocks, publicKeyPaths] = await partition(flags.publicKey ?? [])
  const [moreStrayBlocks, secretKeyPaths] = await partition(flags.secretKey ?? [])
  return {
    source: await readSource([...blockPaths, ...strayBlocks, ...moreStrayBlocks], flags),
    secretKeys: await Promise.all(secretKeyPaths.map((path) => readSecretKeyFile(path, clockMs))),
    certificates: await Promise.all(publicKeyPaths.map((path) => readCertificateFile(path, clockMs))),
    demand: flags.demand === undefined ? undefined : readDemand(flags.demand),
    bypassSecrets: (flags.bypassSecret ?? []).map(readBypassSecret),
    nowMs: nowOption(flags.now, context),
  }
}

/** `--public-key FILE…` takes all that follows: a data block among the keys is one of the message's blocks. */
async function partition(paths: readonly string[]): Promise<[blocks: string[], keys: string[]]> {
  const blocks: string[] = []
  const keys: string[] = []
  for (const path of paths) {
    const isBlock = splitDataBlock(await readBounded(path, MAX_BLOCK_FILE_BYTES)) !== undefined
    if (isBlock) blocks.push(path)
    else keys.push(path)
  }
  return [blocks, keys]
}

async function readSource(
  blockPaths: readonly string[],
  flags: InspectMessageFlags,
): Promise<InspectMessageInput['source']> {
  if ((flags.container === undefined) === (flags.announcement === undefined)) {
    throw misuse('give either --container FILE or --announcement FILE and its data blocks')
  }
  if (flags.container !== undefined) {
    if (blockPaths.length > 0) throw misuse('--container takes no data blocks')
    await access(flags.container).catch(() => {
      throw misuse(`cannot read ${flags.container}`)
    })
    return { kind: 'container', path: flags.container }
  }
  if (flags.secretKey === undefined) throw misuse('--announcement needs --secret-key FILE to decrypt with')
  const text = (await readBounded(flags.announcement ?? '', MAX_BLOCK_FILE_BYTES)).toString('utf8')
  return { kind: 'announcement', text, blocks: await Promise.all(blockPaths.map(readBlockFile)) }
}

/** A block as it is stored, Post-To lines included, or its payload alone. */
const MAX_BLOCK_FILE_BYTES = MAX_SERVER_PAYLOAD_BYTES + MAX_HEADER_TEXT_BYTES

async function readBlockFile(path: string): Promise<BlockFile> {
  const bytes = await readBounded(path, MAX_BLOCK_FILE_BYTES)
  const payload = splitDataBlock(bytes)?.payload ?? bytes
  const key = createHash('sha1').update(payload).digest('hex') as BlockKey
  return { key, path, start: bytes.length - payload.length }
}

async function readSecretKeyFile(path: string, nowMs: number): Promise<SecretKey> {
  const read = await readSecretKey((await readBounded(path, MAX_CERTIFICATE_BYTES)).toString('latin1'), {
    nowMs,
  })
  if (read.kind === 'locked') throw misuse(`${path} is protected by a passphrase; export it without one`)
  if (read.kind === 'refused') throw misuse(`${path} is not a secret key we can use: ${read.reason}`)
  return read.secretKey
}

/** A key, or a key announcement that holds one. */
async function readCertificateFile(path: string, nowMs: number): Promise<Certificate> {
  const bytes = await readBounded(path, MAX_CERTIFICATE_BYTES)
  const announcement = parseKeyAnnouncement(bytes.toString('utf8'))
  const key = announcement.kind === 'ok' ? announcement.announcement.keyBlock : bytes
  const read = await parseCertificate(key, nowMs)
  if (read.kind === 'refused') throw misuse(`${path} is not a public key we can use: ${read.reason}`)
  return read.certificate
}

function readDemand(text: string): ProofOfWorkStrength {
  const demand = parseProofOfWorkDemand(text.startsWith('bd,') ? text : `bd,${text}`)
  if (demand === undefined) throw misuse(`--demand is BITS,MATCHES, for example 20,2; not ${text}`)
  return demand
}

function readBypassSecret(text: string): string {
  if (!/^[0-9a-f]{40}$/i.test(text)) throw misuse('--bypass-secret is 40 hex digits')
  return text.toLowerCase()
}

async function readBounded(path: string, maxBytes: number): Promise<Buffer> {
  const bytes = await readInput(path, maxBytes)
  if (bytes.length > maxBytes) throw misuse(`${path} is longer than its kind may be`)
  return bytes
}
