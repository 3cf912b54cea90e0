import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { SeededRandom } from '../../src/testing/seeded-random.js'

const callSource = fileURLToPath(new URL('kill-at-call.c', import.meta.url))

/** A process that has not come to the end after this time is stuck. */
const stuckAfterMs = 60_000
const longestKillMs = 250

/** The lines that a process said until it was killed. */
export type Said = readonly string[]

/** Decides when a process dies that writes to the folder `location`. */
export interface Killer {
  /** Starts the program and kills it at the next moment, or when it says "synced", if that is sooner. */
  kill(program: readonly string[], location: string): Promise<Said>
}

/** Runs the program until it says "synced". */
export const letFinish: Killer = {
  kill: (program) => run(program, {}, () => {}),
}

/** Kills at any moment from the opening on, or shortly after a write has begun. */
export const atRandomMoments = (random: SeededRandom): Killer => ({
  kill(program) {
    const byTime = random.next() < 0.5
    const lines = byTime ? 1 : 2 * random.integer(1, 7)
    const waitMs = random.next() * (byTime ? longestKillMs : 4)
    return run(program, {}, (count, kill) => {
      if (count === lines) setTimeout(kill, waitMs).unref()
    })
  },
})

/**
 * Kills at each system call in turn that changes something on the disk, from the start of the process
 * on: in the middle of a write, before or after any other. For Linux with a C compiler.
 */
export class AtEachCall implements Killer {
  readonly #library: string
  readonly #points = new Map<string, number>()
  #next = 0

  private constructor(library: string) {
    this.#library = library
  }

  /** Keeps what it compiles in `folder`. Rejects with ENOENT where there is no compiler. */
  static async make(folder: string): Promise<AtEachCall> {
    const library = join(folder, 'kill-at-call.so')
    await promisify(execFile)('cc', ['-shared', '-fPIC', '-O1', '-o', library, callSource, '-ldl'])
    return new AtEachCall(library)
  }

  /** What was going on, the call and the file, with how many processes died there. */
  get points(): ReadonlyMap<string, number> {
    return this.#points
  }

  async kill(program: readonly string[], location: string): Promise<Said> {
    const env = { LD_PRELOAD: this.#library, KILL_BELOW: location, KILL_AT: String(this.#next) }
    let call = ''
    const said = await run(
      program,
      env,
      () => {},
      (error) => (call = error),
    )
    const isKilled = call !== ''
    if (isKilled) this.#count(said, call)
    this.#next = isKilled ? this.#next + 1 : 0
    return said
  }

  #count(said: Said, call: string): void {
    const where = call
      .replace('killed at', '')
      .replace(/lock-.*/, 'lock-')
      .replaceAll(/\d+/g, '#')
    const point = `${doing(said)}: ${where.trim()}`
    this.#points.set(point, (this.#points.get(point) ?? 0) + 1)
  }
}

function doing(said: Said): string {
  const [what, , , write] = said.at(-1)?.split(' ') ?? []
  return write ?? (said.length <= 1 ? 'open' : `after ${what}`)
}

/** Runs a program until it is killed. `heard` is told how many lines it has said. */
async function run(
  program: readonly string[],
  env: Readonly<Record<string, string>>,
  heard: (lines: number, kill: () => void) => void,
  complained: (stderr: string) => void = (stderr) => process.stderr.write(stderr),
): Promise<Said> {
  const child = spawn(process.execPath, program, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  })
  const closed = once(child, 'close')
  const errors = text(child.stderr)
  const kill = (): boolean => child.kill('SIGKILL')
  let isStuck = false
  const stuck = setTimeout(() => {
    isStuck = true
    kill()
  }, stuckAfterMs)
  const said: string[] = []
  try {
    for await (const line of createInterface(child.stdout)) {
      said.push(line)
      heard(said.length, kill)
      if (line === 'synced') kill()
    }
  } finally {
    kill()
    await closed
    clearTimeout(stuck)
  }
  complained(await errors)
  assert.ok(!isStuck, `not at the tip after ${stuckAfterMs} ms: ${said.join(', ')}`)
  assert.equal(child.signalCode, 'SIGKILL', 'the process ends when it is killed, and not before')
  return said
}
