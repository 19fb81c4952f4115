import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseEncryptedAck, parseRawAck } from '../../../src/cm/message/ack-file.ts'
import { openContainer } from '../../../src/cm/message/decode-message.ts'
import { parseHeaderTxt } from '../../../src/cm/message/header-txt.ts'
import { readZipEntry, ZipDamagedError } from '../../../src/cm/message/zip-read.ts'
import { vectorBytes, vectorPath } from '../../support/vectors.ts'
import { type FuzzTarget, mustHold } from './fuzz-target.ts'

const MESSAGES = ['01-plain', '04-reply', '05-forward', '06c-bypass-second', '11-self', '16-empty']

const ofMessages = (name: string): Uint8Array[] =>
  MESSAGES.map((message) => `messages/${message}/${name}`)
    .filter((path) => vectorPath(path) !== undefined)
    .map(vectorBytes)

/** Everything the archive names can be read to its end, or is damaged; nothing is larger than it says. */
async function readAll(path: string): Promise<void> {
  const opened = await openContainer({ containerPath: path })
  if (opened.kind !== 'opened') return
  for (const { name, entry } of opened.attachments) {
    mustHold(!/[/\\\0-\x1f]/.test(name) && name !== '' && name !== '..', 'an attachment name is a plain name')
    let bytes = 0
    try {
      for await (const chunk of readZipEntry(opened.zip, entry)) bytes += chunk.length
      mustHold(bytes === entry.size, 'an entry is as long as it says')
    } catch (error) {
      if (!(error instanceof ZipDamagedError)) throw error
    }
  }
}

/** The decrypted container of a message: signature, ZIP, HEADER.TXT, bodies. */
export const containers: FuzzTarget = {
  name: 'containers',
  seeds: () => ofMessages('container.bin'),
  async run(input) {
    const directory = await mkdtemp(join(tmpdir(), 'cmb-fuzz-'))
    try {
      const path = join(directory, 'container.bin')
      await writeFile(path, input)
      await readAll(path)
    } finally {
      await rm(directory, { recursive: true })
    }
  },
}

/** HEADER.TXT and the acknowledgment files. */
export const messageHeaders: FuzzTarget = {
  name: 'message-headers',
  seeds: () => [
    ...ofMessages('HEADER.TXT'),
    Buffer.from(`ack=${'1'.repeat(40)}|bt=${'2'.repeat(40)},2026-11-25T12:00:00Z,never`),
  ],
  async run(input) {
    const parsed = parseHeaderTxt(input)
    if (parsed.kind === 'ok') {
      mustHold(!(parsed.header.subject ?? '').includes('\n'), 'a line feed ends a header')
    }
    parseEncryptedAck(input)
    parseRawAck(input)
  },
}
