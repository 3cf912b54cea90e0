/**
 * Application messages: a rumour that reaches everybody once, over a handful of connections each.
 *
 * Twelve nodes form a ring with a few chords. Whoever hears a rumour for the first time passes it on to
 * the peers that did not bring it; whoever knows it drops it. `handle`, `send` and `broadcast` are all
 * that it takes. What was heard is remembered up to a limit, for a stranger may send rumours without end.
 *
 * Run it: npx tsx examples/gossip.ts
 */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import { createNode, HoldfastError, type Node, type Peer } from 'holdfast'
import { memoryNetwork } from 'holdfast/memory'

interface Rumour {
  readonly id: string
  readonly text: string
  readonly hops: number
}

const maxRemembered = 10_000
const encode = (rumour: Rumour): Uint8Array => Buffer.from(JSON.stringify(rumour))

/** What a peer sends may be anything: only what is a rumour is taken for one. */
function decode(bytes: Uint8Array): Rumour | undefined {
  try {
    const { id, text, hops } = JSON.parse(Buffer.from(bytes).toString()) as Partial<Rumour>
    const isRumour =
      typeof id === 'string' && typeof text === 'string' && Number.isSafeInteger(hops)
    return isRumour ? { id, text, hops: hops! } : undefined
  } catch {
    return undefined
  }
}

class Gossip {
  readonly heard = new Map<string, Rumour>()
  /** How often a rumour came that was known. */
  repeats = 0
  readonly #node: Node

  constructor(node: Node) {
    this.#node = node
    node.connections.handle('rumour', (bytes, peer) => {
      const rumour = decode(bytes)
      if (rumour === undefined) node.connections.report(peer.ip, 'a rumour that is none')
      else this.#hear(rumour, peer)
    })
  }

  say(text: string): Rumour {
    const rumour = { id: randomUUID(), text, hops: 0 }
    this.#remember(rumour)
    this.#node.connections.broadcast('rumour', encode({ ...rumour, hops: 1 }))
    return rumour
  }

  #hear(rumour: Rumour, from: Peer): void {
    if (this.heard.has(rumour.id)) {
      this.repeats += 1
      return
    }
    this.#remember(rumour)
    const bytes = encode({ ...rumour, hops: rumour.hops + 1 })
    for (const peer of this.#node.peers()) if (peer !== from) sendIfRoom(peer, bytes)
  }

  #remember(rumour: Rumour): void {
    this.heard.set(rumour.id, rumour)
    const [oldest] = this.heard.keys()
    if (this.heard.size > maxRemembered && oldest !== undefined) this.heard.delete(oldest)
  }
}

/** A peer that does not read misses a rumour; others will bring it. */
function sendIfRoom(peer: Peer, bytes: Uint8Array): void {
  try {
    peer.send('rumour', bytes)
  } catch (error) {
    if (!HoldfastError.is(error, 'QUEUE_FULL') && !HoldfastError.is(error, 'NOT_CONNECTED'))
      throw error
  }
}

const size = 12
const network = memoryNetwork({ latencyMs: [1, 10] })
const ipOf = (index: number): string => `10.0.0.${(index % size) + 1}`
const nodes = Array.from({ length: size }, (_, index) =>
  createNode({ network: 'gossip', transport: network.transport({ host: ipOf(index) }) }),
)
const members = nodes.map((node) => new Gossip(node))
try {
  await Promise.all(nodes.map((node) => node.start()))
  // A ring, and a chord from every third node to the other side.
  for (const [index, node] of nodes.entries()) {
    await node.connections.connect(ipOf(index + 1))
    if (index % 3 === 0) await node.connections.connect(ipOf(index + size / 2))
  }

  const rumours = [members[0]!.say('the bridge is open'), members[7]!.say('bread is cheap today')]
  const isEverywhere = (): boolean => members.every(({ heard }) => heard.size === rumours.length)
  for (let waits = 0; !isEverywhere(); waits++) {
    assert(waits < 1_000, 'a rumour did not reach everybody within 10 s')
    await setTimeout(10)
  }

  for (const { id, text } of rumours) {
    const hops = members.map(({ heard }) => heard.get(id)?.hops ?? Infinity)
    console.log(`'${text}' reached ${hops.length} nodes, the farthest in ${Math.max(...hops)} hops`)
    assert(Math.max(...hops) < size, 'no rumour goes round the whole ring')
  }
  const repeats = members.reduce((sum, member) => sum + member.repeats, 0)
  const links = nodes.reduce((sum, node) => sum + node.peers().length, 0) / 2
  console.log(`${links} connections, ${repeats} copies dropped`)
} finally {
  await Promise.all(nodes.map((node) => node.stop()))
}
