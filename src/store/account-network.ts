import { duration } from '../base/clock.ts'
import type { SealedValue } from './account-operations.ts'

/**
 * The rules by which an account's settings for its network change: others go by what was announced before for a while,
 * so that is kept beside the new (CM message 10.1 `Prev*`, CM wire 8.6). Pure: the writer applies them to a row.
 */

/** How long the former cost, mailboxes and servers count: announcements are refetched weekly, blocks live ten days. */
export const CHANGE_OVER_MS = 12 * duration.day

/** Servers with the auth key for all of them. */
export interface ServerPlace {
  /** HOST:PORT. */
  readonly servers: readonly string[]
  readonly authKey: SealedValue | null
}

/** All server lists of an account. */
export interface AccountServers {
  readonly own: ServerPlace
  readonly old: (ServerPlace & { readonly untilMs: number }) | undefined
  readonly publish: ServerPlace
}

/** What may be given; undefined leaves it as it is. */
export interface ServersChange {
  readonly servers?: readonly string[] | undefined
  readonly authKey?: SealedValue | null | undefined
  /** Instead of those the account leaves with this change; empty: none. */
  readonly oldServers?: readonly string[] | undefined
  readonly oldAuthKey?: SealedValue | null | undefined
  readonly oldUntilMs?: number | undefined
  readonly publishServers?: readonly string[] | undefined
  readonly publishAuthKey?: SealedValue | null | undefined
}

/** Why the servers cannot be changed so. */
export type ServersRefusal =
  /** The new list has no server of the former one: its key must not be shown to strangers. */
  | { readonly kind: 'auth-key-wanted'; readonly place: 'own' | 'old' | 'publish' }
  /** There is mail to come at servers left before; one more list cannot be kept. */
  | { readonly kind: 'old-servers-in-use'; readonly servers: readonly string[]; readonly untilMs: number }
  | { readonly kind: 'no-old-servers' }

/** The servers after a change. A secret only ever goes to a list that shares a server with the one it was for. */
export function changeServers(
  before: AccountServers,
  change: ServersChange,
  nowMs: number,
): { readonly kind: 'ok'; readonly servers: AccountServers } | ServersRefusal {
  const formerOld = before.old !== undefined && before.old.untilMs > nowMs ? before.old : undefined
  const own = changedOwn({ own: before.own, formerOld }, change)
  if (own === undefined) return { kind: 'auth-key-wanted', place: 'own' }
  const publish = changedPublish(before.publish, change)
  if (publish === undefined) return { kind: 'auth-key-wanted', place: 'publish' }
  const left = { ...before.own, servers: without(before.own.servers, own.servers) }
  const remaining = formerOld && { ...formerOld, servers: without(formerOld.servers, own.servers) }
  const place = oldPlace({ left, remaining, own }, change)
  if (place !== undefined && 'kind' in place) return place
  return { kind: 'ok', servers: { own, publish, old: timed(place, change.oldUntilMs, nowMs) } }
}

function changedOwn(
  { own, formerOld }: { readonly own: ServerPlace; readonly formerOld: ServerPlace | undefined },
  { servers, authKey }: ServersChange,
): ServerPlace | undefined {
  if (servers === undefined) return { ...own, authKey: authKey === undefined ? own.authKey : authKey }
  if (authKey === undefined && own.authKey === null) return { servers, authKey: null }
  return placeOf(servers, authKey, [own, formerOld])
}

function changedPublish(
  publish: ServerPlace,
  { publishServers, publishAuthKey }: ServersChange,
): ServerPlace | undefined {
  if (publishServers !== undefined) return placeOf(publishServers, publishAuthKey, [publish])
  return { ...publish, authKey: publishAuthKey === undefined ? publish.authKey : publishAuthKey }
}

