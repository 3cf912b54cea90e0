import type { Random } from '../contracts/random.js'

/** The system's cryptographic generator (Web Crypto). Works in Node.js and in browsers. */
export class SystemRandom implements Random {
  next(): number {
    const [high = 0, low = 0] = crypto.getRandomValues(new Uint32Array(2))
    return ((high >>> 5) * 2 ** 26 + (low >>> 6)) / 2 ** 53
  }

  bytes(length: number): Uint8Array {
    return crypto.getRandomValues(new Uint8Array(length))
  }
}
