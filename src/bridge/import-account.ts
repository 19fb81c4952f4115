import type { Clock } from '../base/clock.ts'
import type { Secret } from '../base/secret.ts'
import { type AccountConfig, parseAccountConfig } from '../cm/account-config.ts'
import { addressOfUserId, claimAddress } from '../cm/address.ts'
import { type BypassTokensFile, parseBypassTokens } from '../cm/bypass-tokens-file.ts'
import type { Certificate } from '../cm/certificate.ts'
import { certificateAddresses } from '../cm/certificate.ts'
import { formatUtcTime } from '../cm/utc-time.ts'
import { type Account, accountByLogin } from '../store/account-queries.ts'
import type { NewBypassSecret } from '../store/bypass-operations.ts'
import type { Store } from '../store/open-store.ts'
import type { AccountAdministration, AccountSettingsRequest } from './bridge.ts'
import type { KeyAdministration } from './key-administration.ts'
import { readOwnSecretKey } from './own-secret-key.ts'

/** What a reference client's account directory holds (CM message 10.1, 10.3), as texts. */
export interface ImportAccountRequest {
  /** config.txt; it holds auth keys. */
  readonly config: Secret<string>
  /** bypass_tokens.txt; undefined when there is none. */
  readonly tokens: Secret<string> | undefined
  readonly secretKey: Secret<string>
  readonly passphrase: Secret<string> | undefined
}

export type ImportAccountOutcome =
  | {
      readonly kind: 'ok'
      readonly address: string
      readonly keyId: string
      /** Undefined when the account was here already. */
      readonly appPassword: Secret<string> | undefined
      /** One line each, for people. */
      readonly taken: readonly string[]
      readonly notTaken: readonly string[]
      /** Settings of the installation to make by hand, `section.name=value`. */
      readonly settings: readonly string[]
    }
  /** One line for the user. */
  | { readonly kind: 'refused'; readonly reason: string }

export interface ImportAccountOptions {
  readonly store: Store
  readonly clock: Clock
  readonly accounts: AccountAdministration
  readonly keys: KeyAdministration
}

const refused = (reason: string): ImportAccountOutcome => ({ kind: 'refused', reason })

/** Makes or completes an account from a reference client's. The second time changes nothing that the first did. */
export async function importAccount(
  options: ImportAccountOptions,
  request: ImportAccountRequest,
): Promise<ImportAccountOutcome> {
  const config = parseAccountConfig(request.config.reveal())
  const { keyId } = config
  if (keyId === undefined) return refused('config.txt names no key (Keyid): this is no account directory')
  const key = await readOwnSecretKey({
    text: request.secretKey,
    passphrase: request.passphrase,
    nowMs: options.clock.now(),
    isMeant: (certificate) => certificate.keyId === keyId,
    meant: keyId,
  })
  if (key.kind === 'refused') return key
  const { certificate } = key.secretKey
  if (certificate.keyId !== keyId)
    return refused(`the key given is ${certificate.keyId}, but config.txt names ${keyId}: export that one`)
  const address = addressOf(config, certificate)
  if (address === undefined) return refused('the key has no user id with an address')
  const notes: Notes = { taken: [], notTaken: [...config.complaints] }
  const made = await addOrComplete(options, { ...request, config, certificate, address }, notes)
  if (made.kind === 'refused') return made
  const complaint = await applySettings(options, { config, address, isNew: made.isNew }, notes)
  if (complaint !== undefined) return refused(complaint)
  if (request.tokens !== undefined)
    await keepTokens(options, { address, file: parseBypassTokens(request.tokens.reveal()) }, notes)
  const { appPassword } = made
  return { kind: 'ok', address, keyId, appPassword, ...notes, settings: config.settings }
}

interface Notes {
  readonly taken: string[]
  readonly notTaken: string[]
}

/** The address of the config if the key carries it, else of the key's first id in use. */
function addressOf({ emailAddress }: AccountConfig, certificate: Certificate): string | undefined {
  const carried = certificateAddresses(certificate).map(claimAddress)
  for (const userId of [emailAddress, certificate.primaryUserId]) {
    const read = addressOfUserId(userId ?? '')
    const address = read.kind === 'address' ? claimAddress(read.address) : undefined
    if (address !== undefined && carried.includes(address)) return address
  }
  return carried[0]
}

interface NewImport extends Omit<ImportAccountRequest, 'config'> {
  readonly config: AccountConfig
  readonly certificate: Certificate
  readonly address: string
}

type AddedOrComplete =
  | { readonly kind: 'ok'; readonly isNew: boolean; readonly appPassword: Secret<string> | undefined }
  | { readonly kind: 'refused'; readonly reason: string }

async function addOrComplete(
  { store, accounts, keys }: ImportAccountOptions,
  { config, certificate, address, secretKey, passphrase }: NewImport,
  notes: Notes,
): Promise<AddedOrComplete> {
  const here = accountByLogin(store.read, address)
  if (here === undefined) {
    const added = await accounts.add({
      address,
      displayName: nameOf(certificate.primaryUserId ?? ''),
      servers: serversOf(config, notes),
      authKey: config.authKey,
      secretKeyArmor: secretKey,
      passphrase,
    })
    if (added.kind === 'refused') return added
    notes.taken.push('the key and the servers')
    return { kind: 'ok', isNew: true, appPassword: added.appPassword }
  }
  if (here.keyId !== certificate.keyId) {
    const reason = `${address} is an account here with another key, ${here.keyId}: "cmbridge account remove ${address}" first`
    return { kind: 'refused', reason }
  }
  const imported = await keys.importKey({ account: address, text: secretKey, passphrase })
  if (imported.kind === 'no-such-account') throw new Error('the account is gone')
  if (imported.kind === 'refused') return imported
  notes.taken.push(
    imported.isNew ? 'what the key has more than here' : 'nothing of the key: it is here already',
  )
  return { kind: 'ok', isNew: false, appPassword: undefined }
}

