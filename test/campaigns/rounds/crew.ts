import { setTimeout as sleep } from 'node:timers/promises'
import type { SeededRandom } from 'holdfast/testing'
import { MemberProcess } from './member-process.js'
import { sharedNowMs } from './protocol.js'
import type { MemberReport, StartOrder } from './protocol.js'

/** Where members run: one IP each, and the command that runs a process there. */
export interface Place {
  readonly name: string
  readonly ips: readonly string[]
  prefix(ip: string): readonly string[]
}

/** From the order to race until the race: long enough for the order to reach every process. */
const leadMs = 50

/** How often it is looked whether all are settled. */
const lookEveryMs = 2

/** The processes of a campaign at one place. Whoever starts a crew closes it. */
export class Crew {
  readonly place: Place
  readonly #members = new Map<string, MemberProcess>()
  readonly #ports = new Map<string, number>()
  readonly #signal: AbortSignal
  readonly #interrupt = (): void => void this.close()
  #lastOrder: StartOrder | undefined

  private constructor(place: Place, signal: AbortSignal) {
    this.place = place
    this.#signal = signal
    signal.addEventListener('abort', this.#interrupt)
  }

  static async start(place: Place, signal: AbortSignal): Promise<Crew> {
    const crew = new Crew(place, signal)
    try {
      await crew.#all((ip) => crew.#startProcess(ip))
      return crew
    } catch (error) {
      await crew.close()
      throw error
    }
  }

  /** A new node in every process. */
  async startNodes(order: Omit<StartOrder, 'port' | 'peers'>): Promise<void> {
    const complete = { ...order, port: 0, peers: this.place.ips.length - 1 }
    this.#lastOrder = complete
    await this.#all(async (ip) => {
      const { port } = await this.#member(ip).ask('start', complete)
      this.#ports.set(ip, port)
    })
  }

  /** All dial all, each in an order of its own, at one instant: tells it, and when they began. */
  race(dice: SeededRandom): { readonly atMs: number; readonly begun: Promise<readonly number[]> } {
    const atMs = sharedNowMs() + leadMs
    const begun = this.#all(async (ip) => {
      const peers = shuffled(this.#othersOf(ip), dice)
      const { begunAtMs } = await this.#member(ip).ask('race', { peers, atMs })
      return begunAtMs
    })
    begun.catch(() => undefined)
    return { atMs, begun }
  }

  /** One member alone dials all others, now. */
  async raceOf(ip: string): Promise<void> {
    await this.#member(ip).ask('race', { peers: this.#othersOf(ip), atMs: 0 })
  }

  async say(word: string): Promise<void> {
    await this.#all((ip) => this.#member(ip).ask('say', { word }))
  }

  /** Whether all are settled within `timeoutMs`. Rejects when a process ended by itself. */
  async untilSettled(timeoutMs: number): Promise<boolean> {
    const isSettled = (): boolean => [...this.#members.values()].every((member) => member.isSettled)
    return this.until(isSettled, timeoutMs, lookEveryMs)
  }

  async until(
    condition: () => boolean | Promise<boolean>,
    timeoutMs: number,
    everyMs: number,
  ): Promise<boolean> {
    const deadlineMs = sharedNowMs() + timeoutMs
    while (!(await condition())) {
      this.#checkAlive()
      if (sharedNowMs() > deadlineMs) return false
      await this.sleep(everyMs)
    }
    return true
  }

  async sleep(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.#signal })
  }

  reports(): Promise<readonly MemberReport[]> {
    return this.#all((ip) => this.#member(ip).ask('report', null))
  }

  /** Stops every node. Returns how many sockets they left open. */
  async stopNodes(): Promise<number> {
    const left = await this.#all((ip) => this.#member(ip).ask('stop', null))
    return left.reduce((total, { openSockets }) => total + openSockets, 0)
  }

  async kill(ip: string): Promise<void> {
    await this.#member(ip).kill()
  }

  /** Starts the process of a member that was killed, and its node, on the same port as before. */
  async restart(ip: string): Promise<void> {
    if (this.#lastOrder === undefined) throw new Error('no node was started yet')
    await this.#startProcess(ip)
    await this.#member(ip).ask('start', { ...this.#lastOrder, port: this.#ports.get(ip) ?? 0 })
  }

  /** Ends every process. */
  async close(): Promise<void> {
    this.#signal.removeEventListener('abort', this.#interrupt)
    await Promise.all([...this.#members.values()].map((member) => member.kill()))
  }

  async #startProcess(ip: string): Promise<void> {
    const member = new MemberProcess(ip, this.place.prefix(ip))
    this.#members.set(ip, member)
    await member.ready(this.#signal)
  }

  #othersOf(ip: string): string[] {
    const others = this.place.ips.filter((other) => other !== ip)
    return others.map((other) => `${other}:${this.#ports.get(other) ?? 0}`)
  }

  #member(ip: string): MemberProcess {
    const member = this.#members.get(ip)
    if (member === undefined) throw new Error(`nobody runs at ${ip}`)
    return member
  }

  #all<Result>(action: (ip: string) => Promise<Result>): Promise<Result[]> {
    return Promise.all(this.place.ips.map(action))
  }

  #checkAlive(): void {
    for (const { ip, failure } of this.#members.values()) {
      if (failure !== undefined) throw new Error(`the process of ${ip} ended by itself: ${failure}`)
    }
  }
}

/** Fisher and Yates. */
function shuffled<Item>(items: readonly Item[], dice: SeededRandom): Item[] {
  const rest = [...items]
  return items.map(() => rest.splice(dice.integer(0, rest.length - 1), 1)[0] as Item)
}
