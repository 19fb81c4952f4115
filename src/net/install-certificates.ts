import { mkdir, open, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import {
  authorityNames,
  type CertifiedKey,
  createAuthority,
  createCmServerCertificate,
  createLeaf,
  leafNeedsRenewal,
  parseCertificateName,
} from './certificates.ts'

/** Names every leaf carries: what a mail program on this machine is pointed at. */
const LOCAL_NAMES = ['localhost', '127.0.0.1', '::1']

/** The certificates of one installation, as files and ready to use. */
export interface InstallCertificates {
  /** What the owner imports into a mail program. */
  readonly authorityFile: string
  readonly authorityPem: string
  /** Leaf and authority, and the leaf's key: for our listeners. */
  readonly leaf: CertifiedKey
  /** `authority-replaced`: a new name, so the owner must import the authority again. */
  readonly change: 'none' | 'created' | 'leaf-renewed' | 'authority-replaced'
}

/**
 * Loads the authority and the leaf of an installation from `directory`, making or renewing what is missing, ends
 * within 60 days or does not fit the names. Files: `ca.pem`, `ca.key`, `server.pem`, `server.key` (keys 0600).
 * `extraNames` are host names and addresses beside localhost; those no certificate can carry are refused with an error
 * that names them. A damaged file is an error, never silently replaced.
 * Source: design 6.
 */
export async function loadInstallCertificates(
  directory: string,
  options: { readonly hostName: string; readonly extraNames: readonly string[]; readonly nowMs: number },
): Promise<InstallCertificates> {
  const { nowMs } = options
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const authorityFile = join(directory, 'ca.pem')
  const oldAuthority = await loadPair(authorityFile, join(directory, 'ca.key'))
  const oldLeaf = await loadPair(join(directory, 'server.pem'), join(directory, 'server.key'))
  const needed = neededNames(options.extraNames)
  const hostName = parseCertificateName(options.hostName)
  const allowed = oldAuthority === undefined ? [] : authorityNames(oldAuthority.certificatePem, nowMs)
  const keepAuthority = oldAuthority !== undefined && needed.every((name) => allowed.includes(name))
  // A laptop's host name changes with the network: that must not cost the owner a new import into every program.
  const withHostName =
    hostName !== undefined && (!keepAuthority || allowed.includes(hostName)) ? [hostName] : []
  const names = [...new Set([...needed, ...withHostName])]
  const authority = keepAuthority
    ? oldAuthority
    : await createAuthority({ names, label: options.hostName, nowMs })
  if (!keepAuthority) await savePair(authority, authorityFile, join(directory, 'ca.key'))
  const result = { authorityFile, authorityPem: authority.certificatePem }
  if (keepAuthority && oldLeaf !== undefined && !leafNeedsRenewal(oldLeaf.certificatePem, { names, nowMs })) {
    return { ...result, leaf: oldLeaf, change: 'none' }
  }
  const leaf = await createLeaf({
    authority,
    names,
    nowMs,
    ...(oldLeaf === undefined ? {} : { privateKeyPem: oldLeaf.privateKeyPem }),
  })
  await savePair(leaf, join(directory, 'server.pem'), join(directory, 'server.key'))
  if (oldAuthority === undefined) return { ...result, leaf, change: 'created' }
  return { ...result, leaf, change: keepAuthority ? 'leaf-renewed' : 'authority-replaced' }
}

/**
 * Loads the CM server's certificate from `cm-server.pem` and `cm-server.key` in `directory`, making it the first time.
 * It is never renewed by itself: every client remembers it (CM wire 8.4).
 */
export async function loadCmServerCertificate(
  directory: string,
  options: { readonly names: readonly string[]; readonly nowMs: number },
): Promise<CertifiedKey> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const certificateFile = join(directory, 'cm-server.pem')
  const keyFile = join(directory, 'cm-server.key')
  const old = await loadPair(certificateFile, keyFile)
  if (old !== undefined) return old
  const names = options.names.map(parseCertificateName).filter((name) => name !== undefined)
  const created = await createCmServerCertificate({ names, nowMs: options.nowMs })
  await savePair(created, certificateFile, keyFile)
  return created
}

function neededNames(extraNames: readonly string[]): string[] {
  const bad = extraNames.filter((name) => parseCertificateName(name) === undefined)
  if (bad.length > 0) {
    throw new Error(`not a host name or IP address, so no certificate can carry it: ${bad.join(', ')}`)
  }
  return [...LOCAL_NAMES, ...extraNames].map(parseCertificateName).filter((name) => name !== undefined)
}

async function loadPair(certificateFile: string, keyFile: string): Promise<CertifiedKey | undefined> {
  const certificatePem = await readIfThere(certificateFile)
  const privateKeyPem = await readIfThere(keyFile)
  if (certificatePem === undefined && privateKeyPem === undefined) return undefined
  // The key is written first: a key alone is a first start that was cut off, and nobody knows its certificate yet.
  if (certificatePem === undefined) return undefined
  if (privateKeyPem === undefined) {
    throw new Error(`${keyFile} is missing but ${certificateFile} is there: restore it, or remove both`)
  }
  return { certificatePem, privateKeyPem }
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** Key first, then certificate, each durable under its final name before the next. */
async function savePair(pair: CertifiedKey, certificateFile: string, keyFile: string): Promise<void> {
  await replaceFile(keyFile, pair.privateKeyPem, 0o600)
  await replaceFile(certificateFile, pair.certificatePem, 0o644)
}

async function replaceFile(path: string, text: string, mode: number): Promise<void> {
  const temporary = `${path}.new`
  const file = await open(temporary, 'w', mode)
  try {
    await file.chmod(mode)
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(temporary, path)
}
