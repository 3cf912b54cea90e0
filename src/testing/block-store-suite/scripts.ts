import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import { SeededRandom } from '../seeded-random.js'
import { followScript, type ModelStep } from './model.js'
import { expectChain, type Check } from './setup.js'

const seeds = [1, 2, 3, 4]
const scriptsPerSeed = 3
const stepsPerScript = 25

/** Random sequences of writes, good and bad, on the store and on an array. */
export function scriptChecks(check: Check): void {
  for (const seed of seeds) {
    check(
      `after any sequence of writes, good and bad, it holds what an array would (seed ${seed})`,
      async (store, reopen) => {
        const random = new SeededRandom(seed)
        let current = store
        const empty = async (): Promise<void> => {
          await current.replace(null, [], { expectTip: await current.tip() })
          await expectChain(current, [], 'replace above null with nothing empties the store')
        }
        const follow = (steps: readonly ModelStep[]): Promise<void> =>
          followScript(steps, current, reopen && (async () => (current = await reopen())))
        for (let script = 0; script < scriptsPerSeed; script++) {
          const steps = Array.from({ length: stepsPerScript }, () => randomStep(random))
          await empty()
          try {
            await follow(steps)
          } catch (error) {
            const shortest = await shortened({ steps, error }, empty, follow)
            const said = inspect(shortest.steps, { depth: 3, breakLength: 100 })
            assert.fail(`${messageOf(shortest.error)}\n  the steps were: ${said}`)
          }
        }
      },
    )
  }
}

function randomStep(random: SeededRandom): ModelStep {
  const place = random.next()
  const length = random.integer(0, 6)
  const seed = random.integer(0, 3)
  const kind = random.pick([
    ...(['append', 'append', 'append', 'append', 'replace', 'replace', 'replace'] as const),
    ...(['restart', 'stale tip', 'unknown ancestor', 'torn run', 'run of elsewhere'] as const),
    ...(['range', 'range', 'reopen'] as const),
  ])
  switch (kind) {
    case 'append':
      return { kind, length, seed }
    case 'restart':
      return { kind, base: random.integer(0, 600), length, seed }
    case 'range':
      return { kind, place, limit: random.integer(1, 9), maxBytes: random.integer(0, 400) }
    case 'reopen':
      return { kind }
    default:
      return { kind, place, length, seed }
  }
}

interface Failure {
  readonly steps: readonly ModelStep[]
  readonly error: unknown
}

/** Leaves out what the failure does not need, as far as the store still lets itself be emptied. */
async function shortened(
  failure: Failure,
  empty: () => Promise<void>,
  follow: (steps: readonly ModelStep[]) => Promise<void>,
): Promise<Failure> {
  let shortest = failure
  for (let index = failure.steps.length - 1; index >= 0; index--) {
    try {
      await empty()
    } catch {
      return shortest
    }
    const steps = shortest.steps.filter((_, each) => each !== index)
    try {
      await follow(steps)
    } catch (error) {
      shortest = { steps, error }
    }
  }
  return shortest
}

const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : inspect(error)
