import { subnetOf, type SubnetBits } from '../rules/ip-range.js'
import type { PeerIp } from '../rules/peer-ip.js'

/** How many of something there are, over all and by the subnet of their address. */
export class SubnetCounts {
  readonly #bits: SubnetBits
  readonly #counts = new Map<string, number>()
  total = 0

  constructor(bits: SubnetBits) {
    this.#bits = bits
  }

  of(subnet: string): number {
    return this.#counts.get(subnet) ?? 0
  }

  add(ip: PeerIp): void {
    this.#change(ip, 1)
  }

  remove(ip: PeerIp): void {
    this.#change(ip, -1)
  }

  #change(ip: PeerIp, by: number): void {
    const subnet = subnetOf(ip, this.#bits)
    const count = this.of(subnet) + by
    if (count === 0) this.#counts.delete(subnet)
    else this.#counts.set(subnet, count)
    this.total += by
  }
}
