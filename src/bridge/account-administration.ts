import { claimAddress, isAddress } from '../cm/address.ts'
import type { KeyId } from '../cm/ids.ts'
import { generateKey } from '../cm/openpgp/secret-keys.ts'
import type { SecretKey } from '../cm/secret-key.ts'
import { accountByLogin, loadAuthKey } from '../store/account-queries.ts'
import { createAccount, type NewAccount, type NewAccountOutcome } from '../store/accounts.ts'
import type { AccountId } from '../store/ids.ts'
import type { DueWork } from '../store/work-rows.ts'
import { addPassword, revokePassword } from './account-passwords.ts'
import { MAIL_PLACES } from './account-places.ts'
import { authKeyComplaint, displayNameComplaint, serversComplaint, setAccount } from './account-settings.ts'
import type {
  AccountAdministration,
  AddAccountOutcome,
  BridgeOptions,
  NewAccountRequest,
  RemoveAccountOutcome,
} from './bridge.ts'
import { givenAuthKey, withdrawAuthKey } from './own-cm-server.ts'
import { carriesAddress, keyComplaint, type OwnSecretKeyOutcome, readOwnSecretKey } from './own-secret-key.ts'

export interface AccountAdministrationOptions
  extends Pick<BridgeOptions, 'store' | 'clock' | 'randomBytes' | 'log' | 'ownCmServer'> {
  /** The running bridge starts to serve a new account at once; without one it does at its next start. */
  readonly onAdded?: (accountId: AccountId) => Promise<void>
  /** Rows that became due because settings changed. */
  readonly onDue?: (due: readonly DueWork[]) => void
}

/** The first password of an account has this name until the owner makes others. */
const FIRST_PASSWORD_NAME = 'first'

/** The functions behind the verbs that change accounts, with and without a running bridge. */
export function createAccountAdministration(options: AccountAdministrationOptions): AccountAdministration {
  return {
    add: (request) => addAccount(options, request),
    remove: (account) => removeAccount(options, account),
    set: (request) => setAccount(options, request),
    addPassword: (request) => addPassword(options, request),
    revokePassword: (account, name) => revokePassword(options, account, name),
  }
}

async function addAccount(
  options: AccountAdministrationOptions,
  request: NewAccountRequest,
): Promise<AddAccountOutcome> {
  const complaint = complaintAbout(request)
  if (complaint !== undefined) return { kind: 'refused', reason: complaint }
  const address = claimAddress(request.address)
  const key = await secretKeyOf(options, { ...request, address })
  if (key.kind === 'refused') return key
  const { keyId } = key.secretKey.certificate
  const { servers } = request
  const { ownCmServer } = options
  const authKey = await givenAuthKey(ownCmServer, {
    keyId,
    servers,
    formerServers: [],
    authKey: request.authKey,
  })
  const account = { ...request, address, authKey: authKey ?? undefined }
  const outcome = await storeAccount(options, account, key.secretKey)
  if (outcome.kind === 'already-exists') {
    const isMade = account.authKey !== request.authKey
    if (ownCmServer && account.authKey && isMade) await withdrawAuthKey(ownCmServer, account.authKey)
    return { kind: 'refused', reason: alreadyThere(outcome.what, address, keyId) }
  }
  await options.onAdded?.(outcome.accountId)
  options.log.debug({ accountId: outcome.accountId, address }, 'an account was added')
  const { appPassword } = outcome
  return { kind: 'ok', address, keyId, appPassword, hasAuthKey: account.authKey !== undefined }
}

async function removeAccount(
  { store, ownCmServer }: AccountAdministrationOptions,
  account: string,
): Promise<RemoveAccountOutcome> {
  const found = accountByLogin(store.read, account)
  if (found === undefined) return { kind: 'no-such-account' }
  const keys = MAIL_PLACES.map((place) => loadAuthKey(store.read, found.id, place))
  const removed = await store.write('removeAccount', { accountId: found.id })
  const servers = [...found.servers, ...(found.network.old?.servers ?? [])]
  if (ownCmServer !== undefined && servers.some((server) => ownCmServer.isAt(server))) {
    for (const key of keys) if (key !== undefined) await withdrawAuthKey(ownCmServer, key)
  }
  return removed ? { kind: 'ok' } : { kind: 'no-such-account' }
}

/** What is wrong with a request, for the user; undefined when nothing is. */
function complaintAbout({ address, displayName, servers, authKey }: NewAccountRequest): string | undefined {
  if (!isAddress(address)) return `${JSON.stringify(address)} is no address: give one like alice@example.org`
  return displayNameComplaint(displayName) ?? serversComplaint(servers) ?? authKeyComplaint(authKey)
}

/** The key that was given, if it fits the address; else a new one. */
async function secretKeyOf(
  { clock }: AccountAdministrationOptions,
  { address, displayName, secretKeyArmor, passphrase }: NewAccountRequest,
): Promise<OwnSecretKeyOutcome> {
  const nowMs = clock.now()
  if (secretKeyArmor === undefined) {
    return { kind: 'ok', secretKey: await generateKey({ name: displayName, address, nowMs }) }
  }
  const given = await readOwnSecretKey({
    text: secretKeyArmor,
    passphrase,
    nowMs,
    isMeant: (certificate) => carriesAddress(certificate, address),
    meant: `that of ${address}`,
  })
  if (given.kind === 'refused') return given
  const complaint = await keyComplaint(given.secretKey, { address, nowMs })
  return complaint === undefined ? given : { kind: 'refused', reason: complaint }
}

/** The short name is the local part; whoever comes second with it has none but the address. */
async function storeAccount(
  { store, randomBytes }: AccountAdministrationOptions,
  request: NewAccountRequest,
  secretKey: SecretKey,
): Promise<NewAccountOutcome> {
  const { address, displayName, servers, authKey } = request
  const account: NewAccount = {
    address,
    displayName,
    keyId: secretKey.certificate.keyId,
    servers,
    secretKey: secretKey.armored,
    appPasswordName: FIRST_PASSWORD_NAME,
    ...(authKey === undefined ? {} : { authKey }),
  }
  const shortName = address.slice(0, address.lastIndexOf('@'))
  const outcome = await createAccount(store, { ...account, shortName }, randomBytes)
  const isShortNameTaken = outcome.kind === 'already-exists' && outcome.what === 'short name'
  return isShortNameTaken ? await createAccount(store, account, randomBytes) : outcome
}

function alreadyThere(what: 'address' | 'short name' | 'key', address: string, keyId: KeyId): string {
  if (what === 'key')
    return `the key ${keyId} belongs to another account here: an account needs a key of its own`
  return `${address} is an account here already: "cmbridge account remove ${address}" removes it with its mail`
}
