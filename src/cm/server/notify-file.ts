import { Secret } from '../../base/secret.ts'
import { type KeyId, parseKeyId } from '../ids.ts'

/** Who is told of new mail by ordinary mail, and by which SMTP server: the reference's `notify.txt` (CM wire 9.6). */
export interface NotifySettings {
  readonly fromAddress: string
  readonly host: string
  readonly port: number
  readonly login: { readonly user: string; readonly password: Secret<string> } | undefined
  readonly addressByKeyId: ReadonlyMap<KeyId, string>
}

/** A notification file that cannot be read; the message names the line's number, never its content. */
export class NotifyFileError extends Error {
  override readonly name = 'NotifyFileError'
}

const SETTING_LINE = /^(fromaddr|smtpserver|smtpport|smtpuser|smtppass)=(.*)$/
/** `keyid,email,address`; the reference writes either word for the same thing. */
const PERSON_LINE = /^([0-9a-f]{40}),(?:email|smtp),(.*)$/i
/** One mailbox without quoting, so that no address can hold more than one or a header of its own. */
const ADDRESS = /^(?=.{3,254}$)[^\s<>()[\],;:\\"@]+@[^\s<>()[\],;:\\"@]+$/
const MAX_PORT = 65_535

/**
 * Reads the file: empty lines and `#` comments are passed over, the later of two lines wins. undefined when it names
 * nobody. Throws NotifyFileError at a line that is neither, and when people are named but no sender.
 */
export function parseNotifyFile(text: string): NotifySettings | undefined {
  const settings = new Map<string, string>()
  const addressByKeyId = new Map<KeyId, string>()
  for (const [index, raw] of text.split('\n').entries()) {
    const line = raw.trim()
    if (line === '' || line.startsWith('#')) continue
    const setting = SETTING_LINE.exec(line)
    const person = setting === null ? readPerson(line) : undefined
    if (setting !== null) settings.set(setting[1] ?? '', setting[2] ?? '')
    else if (person !== undefined) addressByKeyId.set(person.keyId, person.address)
    else
      throw new NotifyFileError(
        `line ${index + 1} is not "keyid,email,address" or a setting such as "smtpserver="`,
      )
  }
  if (addressByKeyId.size === 0) return undefined
  return { ...readSettings(settings), addressByKeyId }
}

function readPerson(line: string): { readonly keyId: KeyId; readonly address: string } | undefined {
  const match = PERSON_LINE.exec(line)
  const keyId = parseKeyId(match?.[1] ?? '')
  const address = match?.[2] ?? ''
  return keyId === undefined || !ADDRESS.test(address) ? undefined : { keyId, address }
}

function readSettings(settings: ReadonlyMap<string, string>): Omit<NotifySettings, 'addressByKeyId'> {
  const fromAddress = settings.get('fromaddr') ?? ''
  if (!ADDRESS.test(fromAddress))
    throw new NotifyFileError('"fromaddr=" with the address of the sender is missing')
  const port = Number(settings.get('smtpport') ?? '25')
  if (!Number.isInteger(port) || port < 1 || port > MAX_PORT) {
    throw new NotifyFileError('"smtpport=" is not a number from 1 to 65535')
  }
  const user = settings.get('smtpuser') ?? ''
  return {
    fromAddress,
    host: settings.get('smtpserver') ?? 'localhost',
    port,
    login: user === '' ? undefined : { user, password: new Secret(settings.get('smtppass') ?? '') },
  }
}
