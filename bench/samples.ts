/** What a figure is called, and how it reads. */
export interface Figure {
  readonly name: string
  readonly unit: string
  readonly better: 'more' | 'less'
}

/** One line of the result. */
export interface Row {
  readonly name: string
  readonly contestant: string
  readonly unit: string
  readonly median: number
  readonly min: number
  readonly max: number
  /** The median of the rounds' ratios to `raw` in the same round; null where raw has no such figure. */
  readonly ratioToRaw: number | null
}

/** The samples of a run: one per figure, contestant and round. */
export class Samples {
  readonly #figures = new Map<string, Figure>()
  readonly #samples = new Map<string, Map<string, number[]>>()

  add(figure: Figure, contestant: string, value: number): void {
    this.#figures.set(figure.name, figure)
    const byContestant = this.#samples.get(figure.name) ?? new Map<string, number[]>()
    this.#samples.set(figure.name, byContestant)
    const values = byContestant.get(contestant) ?? []
    byContestant.set(contestant, values)
    values.push(value)
  }

  rows(): Row[] {
    return [...this.#figures.values()].flatMap((figure) => this.rowsOf(figure))
  }

  rowsOf({ name, unit }: Figure): Row[] {
    const byContestant = this.#samples.get(name) ?? new Map<string, number[]>()
    const limit = byContestant.get('raw')
    return Array.from(byContestant, ([contestant, values]) => ({
      name,
      contestant,
      unit,
      median: median(values),
      min: Math.min(...values),
      max: Math.max(...values),
      ratioToRaw: limit === undefined ? null : ratioOf(values, limit),
    }))
  }
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2
}

/** Round by round, so that what slowed down a whole round counts for nothing. */
function ratioOf(values: readonly number[], limit: readonly number[]): number | null {
  const ratios = values.slice(0, limit.length).map((value, round) => value / (limit[round] ?? 0))
  const ratio = median(ratios)
  return Number.isFinite(ratio) ? ratio : null
}
