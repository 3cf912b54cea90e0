/** One thing that the demo promises, and whether it held. */
export interface Expectation {
  readonly what: string
  readonly holds: boolean
  /** What was found instead, when it did not hold. */
  readonly found: string
}

/** What the demo says: lines for people as it goes, and a list of what held. */
export class Report {
  readonly #out: NodeJS.WriteStream
  readonly #expectations: Expectation[] = []

  constructor(out: NodeJS.WriteStream) {
    this.#out = out
  }

  get out(): NodeJS.WriteStream {
    return this.#out
  }

  line(text = ''): void {
    this.#out.write(`${text}\n`)
  }

  title(text: string): void {
    this.line()
    this.line(text)
  }

  /** Columns as wide as their widest cell. */
  columns(rows: readonly (readonly string[])[]): void {
    const widths = (rows[0] ?? []).map((_, column) =>
      Math.max(...rows.map((row) => row[column]?.length ?? 0)),
    )
    for (const row of rows) {
      this.line(
        `    ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('   ')}`.trimEnd(),
      )
    }
  }

  /** Notes a promise; one that does not hold is said at once and makes the run a failure. */
  expect(what: string, holds: boolean, found: string): void {
    this.#expectations.push({ what, holds, found })
    if (!holds) this.line(`  NOT TRUE: ${what}; ${found}`)
  }

  get broken(): readonly Expectation[] {
    return this.#expectations.filter(({ holds }) => !holds)
  }
}

/** 12345.6 as `12,346`. */
export const count = (value: number): string => Math.round(value).toLocaleString('en-US')

/** `0.42 ms`, `35 ms`, `1.2 s` */
export const duration = (ms: number): string => {
  if (ms < 10) return `${ms.toFixed(2)} ms`
  return ms < 1_000 ? `${ms.toFixed(0)} ms` : `${(ms / 1_000).toFixed(1)} s`
}

/** Decimal megabytes, as network people count. */
export const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`

/** `1 block`, `2 blocks` */
export const plural = (value: number, one: string, many = `${one}s`): string =>
  `${count(value)} ${value === 1 ? one : many}`
