import { type Clock, duration } from '../../base/clock.ts'

/** What one network may do before it has to wait (CM wire S9); a household behind one address stays far below. */
const QUOTAS = {
  /** Connections: a client opens a handful for each look at its mail. */
  connections: { burst: 200, perSecond: 5 },
  /** Refused LOGINs: each costs us some 10 ms of hashing. A program with an old key asks once a minute. */
  refusedLogins: { burst: 30, perSecond: 0.1 },
} as const

/** Refused connections that are told BUSY at a time: each may take its few seconds to close, and holds a place. */
const MAX_EXPLAINED = 32
/** Networks that are remembered; the one that came first goes first. */
const MAX_NETWORKS = 10_000

type Quota = keyof typeof QUOTAS

interface Network {
  open: number
  readonly left: Record<Quota, number>
  atMs: number
}

/**
 * Who may connect and log in how often, by IPv4 address or IPv6 network of 64 bits. Loopback is free: there stand the
 * proxies of `.onion` and `.i2p` names with all their users, and the owner's own programs. In memory only.
 */
export class AddressQuotas {
  readonly #networks = new Map<string, Network>()
  readonly #clock: Clock
  readonly #maxOpen: number
  #explaining = 0

  /** `maxOpen`: connections one network may have open. */
  constructor(clock: Clock, maxOpen: number) {
    this.#clock = clock
    this.#maxOpen = maxOpen
  }

  /** A place for a connection, with what gives it back; undefined when there is none for this address. */
  enter(address: string): (() => void) | undefined {
    if (isLoopback(address)) return () => undefined
    const network = this.#network(address)
    if (network.open >= this.#maxOpen || network.left.connections < 1) return undefined
    network.left.connections -= 1
    network.open += 1
    return () => {
      network.open -= 1
    }
  }

  /** Tells a refused connection so, unless too many are being told already. */
  async explain(tell: () => Promise<void>): Promise<void> {
    if (this.#explaining >= MAX_EXPLAINED) return
    this.#explaining += 1
    try {
      await tell()
    } finally {
      this.#explaining -= 1
    }
  }

  /** False: this address was refused so often that only keys known to be good are looked at. */
  mayGuess(address: string): boolean {
    return isLoopback(address) || this.#network(address).left.refusedLogins >= 1
  }

  noteRefusedLogin(address: string): void {
    if (isLoopback(address)) return
    const { left } = this.#network(address)
    left.refusedLogins = Math.max(0, left.refusedLogins - 1)
  }

  #network(address: string): Network {
    const name = networkOf(address)
    const nowMs = this.#clock.now()
    const network = this.#networks.get(name) ?? this.#add(name, nowMs)
    const seconds = Math.max(0, nowMs - network.atMs) / duration.second
    for (const quota of ['connections', 'refusedLogins'] as const) {
      const { burst, perSecond } = QUOTAS[quota]
      network.left[quota] = Math.min(burst, network.left[quota] + seconds * perSecond)
    }
    network.atMs = nowMs
    return network
  }

  #add(name: string, nowMs: number): Network {
    if (this.#networks.size >= MAX_NETWORKS) this.#forgetOne()
    const { connections, refusedLogins } = QUOTAS
    const left = { connections: connections.burst, refusedLogins: refusedLogins.burst }
    const network = { open: 0, left, atMs: nowMs }
    this.#networks.set(name, network)
    return network
  }

  /** The oldest without a connection; those with one are no more than the server has places. */
  #forgetOne(): void {
    for (const [name, { open }] of this.#networks) {
      if (open > 0) continue
      this.#networks.delete(name)
      return
    }
  }
}

function isLoopback(address: string): boolean {
  return address === '::1' || /^127\.\d+\.\d+\.\d+$/.test(address)
}

/** The address itself, or the first 64 bits of an IPv6 one: a household has all the rest. */
function networkOf(address: string): string {
  if (!address.includes(':')) return address
  const [head = '', tail] = address.replace(/%.*$/, '').split('::')
  const groups = (part: string): string[] => part.split(':').filter((group) => group !== '')
  const first = groups(head)
  const last = tail === undefined ? [] : groups(tail)
  const zeros = Array.from({ length: Math.max(0, 8 - first.length - last.length) }, () => '0')
  return [...first, ...zeros, ...last].slice(0, 4).join(':')
}