/** The list with its key: the one given, else that of a list it shares a server with; undefined when there is none. */
function placeOf(
  servers: readonly string[],
  authKey: SealedValue | null | undefined,
  former: readonly (ServerPlace | undefined)[],
): ServerPlace | undefined {
  if (servers.length === 0) return { servers, authKey: null }
  if (authKey !== undefined) return { servers, authKey }
  const shared = former.find((place) => place !== undefined && sharesServer(place.servers, servers))
  return shared && { servers, authKey: shared.authKey }
}

type OldPlace = ServerPlace & { readonly untilMs?: number }

interface OldParts {
  /** Servers the account leaves with this change. */
  readonly left: ServerPlace
  /** Servers it left before and did not come back to, while they count. */
  readonly remaining: AccountServers['old']
  readonly own: ServerPlace
}

function oldPlace(
  { left, remaining, own }: OldParts,
  { oldServers, oldAuthKey, oldUntilMs }: ServersChange,
): OldPlace | ServersRefusal | undefined {
  if (oldServers !== undefined) {
    const place = placeOf(without(oldServers, own.servers), oldAuthKey, [remaining, left])
    return place ?? { kind: 'auth-key-wanted', place: 'old' }
  }
  const isInUse = remaining !== undefined && remaining.servers.length > 0
  if (left.servers.length > 0 && isInUse) {
    return { kind: 'old-servers-in-use', servers: remaining.servers, untilMs: remaining.untilMs }
  }
  const place: OldPlace | undefined = left.servers.length > 0 ? left : isInUse ? remaining : undefined
  if (place !== undefined) return oldAuthKey === undefined ? place : { ...place, authKey: oldAuthKey }
  return oldUntilMs === undefined && oldAuthKey === undefined ? undefined : { kind: 'no-old-servers' }
}

function timed(
  place: OldPlace | undefined,
  givenUntilMs: number | undefined,
  nowMs: number,
): AccountServers['old'] {
  if (place === undefined) return undefined
  const untilMs = givenUntilMs ?? place.untilMs ?? nowMs + CHANGE_OVER_MS
  return place.servers.length === 0 || untilMs <= nowMs ? undefined : { ...place, untilMs }
}

function without(servers: readonly string[], others: readonly string[]): string[] {
  const names = new Set(others.map((server) => server.toLowerCase()))
  return servers.filter((server) => !names.has(server.toLowerCase()))
}

function sharesServer(a: readonly string[], b: readonly string[]): boolean {
  return without(a, b).length < a.length
}

/** Mailboxes and cost as announced, and what else counts until a date. */
export interface AccountDemand {
  readonly mailboxCount: number
  readonly costBits: number
  readonly previous:
    | { readonly mailboxCount: number; readonly costBits: number; readonly untilMs: number }
    | undefined
}

/**
 * Mailboxes and cost after a change: a raised cost and fewer mailboxes leave the former in force for twelve days; a
 * lowered cost is accepted at once (CM message 10.1).
 */
export function changeDemand(
  before: AccountDemand,
  change: { readonly mailboxCount?: number | undefined; readonly costBits?: number | undefined },
  nowMs: number,
): AccountDemand {
  const mailboxCount = change.mailboxCount ?? before.mailboxCount
  const costBits = change.costBits ?? before.costBits
  const former =
    before.previous !== undefined && before.previous.untilMs > nowMs ? before.previous : undefined
  const previous = {
    mailboxCount: Math.max(former?.mailboxCount ?? 0, before.mailboxCount),
    costBits: Math.min(former?.costBits ?? before.costBits, before.costBits, costBits),
  }
  const isTighter = costBits > before.costBits || mailboxCount < before.mailboxCount
  const untilMs = isTighter ? nowMs + CHANGE_OVER_MS : former?.untilMs
  const isNeeded = previous.costBits < costBits || previous.mailboxCount > mailboxCount
  return {
    mailboxCount,
    costBits,
    previous: untilMs === undefined || !isNeeded ? undefined : { ...previous, untilMs },
  }
}
