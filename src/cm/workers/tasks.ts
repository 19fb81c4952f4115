import { readFile, stat } from 'node:fs/promises'
import { MAX_SERVER_PAYLOAD_BYTES } from '../block-text.ts'
import type { BlockRules, BlockVerdict } from '../block-verdict.ts'
import { rejectedBlock } from '../block-verdict.ts'
import type { CertificateResult } from '../certificate.ts'
import type { BlockKey, KeyId } from '../ids.ts'
import { verifyKeyAnnouncement } from '../judge-signed.ts'
import { reassembleCiphertext } from '../message/block-file.ts'
import { buildMessage } from '../message/build-message.ts'
import { verifyDetachedFile } from '../message/crypto-files.ts'
import { openCiphertext, openContainer, openInMemory } from '../message/decode-message.ts'
import { openForwardedOriginal } from '../message/forwarded-original.ts'
import { parseCertificate } from '../openpgp/certificates.ts'
import type { ProofOfWorkStrength } from '../proof-of-work.ts'
import type { BlockToValidate } from '../validate-block.ts'
import { validateBlock } from '../validate-block.ts'

/** What runs on worker threads: one plain argument in, plain data out. `createWorkerPool` types its `run` by this table. */
export const TASKS = {
  /** Signatures and hostile keys. Give the known public keys as armored text by key id. */
  validateBlock: ({
    publicKeys,
    ...block
  }: Omit<BlockToValidate, 'publicKeyFor'> & {
    readonly publicKeys?: Readonly<Record<KeyId, string>>
  }): Promise<BlockVerdict> =>
    validateBlock({ ...block, publicKeyFor: async (keyId) => publicKeys?.[keyId] }),

  /** A data block whose payload lies in a file of its own. */
  validateDataFile: async ({
    path,
    key,
    text,
    rules,
  }: {
    readonly path: string
    readonly key: BlockKey
    /** Header lines with `Data: n`. */
    readonly text: string
    readonly rules: BlockRules
  }): Promise<BlockVerdict> => {
    const { size } = await stat(path)
    if (size > MAX_SERVER_PAYLOAD_BYTES) return rejectedBlock('data', key, 'too-large')
    return validateBlock({ ...rules, key, type: 'data', text, payload: await readFile(path) })
  },

  verifyKeyAnnouncement: ({
    text,
    ...options
  }: {
    readonly text: string
    readonly nowMs: number
    readonly demand: ProofOfWorkStrength
  }) => verifyKeyAnnouncement(text, options),

  parseCertificate: ({
    input,
    nowMs,
  }: {
    readonly input: string | Uint8Array
    readonly nowMs: number
  }): Promise<CertificateResult> => parseCertificate(input, nowMs),

  buildMessage,
  openCiphertext,
  openContainer,
  openForwardedOriginal,
  openInMemory,
  reassembleCiphertext,
  verifyDetachedFile,
} as const

export type TaskTable = typeof TASKS
export type TaskName = keyof TaskTable
export type TaskArgument<Name extends TaskName> = Parameters<TaskTable[Name]>[0]
export type TaskResult<Name extends TaskName> = Awaited<ReturnType<TaskTable[Name]>>
