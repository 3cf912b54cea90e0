import fc from 'fast-check'
import { defaultSyncLimits } from '../../src/rules/sync/limits.js'
import type { Margins } from './judge.js'
import { simChain } from './sim-chain.js'
import { serving, type Behaviour } from './sim-peer.js'
import { SimWorld } from './sim-world.js'

/** An honest peer that hangs for a while, as with a disk that does not answer, beside one that is slow. */
export interface HangingWords {
  readonly seed: number
  readonly hangsAtMs: number
  readonly forMs: number
  readonly rate: number
  readonly roundTripMs: number
}

export const hangingWords = fc.record<HangingWords>({
  seed: fc.nat(),
  hangsAtMs: fc.nat({ max: 5_000 }),
  forMs: fc.nat({ max: 240_000 }),
  rate: fc.integer({ min: 20, max: 200 }),
  roundTripMs: fc.integer({ min: 1, max: 250 }),
})

/** Takes five minutes and more from the slow peer alone. */
const chain = simChain(1_000, 40_000)
const slowRate = 100

/**
 * However long it hung and however often it failed meanwhile: it is asked again within the longest
 * cooldown, its connection is the same, and nobody is blamed.
 */
export function judgeHanging(words: HangingWords, margins: Margins): void {
  const { seed, hangsAtMs, forMs, rate, roundTripMs } = words
  const endsAtMs = hangsAtMs + forMs
  const askedAtMs: number[] = []
  const hanging: Behaviour = (self) => {
    const serve = serving(chain)(self)
    return (message) => {
      const { now } = self.timeline
      if (message.kind === 'getBlocks') askedAtMs.push(now)
      if (now < hangsAtMs || now >= endsAtMs) serve(message)
      else self.timeline.at(endsAtMs, () => serve(message))
    }
  }
  const world = new SimWorld({
    chain,
    seed,
    peers: [
      { key: 'slow', behaviour: serving(chain), rate: slowRate, isHonest: true },
      { key: 'hanging', behaviour: hanging, rate, roundTripMs, isHonest: true },
    ],
  })
  const withinMs = defaultSyncLimits.cooldownMaxMs + 2 * roundTripMs
  world.run(endsAtMs + withinMs + 1_000)
  margins.noteCooldowns(world)
  if (world.isDone) throw new Error('the world was over too early to show anything')
  const faulted = world.node.notices.find(({ kind }) => kind === 'peerFaulted')
  if (faulted !== undefined) throw new Error('somebody was blamed')
  const again = askedAtMs.find((atMs) => atMs >= endsAtMs)
  if (again !== undefined && again <= endsAtMs + withinMs) return
  throw new Error(`hung until ${endsAtMs} ms, and was asked again at ${again ?? 'no time'}`)
}
