import type { Block } from '../../src/contracts/block-store.js'
import { progressCertificate } from '../../src/rules/sync/certificate.js'
import type { SyncEffect, SyncInput } from '../../src/rules/sync/inputs.js'
import { defaultSyncLimits, type SyncLimits } from '../../src/rules/sync/limits.js'
import { createSyncState, type SyncState } from '../../src/rules/sync/state.js'
import { step } from '../../src/rules/sync/step.js'
import { planFlaw } from './plan-flaw.js'
import type { Engine } from './sim-node.js'

export interface RulesEngineOptions {
  readonly genesis: Block
  readonly maxBlockBytes: number
  readonly dice: () => number
  readonly limits?: Partial<SyncLimits>
  readonly isWatched: boolean
}

/** The next deadline is no further away, where a block does not take a minute. */
const maxUnwatchedMs = 120_000

/** The rules of sync. After every step they must be able to say why they cannot be stuck. */
export class RulesEngine implements Engine {
  readonly state: SyncState
  readonly #isWatched: boolean

  constructor({ genesis, maxBlockBytes, dice, limits, isWatched }: RulesEngineOptions) {
    this.#isWatched = isWatched
    this.state = createSyncState({
      chainId: simChainId,
      genesis: { kind: 'block', block: genesis },
      maxBlockBytes,
      compare: (a, b) => a.height - b.height,
      dice,
      limits: { ...defaultSyncLimits, ...limits },
    })
  }

  get wakeAtMs(): number {
    return this.state.wakeAtMs
  }

  step(now: number, input: SyncInput): readonly SyncEffect[] {
    const effects = step(this.state, now, input)
    const certificate = progressCertificate(this.state)
    if (!certificate.holds) throw new Error(`stuck at ${now} ms: ${certificate.why}`)
    if ('withinMs' in certificate && certificate.withinMs > maxUnwatchedMs) {
      throw new Error(`at ${now} ms, nothing is looked at for ${certificate.withinMs} ms`)
    }
    const flaw = this.#isWatched ? planFlaw(this.state) : undefined
    if (flaw !== undefined) throw new Error(`the plan is wrong at ${now} ms: ${flaw}`)
    return effects
  }
}

export const simChainId = 'simulated'
