import { electionRows, type ElectionRow } from './election-rows.js'
import type { WorldReport } from './world.js'

/** Everything that a world may meet and that is counted; a run that meets too little of it proves little. */
export const worldFaults = [
  'reset',
  'a reset that one end sees late',
  'partition',
  'healing of a partition',
  'black hole in one direction',
  'black-holed connection',
  'one-way reachability',
  'dials refused for a while',
  'dials without answer',
  'slow dials',
  'crash with a reset',
  'crash without a reset',
  'restart',
  'freeze',
  'half-open end',
  'NAT',
  'shared address',
  'equal IPs at both ends',
  'unknown own IP',
  'wrong own IP',
  'dual stack',
  'two addresses of one family',
  'disconnect by a user',
  'connect that is aborted',
] as const
export type WorldFault = (typeof worldFaults)[number]

/** How many worlds met what. */
export class Coverage {
  #worlds = 0
  #longestSettlingMs = 0
  #mostDials = 0
  readonly #counts = new Map<WorldFault | ElectionRow, number>()

  add({ met, settlingMs, mostDials }: WorldReport): void {
    this.#worlds += 1
    this.#longestSettlingMs = Math.max(this.#longestSettlingMs, settlingMs)
    this.#mostDials = Math.max(this.#mostDials, mostDials)
    for (const what of met) this.#counts.set(what, (this.#counts.get(what) ?? 0) + 1)
  }

  get worlds(): number {
    return this.#worlds
  }

  /** What fewer than `share` of the worlds met. */
  below(share: number): string[] {
    return this.#all().filter((what) => this.#count(what) < share * this.#worlds)
  }

  report(): string {
    const line = (what: WorldFault | ElectionRow): string => {
      const count = this.#count(what)
      const percent = ((100 * count) / Math.max(1, this.#worlds)).toFixed(1)
      return `  ${what.padEnd(64)} ${String(count).padStart(6)} ${percent.padStart(6)} %`
    }
    return [
      `${this.#worlds} worlds, of which met`,
      ...worldFaults.map(line),
      'and of the election',
      ...electionRows.map(line),
      `connected again at most ${(this.#longestSettlingMs / 1_000).toFixed(1)} s after the last fault, ` +
        `no peer dialled more than ${this.#mostDials} times by one machine`,
    ].join('\n')
  }

  #all(): (WorldFault | ElectionRow)[] {
    return [...worldFaults, ...electionRows]
  }

  #count(what: WorldFault | ElectionRow): number {
    return this.#counts.get(what) ?? 0
  }
}
