import type { Fault } from '../../src/testing/network-faults.js'
import type { SimulatedNetwork } from '../../src/testing/simulated-network.js'
import type { WorldFault } from './coverage.js'
import type { RunningMachine } from './machine.js'
import type { Action, FlowFault } from './script.js'
import type { Touched, Trouble } from './touched.js'

type FaultAction = Extract<
  Action,
  { readonly kind: 'reset' | 'race' | 'crash' | 'freeze' | 'fault' | 'split' }
>

/** Faults under which what exists may end; the others concern dials only. */
const isTrouble: Readonly<Record<FlowFault, boolean>> = {
  holdDials: false,
  refuseDials: false,
  delayDials: false,
  blackHole: true,
  partition: true,
  blackHoleConnection: true,
}

const names: Readonly<Record<FlowFault, WorldFault>> = {
  holdDials: 'dials without answer',
  refuseDials: 'dials refused for a while',
  delayDials: 'slow dials',
  blackHole: 'black hole in one direction',
  partition: 'partition',
  blackHoleConnection: 'black-holed connection',
}

/** A frozen process has to catch up: what it does first afterwards is still the fault's. */
const catchUpMs = 1_000

/** Breaks a world by script, and notes what may end because of it. */
export class Faults {
  readonly #network: SimulatedNetwork
  readonly #touched: Touched
  readonly #running: readonly RunningMachine[]
  readonly #met: (fault: WorldFault) => void
  readonly #active = new Map<Fault, Trouble | undefined>()
  /** When the last frozen process has caught up, and the last one that crashed runs again. */
  #processesRunAtMs = 0

  constructor(options: {
    readonly network: SimulatedNetwork
    readonly touched: Touched
    readonly running: readonly RunningMachine[]
    readonly met: (fault: WorldFault) => void
  }) {
    this.#network = options.network
    this.#touched = options.touched
    this.#running = options.running
    this.#met = options.met
  }

  inflict(action: FaultAction): void {
    switch (action.kind) {
      case 'reset':
        this.#reset(action)
        return
      case 'race':
        this.#race(action)
        return
      case 'crash':
        this.#crash(action)
        return
      case 'freeze':
        this.#freeze(this.#running[action.machine]!, action.forMs)
        return
      case 'fault':
        this.#flowFault(action)
        return
      case 'split':
        this.#split(action)
        return
      default:
        action satisfies never
    }
  }

  /** Ends everything that is still wrong. Returns how long some process will still stand still. */
  heal(): number {
    for (const fault of [...this.#active.keys()]) this.#end(fault)
    return Math.max(0, this.#processesRunAtMs - this.#network.clock.now())
  }

  #reset(action: Extract<FaultAction, { readonly kind: 'reset' }>): void {
    const [from, to] = [this.#running[action.from]!, this.#running[action.to]!]
    for (const { id } of this.#network.connections(from.host, to.host)) {
      this.#touched.connection(id)
      this.#network.reset(id, action)
      const isLate = Math.max(action.diallerAfterMs, action.acceptorAfterMs) > 0
      this.#met(isLate ? 'a reset that one end sees late' : 'reset')
    }
  }

  /** The connections are gone at once at both ends; whoever dials next is for the world to say. */
  #race({ from, to, isHeld }: Extract<FaultAction, { readonly kind: 'race' }>): void {
    this.#reset({ kind: 'reset', from, to, diallerAfterMs: 0, acceptorAfterMs: 0 })
    if (isHeld) this.#flowFault({ kind: 'fault', what: 'holdDials', from, to, forMs: 3_000 })
  }

  #crash({ machine, isSilent, downMs }: Extract<FaultAction, { readonly kind: 'crash' }>): void {
    const running = this.#running[machine]!
    if (running.isDown) return
    this.#met(isSilent ? 'crash without a reset' : 'crash with a reset')
    this.#touched.between(running.host, undefined, 'fault')
    running.crash()
    this.#network.crash(running.host, { silently: isSilent })
    this.#processesRunAfter(downMs)
    this.#network.clock.setTimer(downMs, () => {
      this.#met('restart')
      this.#network.timeline.note(`${running.host} starts again`)
      running.restart()
    })
  }

  #freeze(running: RunningMachine, forMs: number): void {
    if (running.isDown) return
    this.#met('freeze')
    this.#network.timeline.note(`${running.host} is frozen for ${forMs} ms`)
    const trouble = { between: (a: string, b: string) => a === running.host || b === running.host }
    this.#touched.begin(trouble)
    running.freeze(forMs)
    this.#processesRunAfter(forMs + catchUpMs)
    this.#network.clock.setTimer(forMs + catchUpMs, () => {
      this.#touched.end(trouble)
    })
  }

  #processesRunAfter(ms: number): void {
    this.#processesRunAtMs = Math.max(this.#processesRunAtMs, this.#network.clock.now() + ms)
  }

  #flowFault({ what, from, to, forMs }: Extract<FaultAction, { readonly kind: 'fault' }>): void {
    const [a, b] = [this.#running[from]!.host, this.#running[to]!.host]
    const { faults } = this.#network
    const flow = { from: a, to: b }
    const inflict: Readonly<Record<FlowFault, () => Fault[]>> = {
      holdDials: () => [faults.holdDials(flow)],
      refuseDials: () => [faults.refuseDials(flow)],
      delayDials: () => [faults.delayDials(flow, 3_000)],
      blackHole: () => [faults.blackHole(flow)],
      partition: () => [faults.partition([a], [b])],
      blackHoleConnection: () =>
        this.#network.connections(a, b).map(({ id, dialler }) => {
          this.#touched.connection(id)
          return faults.blackHoleConnection(id, dialler.host === a ? 'dialler' : 'acceptor')
        }),
    }
    for (const fault of inflict[what]()) {
      this.#met(names[what])
      const between = (x: string, y: string): boolean =>
        (x === a && y === b) || (x === b && y === a)
      this.#begin(fault, isTrouble[what] ? { between } : undefined, forMs)
    }
  }

  #split({ groups, forMs }: Extract<FaultAction, { readonly kind: 'split' }>): void {
    const groupOf = (index: number): number => (groups >> index) & 1
    const hosts = this.#running.map(({ host }) => host)
    const sides = [0, 1].map((side) => hosts.filter((_, index) => groupOf(index) === side))
    if (sides.some((side) => side.length === 0)) return
    this.#met('partition')
    const sideOf = (host: string): number => groupOf(hosts.indexOf(host))
    const between = (a: string, b: string): boolean => sideOf(a) !== sideOf(b)
    this.#begin(this.#network.faults.partition(...sides), { between }, forMs)
  }

  #begin(fault: Fault, trouble: Trouble | undefined, forMs: number): void {
    this.#active.set(fault, trouble)
    if (trouble !== undefined) this.#touched.begin(trouble)
    this.#network.clock.setTimer(forMs, () => {
      this.#end(fault)
    })
  }

  #end(fault: Fault): void {
    if (!this.#active.has(fault)) return
    const trouble = this.#active.get(fault)
    this.#active.delete(fault)
    if (trouble !== undefined) this.#touched.end(trouble)
    if (fault.text.startsWith('partition')) this.#met('healing of a partition')
    fault.heal()
  }
}
