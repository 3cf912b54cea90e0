/** The dynamic ports of RFC 6335, section 6. */
const firstEphemeralPort = 49_152
const lastEphemeralPort = 65_535

/** Which ports of each address are taken. */
export class PortTable {
  readonly #hosts = new Map<string, { readonly taken: Set<number>; next: number }>()

  /** Takes `port`; false when it is taken already. */
  claim(host: string, port: number): boolean {
    const { taken } = this.#host(host)
    if (taken.has(port)) return false
    taken.add(port)
    return true
  }

  /** Takes an ephemeral port, the one that was free longest; undefined when none is left. */
  claimEphemeral(host: string): number | undefined {
    const entry = this.#host(host)
    for (let port = firstEphemeralPort; port <= lastEphemeralPort; port++) {
      const candidate = entry.next
      entry.next = candidate === lastEphemeralPort ? firstEphemeralPort : candidate + 1
      if (this.claim(host, candidate)) return candidate
    }
    return undefined
  }

  free(host: string, port: number): void {
    this.#host(host).taken.delete(port)
  }

  #host(host: string): { readonly taken: Set<number>; next: number } {
    let entry = this.#hosts.get(host)
    if (entry === undefined) {
      entry = { taken: new Set(), next: firstEphemeralPort }
      this.#hosts.set(host, entry)
    }
    return entry
  }
}
