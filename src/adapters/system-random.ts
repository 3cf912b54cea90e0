import type { Random } from '../contracts/random.js'

/** The system is asked for so many bytes at a time, because each call costs more than what it brings. */
const poolBytes = 4_096

/** The system's cryptographic generator (Web Crypto). Works in Node.js and in browsers. */
export class SystemRandom implements Random {
  #pool = new Uint8Array(0)
  #used = 0

  next(): number {
    const bytes = this.bytes(7)
    // 53 bits, as many as a number below 1 has.
    const value = bytes.reduce(
      (sum, byte, index) => sum * 256 + (index === 0 ? byte & 31 : byte),
      0,
    )
    return value / 2 ** 53
  }

  bytes(length: number): Uint8Array {
    if (length > poolBytes) return crypto.getRandomValues(new Uint8Array(length))
    if (this.#used + length > this.#pool.length) {
      this.#pool = crypto.getRandomValues(new Uint8Array(poolBytes))
      this.#used = 0
    }
    const bytes = this.#pool.slice(this.#used, this.#used + length)
    // What was given away is nobody else's.
    this.#pool.fill(0, this.#used, this.#used + length)
    this.#used += length
    return bytes
  }
}
