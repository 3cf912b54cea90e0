import type { Latency, LinkSide } from '../adapters/memory.js'
import {
  describeFlow,
  describeHosts,
  type FaultEffect,
  type FaultSet,
  type Flow,
} from './fault-set.js'

/** A fault that is in force until it is healed. */
export interface Fault {
  /** What it does, as the timeline tells it. */
  readonly text: string
  /** Ends it: what it held goes on its way again. Idempotent. */
  heal(): void
}

/**
 * What can be wrong with a simulated network. Each fault is in force from the call to its `heal()`;
 * of several that set the same thing, the latest counts.
 */
export class NetworkFaults {
  readonly #effects: FaultSet
  readonly #note: (text: string) => void
  readonly #release: () => void
  readonly #active = new Set<Fault>()

  /** `release` is called whenever something that was held may pass again. */
  constructor(effects: FaultSet, note: (text: string) => void, release: () => void) {
    this.#effects = effects
    this.#note = note
    this.#release = release
  }

  /** Nobody listens there, as far as `from` can tell. Connections that exist go on. */
  refuseDials(flow: Flow): Fault {
    return this.#inflict({ kind: 'refuse-dials', flow }, `dials ${describeFlow(flow)} are refused`)
  }

  /** Dials get no answer; when that is healed while they still wait, they succeed late. */
  holdDials(flow: Flow): Fault {
    return this.#inflict({ kind: 'hold-dials', flow }, `dials ${describeFlow(flow)} get no answer`)
  }

  /** Dials take `ms` longer each way. */
  delayDials(flow: Flow, ms: number): Fault {
    const text = `dials ${describeFlow(flow)} take ${ms} ms longer`
    return this.#inflict({ kind: 'delay-dials', flow, ms }, text)
  }

  /** Nothing gets through in this direction, of connections or dials, and nobody is told. */
  blackHole(flow: Flow): Fault {
    return this.#inflict({ kind: 'black-hole', flow }, `nothing passes ${describeFlow(flow)}`)
  }

  /** The same for a single connection: both ways, or only what one of its ends sends. */
  blackHoleConnection(id: number, from?: LinkSide): Fault {
    const sides: LinkSide[] = from === undefined ? ['dialler', 'acceptor'] : [from]
    const holes = sides.map((side) =>
      this.#inflict(
        { kind: 'black-hole-connection', id, side },
        `nothing passes on #${id} from its ${side}`,
      ),
    )
    return {
      text: holes.map(({ text }) => text).join('; '),
      heal: () => {
        for (const hole of holes) hole.heal()
      },
    }
  }

  /** Separates the groups from each other, in both directions. A host of no group reaches all. */
  partition(...groups: readonly (readonly string[])[]): Fault {
    const text = `partition: ${groups.map(describeHosts).join(' | ')}`
    return this.#inflict({ kind: 'partition', groups }, text)
  }

  /** Gives the traffic of a flow a latency of its own, until the fault is healed. */
  setLatency(flow: Flow, latency: Latency): Fault {
    const text = `latency ${describeFlow(flow)} is changed`
    return this.#inflict({ kind: 'latency', flow, latency }, text)
  }

  /** Of each ordered pair of hosts that `flow` names, all its connections together. */
  limitBandwidth(flow: Flow, bytesPerSecond: number): Fault {
    if (!(bytesPerSecond > 0)) {
      throw new RangeError(`bytesPerSecond must be more than 0, not ${bytesPerSecond}`)
    }
    const text = `${describeFlow(flow)} carries ${bytesPerSecond} bytes/s`
    return this.#inflict({ kind: 'bandwidth', flow, bytesPerMs: bytesPerSecond / 1000 }, text)
  }

  /** Ends every fault. */
  heal(): void {
    for (const fault of [...this.#active]) fault.heal()
  }

  #inflict(effect: FaultEffect, text: string): Fault {
    this.#note(text)
    this.#effects.add(effect)
    const fault: Fault = {
      text,
      heal: () => {
        if (!this.#effects.remove(effect)) return
        this.#active.delete(fault)
        this.#note(`healed: ${text}`)
        this.#release()
      },
    }
    this.#active.add(fault)
    return fault
  }
}
