import fc, { type Arbitrary } from 'fast-check'
import { defaultSyncLimits } from '../../src/rules/sync/limits.js'
import { bytesOf, simChain } from './sim-chain.js'
import { SimNetwork } from './sim-network.js'

/** A network in words. Numbers that name a node count round and round. */
export interface NetworkWords {
  readonly seed: number
  readonly blocks: number
  readonly blockBytes: number
  readonly roundTripMs: number
  /** What each has of the chain at the start, in percent. */
  readonly nodes: readonly { readonly rate: number; readonly percent: number }[]
  readonly producers: readonly {
    readonly node: number
    readonly everyMs: number
    readonly count: number
  }[]
  /** `side` says, bit by bit, who is on which. */
  readonly partitions: readonly {
    readonly atMs: number
    readonly forMs: number
    readonly side: number
  }[]
  readonly restarts: readonly {
    readonly atMs: number
    readonly forMs: number
    readonly node: number
  }[]
}

const time = (max: number): Arbitrary<number> => fc.integer({ min: 1, max })

export const networkWords = (): Arbitrary<NetworkWords> =>
  fc.record({
    seed: fc.nat(),
    blocks: fc.integer({ min: 1, max: 400 }),
    blockBytes: fc.integer({ min: 0, max: 4_000 }),
    roundTripMs: fc.integer({ min: 1, max: 250 }),
    nodes: fc.array(
      fc.record({ rate: fc.integer({ min: 50, max: 5_000 }), percent: fc.nat({ max: 100 }) }),
      { minLength: 2, maxLength: 8 },
    ),
    producers: fc.array(
      fc.record({ node: fc.nat({ max: 7 }), everyMs: time(3_000), count: time(20) }),
      { maxLength: 3 },
    ),
    partitions: fc.array(
      fc.record({
        atMs: time(20_000),
        forMs: time(20_000),
        side: fc.integer({ min: 1, max: 127 }),
      }),
      { maxLength: 3 },
    ),
    restarts: fc.array(
      fc.record({ atMs: time(20_000), forMs: time(5_000), node: fc.nat({ max: 7 }) }),
      { maxLength: 4 },
    ),
  })

/** The last fault is over, and the last producer done. */
const busyMs = 65_000

/**
 * After the last fault the highest chain spreads, then one more block, which settles between equal ones.
 * All have it then, nobody was blamed, and what each stores is one linked chain. Throws when not.
 */
export function judgeNetwork(words: NetworkWords): SimNetwork {
  const { blocks, blockBytes, roundTripMs, seed, nodes } = words
  const chain = simChain(blocks + 1, blockBytes)
  const held = (percent: number): number => 1 + Math.floor((blocks * percent) / 100)
  const network = new SimNetwork({
    chain,
    nodes: nodes.map(({ rate, percent }) => ({ rate, held: held(percent) })),
    roundTripMs,
    seed,
  })
  plan(network, words)
  network.run(busyMs)
  const slowest = Math.min(...nodes.map(({ rate }) => rate))
  const bytes = Math.max(
    ...network.nodes.map((node) => bytesOf(node.blocks)),
    bytesOf(chain.blocks),
  )
  const maxMs = (2 * bytes) / slowest + 2 * defaultSyncLimits.forkProgressMs
  const isLevel = (): boolean => new Set(network.heights).size === 1
  if (!network.run(maxMs, isLevel)) throw new Error(`heights after all: ${network.heights.join()}`)
  network.produce(0, blockBytes)
  if (!network.run(maxMs, () => isLevel() && network.isAgreed)) {
    throw new Error(`no agreement in ${maxMs} ms: heights ${network.heights.join()}`)
  }
  judgeNodes(network)
  return network
}

function plan(network: SimNetwork, words: NetworkWords): void {
  const { timeline } = network
  const count = words.nodes.length
  for (const { node, everyMs, count: times } of words.producers) {
    for (let n = 1; n <= times; n++) {
      timeline.at(n * everyMs, () => network.produce(node % count, words.blockBytes))
    }
  }
  for (const { atMs, forMs, side } of words.partitions) {
    const sideOf = (node: number): number => (side >> node) & 1
    timeline.at(atMs, () => {
      timeline.after(
        forMs,
        network.separate((a, b) => sideOf(a) !== sideOf(b)),
      )
    })
  }
  for (const { atMs, forMs, node } of words.restarts) {
    timeline.at(atMs, () => network.restart(node % count, forMs))
  }
}

function judgeNodes({ nodes }: SimNetwork): void {
  for (const [index, { blocks, notices }] of nodes.entries()) {
    const blame = notices.find(({ kind }) => kind === 'peerFaulted' || kind === 'blockRejected')
    if (blame !== undefined) throw new Error(`node ${index}: ${JSON.stringify(blame)}`)
    for (const [height, block] of blocks.entries()) {
      const below = blocks[height - 1]
      const isLinked = below === undefined || block.previousHash === below.hash
      if (block.height !== height || !isLinked) throw new Error(`node ${index}: hole at ${height}`)
    }
  }
}
