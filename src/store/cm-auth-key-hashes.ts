import { createHmac, scrypt } from 'node:crypto'

/** scrypt cost: some 10 ms, so that a list of a thousand keys loads in seconds and guessing stays slow. */
const SCRYPT_COST = 4096
const HASH_BYTES = 32
/** Keys hashed side by side: the thread pool has four threads, and the disk needs some of them (CM wire S9). */
const MAX_HASHING = 2
/** Good keys whose hash is remembered, some 100 octets each: more people than one server has. */
const MAX_REMEMBERED = 10_000
const MEMORY_KEY_BYTES = 32

/**
 * Hashes the auth keys of a CM server: scrypt, a few at a time, however many connections log in. The hash of a key that
 * was good is remembered under a fast one with a random secret of this process, so that who comes again costs nothing.
 */
export class AuthKeyHashes {
  readonly #salt: Uint8Array
  readonly #memoryKey: Uint8Array
  readonly #remembered = new Map<string, Uint8Array>()
  readonly #waiting: (() => void)[] = []
  #hashing = 0

  constructor(salt: Uint8Array, randomBytes: (count: number) => Uint8Array) {
    this.#salt = salt
    this.#memoryKey = randomBytes(MEMORY_KEY_BYTES)
  }

  async of(authKey: string): Promise<Uint8Array> {
    const remembered = this.remembered(authKey)
    if (remembered !== undefined) return remembered
    if (this.#hashing >= MAX_HASHING) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    else this.#hashing += 1
    try {
      return await this.#scrypt(authKey)
    } finally {
      const next = this.#waiting.shift()
      if (next === undefined) this.#hashing -= 1
      else next()
    }
  }

  /** The hash of a key that `remember` was called for; undefined for every other. */
  remembered(authKey: string): Uint8Array | undefined {
    return this.#remembered.get(this.#memoryName(authKey))
  }

  /** For keys that are good; the longest remembered one gives way. */
  remember(authKey: string, hash: Uint8Array): void {
    const name = this.#memoryName(authKey)
    if (this.#remembered.has(name)) return
    this.#remembered.set(name, hash)
    if (this.#remembered.size <= MAX_REMEMBERED) return
    for (const oldest of this.#remembered.keys()) {
      this.#remembered.delete(oldest)
      return
    }
  }

  #memoryName(authKey: string): string {
    return createHmac('sha256', this.#memoryKey).update(authKey).digest('base64')
  }

  #scrypt(authKey: string): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      scrypt(authKey, this.#salt, HASH_BYTES, { N: SCRYPT_COST }, (error, hash) => {
        if (error === null) resolve(hash)
        else reject(error)
      })
    })
  }
}
