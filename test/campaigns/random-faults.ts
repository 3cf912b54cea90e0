import type { Fault } from '../../src/testing/network-faults.js'
import type { SeededRandom } from '../../src/testing/seeded-random.js'
import type { Member, Mesh } from './mesh.js'

const minute = 60_000

export type FaultName =
  | 'reset'
  | 'black hole'
  | 'black-holed connection'
  | 'partition'
  | 'crash'
  | 'silent crash'
  | 'freeze'
  | 'one-way reachability'
  | 'dials without answer'

const names: readonly FaultName[] = [
  'reset',
  'black hole',
  'black-holed connection',
  'partition',
  'crash',
  'silent crash',
  'freeze',
  'one-way reachability',
  'dials without answer',
]

/** Breaks a mesh at random for a while, and mends everything at the end of it. */
export class RandomFaults {
  readonly counts: Partial<Record<FaultName, number>> = {}
  readonly #mesh: Mesh
  readonly #dice: SeededRandom
  #endMs = 0

  constructor(mesh: Mesh) {
    this.#mesh = mesh
    this.#dice = mesh.fork()
  }

  async run(forMs: number): Promise<void> {
    const mesh = this.#mesh
    const { clock, faults } = mesh.network
    this.#endMs = mesh.nowMs + forMs
    for (;;) {
      const gapMs = this.#dice.integer(0, 2.5 * minute)
      if (mesh.nowMs + gapMs >= this.#endMs) break
      await clock.advance(gapMs)
      mesh.throwIfFailed()
      for (const member of mesh.members) member.forget()
      const name = this.#dice.pick(names)
      if (this.#inflict(name)) this.counts[name] = (this.counts[name] ?? 0) + 1
    }
    await clock.advance(this.#endMs - mesh.nowMs)
    faults.heal()
    for (const member of mesh.members) member.restart()
    mesh.faultsEnded()
    mesh.throwIfFailed()
  }

  /** False when there was nothing to break. */
  #inflict(name: FaultName): boolean {
    const { network } = this.#mesh
    const { faults } = network
    const [a, b] = this.#pair()
    const flow = { from: a.host, to: b.host }
    const connections = network.connections(a.host, b.host)
    switch (name) {
      case 'reset':
        for (const { id } of connections) {
          network.reset(id, { diallerAfterMs: this.#late(), acceptorAfterMs: this.#late() })
        }
        return connections.length > 0
      case 'black hole':
        this.#for(10 * minute, faults.blackHole(this.#dice.next() < 0.3 ? { from: a.host } : flow))
        return true
      case 'black-holed connection':
        for (const { id } of connections) {
          this.#for(10 * minute, faults.blackHoleConnection(id, this.#dice.pick(sides)))
        }
        return connections.length > 0
      case 'partition':
        this.#for(10 * minute, faults.partition(...this.#groups()))
        return true
      case 'crash':
      case 'silent crash':
        if (a.isDown) return false
        a.crash({ silently: name === 'silent crash' })
        network.clock.setTimer(this.#upTo(10 * minute), () => {
          a.restart()
        })
        return true
      case 'freeze':
        a.freeze(this.#upTo(5 * minute))
        return true
      case 'one-way reachability':
        this.#for(120 * minute, faults.refuseDials(flow))
        return true
      case 'dials without answer':
        this.#for(30 * minute, faults.holdDials(flow))
        return true
      default:
        return name satisfies never
    }
  }

  #pair(): [Member, Member] {
    const { members } = this.#mesh
    const a = this.#dice.pick(members)
    const b = this.#dice.pick(members.filter((member) => member !== a))
    return [a, b]
  }

  #groups(): [string[], string[]] {
    const hosts = this.#mesh.members.map(({ host }) => host)
    const inner = hosts.filter(() => this.#dice.next() < 0.5)
    return [inner, hosts.filter((host) => !inner.includes(host))]
  }

  #for(maxMs: number, fault: Fault): void {
    this.#mesh.network.clock.setTimer(this.#upTo(maxMs), () => {
      fault.heal()
    })
  }

  /** From a moment to `maxMs`, short ones as likely as long ones, and never beyond the end. */
  #upTo(maxMs: number): number {
    const ms = Math.floor(100 * (maxMs / 100) ** this.#dice.next())
    return Math.min(ms, this.#endMs - this.#mesh.nowMs)
  }

  /** When an end sees a reset: at once, or later. */
  #late(): number {
    return this.#dice.next() < 0.5 ? 0 : this.#upTo(8_000)
  }
}

const sides = ['dialler', 'acceptor', undefined] as const
