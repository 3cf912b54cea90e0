import type { LoadedPeers, PeerStore, RegistrySnapshot } from '../../src/contracts/peer-store.js'

/** A peer store in memory, whose every call goes as the test says. */
export class TestPeerStore implements PeerStore {
  stored: RegistrySnapshot | undefined
  damage: LoadedPeers['damage']
  readonly calls: ('load' | 'save')[] = []
  maxAtOnce = 0
  /** What a call waits for before it does its work. */
  before: (call: 'load' | 'save') => Promise<void> = () => Promise.resolve()
  #atOnce = 0

  load(): Promise<LoadedPeers> {
    return this.#call('load', () => ({
      snapshot: this.stored,
      ...(this.damage && { damage: this.damage }),
    }))
  }

  save(snapshot: RegistrySnapshot): Promise<void> {
    return this.#call('save', () => {
      this.stored = structuredClone(snapshot)
    })
  }

  get savedHosts(): string[] {
    return (this.stored?.peers ?? []).map(({ host }) => host)
  }

  async #call<T>(name: 'load' | 'save', work: () => T): Promise<T> {
    this.calls.push(name)
    this.#atOnce += 1
    this.maxAtOnce = Math.max(this.maxAtOnce, this.#atOnce)
    try {
      await this.before(name)
      return work()
    } finally {
      this.#atOnce -= 1
    }
  }
}