/** The part of a user id before the comment and the address; empty when it could not be a name here. */
function nameOf(userId: string): string {
  const name = (userId.split('<')[0] ?? '').replace(/\([^)]*\)/g, '').trim()
  return /[<>\p{Cc}]/u.test(name) || name.includes('@') ? '' : name.slice(0, 200)
}

/**
 * Where the account lives. With Transport "entangled" the mail lies in a network this program does not speak, so its
 * own server stands in (CM message 10.1: EntangledServer is the same list).
 */
function serversOf({ transport, entangledServer }: AccountConfig, notes: Notes): readonly string[] {
  if (transport !== undefined && !transport.isEntangled) return transport.servers
  const servers = entangledServer?.servers ?? []
  if (transport?.isEntangled === true) {
    notes.notTaken.push(
      `Transport "entangled": the account is at ${servers.join(', ') || 'no server'} instead; others learn of it from its next announcement`,
    )
  }
  return servers
}

interface Imported {
  readonly config: AccountConfig
  readonly address: string
  readonly isNew: boolean
}

/** What goes beyond `account add`; returns a complaint when something is refused. */
async function applySettings(
  options: ImportAccountOptions,
  { config, address, isNew }: Imported,
  notes: Notes,
): Promise<string | undefined> {
  const { accounts, clock, store } = options
  // First what was announced before, then what is: so both are in force for a while, as there.
  const steps: readonly ((account: Account) => Settings)[] = [
    (account) => (isNew ? demandOf(account, config.previousMailboxCount, config.previousCostBits) : {}),
    (account) => ({
      ...demandOf(account, config.mailboxCount, config.costBits),
      ...placesOf({ config, address, isNew }, clock.now(), notes),
    }),
  ]
  for (const settingsOf of steps) {
    const account = accountByLogin(store.read, address)
    if (account === undefined) throw new Error('the account is gone')
    const step = settingsOf(account)
    if (Object.values(step).every((value) => value === undefined)) continue
    const outcome = await accounts.set({ account: address, ...step })
    if (outcome.kind === 'no-such-account') throw new Error('the account is gone')
    if (outcome.kind === 'refused') return outcome.reason
  }
  if (config.mailboxCount !== undefined || config.costBits !== undefined)
    notes.taken.push('mailboxes and cost; those of before are in force for twelve days more')
  return undefined
}

type Settings = Omit<AccountSettingsRequest, 'account'>

/** Undefined where nothing changes, so that the second time ends nothing that runs. */
function demandOf(
  { network }: Account,
  mailboxCount: number | undefined,
  costBits: number | undefined,
): Settings {
  return {
    mailboxCount: mailboxCount === network.mailboxCount ? undefined : mailboxCount,
    costBits: costBits === network.costBits ? undefined : costBits,
  }
}

function placesOf({ config, isNew }: Imported, nowMs: number, notes: Notes): Settings {
  const { oldTransport, endPollOldDate, publishTransport, usesBypassTokens, syncsFolders } = config
  const oldServers = oldTransport?.servers ?? []
  // Without a day it is the usual time from now on, once.
  const isOldInForce =
    endPollOldDate === undefined ? isNew : endPollOldDate >= formatUtcTime(nowMs).slice(0, 10)
  const publishServers = publishTransport?.servers ?? []
  if (oldServers.length > 0)
    (isOldInForce ? notes.taken : notes.notTaken).push(
      `the old server ${oldServers.join(', ')}${isOldInForce ? '' : `: its time ended ${endPollOldDate}`}`,
    )
  if (publishServers.length > 0) notes.taken.push(`the key server ${publishServers.join(', ')}`)
  if (syncsFolders === true)
    notes.taken.push('folder sync: what other clients read, delete or move is applied')
  return {
    usesBypassTokens,
    appliesFolderSync: syncsFolders,
    ...(oldServers.length > 0 && isOldInForce
      ? { oldServers, oldAuthKey: config.oldAuthKey ?? null, oldUntil: endPollOldDate }
      : {}),
    ...(publishServers.length > 0 ? { publishServers, publishAuthKey: config.publishAuthKey ?? null } : {}),
  }
}

async function keepTokens(
  { store, clock }: ImportAccountOptions,
  { address, file }: { readonly address: string; readonly file: BypassTokensFile },
  notes: Notes,
): Promise<void> {
  const account = accountByLogin(store.read, address)
  if (account === undefined) throw new Error('the account is gone')
  const now = formatUtcTime(clock.now())
  const secrets = file.tokens.flatMap((token): NewBypassSecret[] => {
    // The begin of one we gave decides what we announce; that of one we got says nothing (CM message 4.4).
    if (token.created === undefined && token.direction === 'issued') return []
    const { direction, keyId, created = now, expires } = token
    return [{ direction, keyId, secret: Buffer.from(token.secret, 'hex'), created, expires }]
  })
  await store.write('keepBypassSecrets', { accountId: account.id, secrets })
  notes.taken.push(`${secrets.length} bypass tokens`)
  const lost = file.tokens.length - secrets.length
  if (lost > 0) notes.notTaken.push(`${lost} bypass tokens without a date`)
  if (file.unreadableLines.length > 0)
    notes.notTaken.push(
      `bypass_tokens.txt, lines that cannot be read: ${file.unreadableLines.slice(0, 20).join(', ')}`,
    )
}
