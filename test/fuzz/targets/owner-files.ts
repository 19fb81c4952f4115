import { parseAccountConfig, parseAutoconfigDocument } from '../../../src/cm/account-config.ts'
import { parseBypassTokens } from '../../../src/cm/bypass-tokens-file.ts'
import { parseCertificate } from '../../../src/cm/openpgp/certificates.ts'
import { readPastedKeys } from '../../../src/cm/pasted-keys.ts'
import { AuthFileError, parseAuthFile } from '../../../src/cm/server/auth-file.ts'
import { NotifyFileError, parseNotifyFile } from '../../../src/cm/server/notify-file.ts'
import { parsePostTo } from '../../../src/cm/server/relay/post-to.ts'
import { vectorBytes } from '../../support/vectors.ts'
import { type FuzzTarget, mustHold, vectorSeeds } from './fuzz-target.ts'

const NOW_MS = Date.parse('2026-11-25T12:00:00Z')
const CONFIG = `SaveTime: 2026-11-25T09:00:00Z
Keyid: 8CC800CD4E7DB6AC52EF2CFBCEDB5E7B5F1809D3
SenderProofOfWork: bd,24,2
PrevMailboxes: 0,1,2,3,4,5,6,7
Mailboxes: 0,1,2,3
Transport: server=mx.example.org:8081,mx2.example.org:8081
EntangledServer: server=mx.example.org:8081
AuthKey: ABCDEF0123456789
EndPollOldDate: 2026-12-24
OldTransport: server=old.example.org:8081
UseBypassTokens: True
TorProxy: 127.0.0.1:9050
`
const TEXTS = [
  CONFIG,
  `#BEGIN_CONFIG#\n${CONFIG}#END_CONFIG#\n`,
  '# comment\nundefined ABCDEF0123456789 2026-11-25T09:00:00Z\nadministrator ADMINKEY0001\n',
  'fromaddr=a@example.org\nsmtpserver=localhost\nsmtpport=25\n8cc800cd4e7db6ac52ef2cfbcedb5e7b5f1809d3,smtp,b@example.org\n',
  'Post-To: server=a.example:8081,[::1]:8081\nPost-To: embargo:server=b.example:1\nType: data\n',
]

/** Files a person gives us or a server reads: understood or refused in words, whatever they hold. */
export const ownerFiles: FuzzTarget = {
  name: 'owner-files',
  seeds: () => [
    ...TEXTS.map((text) => Buffer.from(text)),
    vectorBytes('transcripts/keys/alice.bypass_tokens.txt'),
  ],
  async run(input) {
    const text = Buffer.from(input).toString()
    parseAccountConfig(text)
    parseAutoconfigDocument(text)
    parseBypassTokens(text)
    parsePostTo(text)
    refusesOnlyWith(AuthFileError, () => parseAuthFile(text))
    refusesOnlyWith(NotifyFileError, () => parseNotifyFile(text))
  },
}

function refusesOnlyWith(kind: typeof AuthFileError | typeof NotifyFileError, parse: () => unknown): void {
  try {
    parse()
  } catch (error) {
    if (!(error instanceof kind)) throw error
  }
}

/** Keys as they are pasted: each that is found is one block that the strict reader takes or refuses by itself. */
export const pastedKeys: FuzzTarget = {
  name: 'pasted-keys',
  seeds: () => vectorSeeds('keys', '.asc'),
  async run(input) {
    const read = readPastedKeys(input)
    if (read.kind === 'refused') {
      mustHold(read.sentence.length > 0 && !read.sentence.includes('undefined'), 'a refusal is a sentence')
      return
    }
    for (const { kind, armored } of read.keys) {
      if (kind === 'public') await parseCertificate(armored, NOW_MS)
    }
  },
}
