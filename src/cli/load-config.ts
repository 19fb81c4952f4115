import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { type Config, type ConfigIssue, parseConfig } from '../bridge/config.ts'
import { misuse } from './cli-error.ts'
import { JsoncError, parseJsonc } from './jsonc.ts'

/** Settings from their three sources; what comes later wins: file, environment, `--set`. */
export interface ConfigSources {
  /** `--config`; without it `cmbridge.jsonc` in the data directory is read when it is there. */
  readonly configFile: string | undefined
  readonly dataDirectory: string
  readonly environment: Readonly<Record<string, string | undefined>>
  /** `--set KEY=VALUE`, in order. */
  readonly settings: readonly string[]
}

const CONFIG_FILE_NAME = 'cmbridge.jsonc'
/** Octets: a settings file is a page or two. */
const MAX_CONFIG_BYTES = 1024 * 1024
const ENVIRONMENT_PREFIX = 'CMBRIDGE_'
/** Variables of ours that are no settings: read elsewhere, or the launcher's. */
const OTHER_VARIABLES = new Set(['CMBRIDGE_DATA', 'CMBRIDGE_CONFIG', 'CMBRIDGE_GATEWAY_KEY_FILE'])

type Section = Record<string, unknown>
type Sections = Record<string, Section>
/** Where a setting was given, for the error message. */
type Origins = Map<string, string>

/** Reads and checks all settings. Throws a CliError that names each wrong one with its value, source and fix. */
export function loadConfig(sources: ConfigSources): Config {
  const given: Sections = {}
  const origins: Origins = new Map()
  const fileName = readConfigFile(sources, given)
  for (const [key, text, origin] of overrides(sources)) {
    const [section = '', name = ''] = key.split('.')
    given[section] = { ...given[section], [name]: typedValue(key, text) }
    origins.set(key, origin)
  }
  const outcome = parseConfig(given)
  if (outcome.kind === 'ok') return outcome.config
  throw misuse(outcome.issues.map((issue) => line(issue, origins, fileName)).join('\n'))
}

/** The variable that gives a setting: `smtp.tlsPort` is `CMBRIDGE_SMTP_TLS_PORT`. */
export function environmentName(key: string): string {
  return ENVIRONMENT_PREFIX + key.replace(/[A-Z]/g, '_$&').replace('.', '_').toUpperCase()
}

function readConfigFile({ configFile, dataDirectory }: ConfigSources, into: Sections): string {
  const path = configFile ?? join(dataDirectory, CONFIG_FILE_NAME)
  const text = readIfThere(path)
  if (text === undefined) {
    if (configFile !== undefined) throw misuse(`${path}: no such settings file`)
    return path
  }
  try {
    const parsed = parseJsonc(text)
    if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
      throw misuse(`${path}: the settings must be one object { … }`)
    }
    Object.assign(into, parsed)
  } catch (error) {
    if (error instanceof JsoncError) throw misuse(`${path}: ${error.message}`)
    throw error
  }
  return path
}

function readIfThere(path: string): string | undefined {
  const found = statSync(path, { throwIfNoEntry: false })
  if (found === undefined) return undefined
  if (!found.isFile()) throw misuse(`${path}: not a file`)
  if (found.size > MAX_CONFIG_BYTES) throw misuse(`${path}: too long for a settings file`)
  return readFileSync(path, 'utf8')
}

function overrides({ environment, settings }: ConfigSources): [key: string, text: string, origin: string][] {
  const found: [string, string, string][] = []
  const keys = new Map(settingKeys().map((key) => [environmentName(key), key]))
  for (const [variable, text] of Object.entries(environment)) {
    if (!variable.startsWith(ENVIRONMENT_PREFIX) || text === undefined || OTHER_VARIABLES.has(variable))
      continue
    const key = keys.get(variable)
    if (key === undefined) {
      throw misuse(`${variable}: there is no such setting; the variables are ${[...keys.keys()].join(' ')}`)
    }
    found.push([key, text, variable])
  }
  for (const setting of settings) {
    const equals = setting.indexOf('=')
    const key = setting.slice(0, equals)
    if (equals < 1 || !/^\w+\.\w+$/.test(key)) {
      throw misuse(`--set ${setting}: give SECTION.NAME=VALUE, such as smtp.port=2525`)
    }
    found.push([key, setting.slice(equals + 1), '--set'])
  }
  return found
}

function settingKeys(): string[] {
  return Object.entries(defaults()).flatMap(([section, values]) =>
    Object.keys(values).map((name) => `${section}.${name}`),
  )
}

function defaults(): Sections {
  const outcome = parseConfig({})
  if (outcome.kind === 'wrong') throw new Error('the defaults are not valid')
  return outcome.config
}

/** Text as the setting's own kind; what does not fit stays text, and the schema says what is wanted. */
function typedValue(key: string, text: string): unknown {
  const [section = '', name = ''] = key.split('.')
  const like = defaults()[section]?.[name]
  if (Array.isArray(like)) return text === '' ? [] : text.split(',').map((item) => item.trim())
  if (typeof like === 'boolean') return text === 'true' ? true : text === 'false' ? false : text
  if (typeof like !== 'number') return text
  if (text === 'off' || text === 'null') return null
  return /^\d+(\.\d+)?$/.test(text) ? Number(text) : text
}

function line(issue: ConfigIssue, origins: Origins, fileName: string): string {
  const origin =
    [...origins].find(([key]) => issue.key === key || issue.key.startsWith(`${key}.`))?.[1] ?? fileName
  return `${issue.key} = ${issue.value} (${origin}): ${issue.fix}`
}
