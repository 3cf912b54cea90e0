import { defaultSyncLimits } from '../../src/rules/sync/limits.js'
import { SeededRandom } from '../../src/testing/seeded-random.js'
import { bytesOf } from './sim-chain.js'
import type { Mood } from './sim-node.js'
import { SimWorld, type SimWorldOptions } from './sim-world.js'
import { boundMs, chainFor, peersFor, type WorldWords } from './world-kinds.js'

/** How much of their time worlds took at most: a bound that no world comes near proves little. */
export class Margins {
  worlds = 0
  largestShare = 0
  longestCooldownMs = 0

  note(share: number, world: SimWorld): void {
    this.worlds += 1
    this.largestShare = Math.max(this.largestShare, share)
    this.noteCooldowns(world)
  }

  noteCooldowns(world: SimWorld): void {
    this.longestCooldownMs = Math.max(this.longestCooldownMs, ...world.longestCooldownMs.values())
  }
}

export function worldOf(words: WorldWords, changes: Partial<SimWorldOptions> = {}): SimWorld {
  const chain = chainFor(words)
  return new SimWorld({ chain, peers: peersFor(words, chain), seed: words.seed, ...changes })
}

/** What must hold in every world with an honest peer. Throws when it does not. */
export function judgeWorld(
  words: WorldWords,
  margins = new Margins(),
  world = worldOf(words),
): SimWorld {
  const maxMs = boundMs(words, world.options.chain)
  margins.note(reachTip(world, maxMs) / maxMs, world)
  judgeHonest(world)
  return world
}

export function reachTip(world: SimWorld, maxMs: number): number {
  const atMs = world.runToTip(maxMs)
  if (atMs !== undefined) return atMs
  const height = world.node.tip?.height
  throw new Error(`at height ${height} of ${world.options.chain.tip.height} after ${maxMs} ms`)
}

/**
 * No honest peer is blamed, nor left alone for longer than the longest cooldown: not even by one after
 * another.
 */
export function judgeHonest(world: SimWorld): void {
  const honest = world.options.peers.filter(({ isHonest }) => isHonest === true)
  for (const notice of world.node.notices) {
    if (notice.kind !== 'peerFaulted' && notice.kind !== 'blockRejected') continue
    if (!honest.some(({ key }) => key === notice.peer)) continue
    throw new Error(`${notice.peer} is honest and was blamed at ${notice.atMs} ms`)
  }
  for (const [key, ms] of world.longestCooldownMs) {
    if (ms > defaultSyncLimits.cooldownMaxMs) throw new Error(`${key} cooled down for ${ms} ms`)
  }
}

/** When all are honest, hardly anything comes twice. */
export function judgeBytes(world: SimWorld, words: WorldWords): void {
  const { spanMinBytes, spanMaxBytes, spanMs } = defaultSyncLimits
  const rates = [words.anchor, ...words.honest].map(({ rate }) => rate)
  const span = Math.min(spanMaxBytes, Math.max(spanMinBytes, Math.max(...rates) * spanMs))
  const all = bytesOf(world.options.chain.blocks.slice(1))
  const largest = Math.max(...words.blockBytes)
  const most = 1.05 * all + 2 * Math.max(span, largest)
  if (world.node.receivedBytes <= most) return
  throw new Error(`received ${world.node.receivedBytes} bytes for ${all}, more than ${most}`)
}

/** What a world did, in order: every effect of every step, with its time. */
export function diaryOf(world: SimWorld): readonly string[] {
  const lines: string[] = []
  const watch = world.node.onStep
  world.node.onStep = (input, effects) => {
    watch(input, effects)
    for (const effect of effects) {
      const what = effect.kind === 'post' ? `${effect.connection} ${effect.message.kind}` : ''
      const id = 'token' in effect ? effect.token : what
      lines.push(`${world.timeline.now} ${effect.kind} ${id}`)
    }
  }
  return lines
}

/** Two runs of the same words, of which the second may be different in what must not matter. */
export function judgeSame(words: WorldWords, changes: Partial<SimWorldOptions> = {}): void {
  const [once, again] = [worldOf(words), worldOf(words, changes)]
  const [diary, other] = [diaryOf(once), diaryOf(again)]
  judgeWorld(words, new Margins(), once)
  judgeWorld(words, new Margins(), again)
  const at = diary.findIndex((line, index) => line !== other[index])
  if (at >= 0)
    throw new Error(`line ${at} is "${other[at] ?? 'nothing'}", not "${diary[at] ?? ''}"`)
  if (diary.length < other.length) throw new Error(`one more line: "${other[diary.length] ?? ''}"`)
}

/**
 * The heartbeat is a net and not a motor: wakes at any moment at which no timer is due find nothing to
 * do. Whatever waits for time to pass has a timer of its own.
 */
export function pokeAtRandom(world: SimWorld): void {
  const { timeline, node, engine } = world
  const dice = world.dice.fork()
  const watch = node.onStep
  let isPoke = false
  node.onStep = (input, effects) => {
    watch(input, effects)
    const [effect] = isPoke ? effects : []
    if (effect === undefined) return
    throw new Error(`a wake at ${timeline.now} ms, with no timer due, led to ${effect.kind}`)
  }
  const poke = (): void => {
    isPoke = engine.wakeAtMs > timeline.now
    node.enter({ kind: 'wake', readings: [] })
    isPoke = false
    timeline.after(1 + dice.next() * 400, poke)
  }
  poke()
}

/** For a while, whatever the store or validation is asked may throw, even after it was done. */
export function judgeHealing(words: WorldWords, troubleMs: number): void {
  const dice = new SeededRandom(words.seed)
  const moods: readonly Mood[] = ['works', 'throws', 'throws', 'throwsAfterwards']
  const mood = (now: number): Mood => (now < troubleMs ? dice.pick(moods) : 'works')
  const world = worldOf(words, { store: { mood } })
  const { retryMaxMs } = defaultSyncLimits
  reachTip(world, troubleMs + retryMaxMs + boundMs(words, world.options.chain))
  judgeHonest(world)
}
