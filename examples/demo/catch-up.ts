import type { Block, BlockStore } from 'holdfast'
import { progressView } from './progress.js'
import { count, duration, megabytes, plural } from './report.js'
import type { Report } from './report.js'
import { addressOf } from './swarm.js'
import type { Member, Swarm } from './swarm.js'
import { waitUntil } from './wait.js'

/** Without a new block for so long, it counts as stuck. */
const stuckAfterMs = 15_000
const redrawMs = 100

export interface CatchUpFacts {
  readonly ip: string
  readonly blocksSynced: number
  readonly bytesSynced: number
  readonly hashesEqual: number
  readonly syncMs: number
}

/** Starts a node with an empty store that knows the others' addresses, and waits until it has their chain. */
export async function catchUp(
  swarm: Swarm,
  fresh: { readonly ip: string; readonly store: BlockStore },
  source: readonly Block[],
  report: Report,
  signal: AbortSignal,
): Promise<CatchUpFacts> {
  const { ip, store } = fresh
  await store.open()
  const before = await store.tip()
  report.expect(
    'the fresh node begins with an empty store',
    before === null,
    `its tip is at height ${String(before?.height)}`,
  )

  const startedMs = performance.now()
  const node = await swarm.start(ip, store, swarm.members.map(addressOf))
  const last = source.at(-1)
  const isThere = await watchProgress(node, last?.height ?? 0, report, signal)
  const syncMs = performance.now() - startedMs

  const { blocks, bytes, equal } = await compareWith(source, store)
  const seconds = syncMs / 1_000
  report.line(
    `  It got ${plural(blocks, 'block')}, ${megabytes(bytes)}, in ${duration(syncMs)}:` +
      ` ${count(blocks / seconds)} blocks/s, ${megabytes(bytes / seconds)}/s.`,
  )
  report.line(
    `  Compared with the source: ${count(equal)} of ${plural(source.length, 'hash', 'hashes')} equal.`,
  )
  report.expect(
    'the fresh node reaches the height of the others',
    isThere,
    `it is ${node.node.sync.phase.kind} at ${String(node.node.sync.tip?.height ?? 'nothing')}`,
  )
  report.expect(
    'its chain is the source, hash by hash',
    equal === source.length && blocks === source.length,
    `${plural(equal, 'block')} of ${count(source.length)} are equal, and it has ${count(blocks)}`,
  )
  const others = await waitUntil(() => swarm.isSettled, { timeoutMs: 5_000, signal })
  report.expect(
    'the fresh node has one connection to each of the others',
    others,
    node.node
      .peers()
      .map((peer) => peer.ip)
      .join(', ') || 'it has none',
  )
  return { ip, blocksSynced: blocks, bytesSynced: bytes, hashesEqual: equal, syncMs }
}

async function watchProgress(
  { node }: Member,
  height: number,
  report: Report,
  signal: AbortSignal,
): Promise<boolean> {
  const view = progressView(report.out)
  const redraw = setInterval(() => view.update(node.sync.progress), redrawMs)
  const stuck = new AbortController()
  let watch = setTimeout(() => stuck.abort(), stuckAfterMs)
  node.sync.on('blocksAppended', () => {
    clearTimeout(watch)
    watch = setTimeout(() => stuck.abort(), stuckAfterMs)
  })
  try {
    await node.sync.waitForHeight(height, { signal: AbortSignal.any([signal, stuck.signal]) })
    await node.sync.waitForSynced({ signal: AbortSignal.any([signal, stuck.signal]) })
    return true
  } catch (error) {
    signal.throwIfAborted()
    if (stuck.signal.aborted) return false
    throw error
  } finally {
    clearTimeout(watch)
    clearInterval(redraw)
    view.update(node.sync.progress)
    view.stop()
  }
}

/** Reads back what was stored, block by block. */
async function compareWith(
  source: readonly Block[],
  store: BlockStore,
): Promise<{ blocks: number; bytes: number; equal: number }> {
  const first = source[0]?.height ?? 0
  let [blocks, bytes, equal] = [0, 0, 0]
  for (let from = (await store.base())?.height; from !== undefined;) {
    const run: Block[] = await store.range(from, { limit: 1_000, maxBytes: 8 * 2 ** 20 })
    for (const { height, hash, payload } of run) {
      blocks++
      bytes += payload.length
      if (source[height - first]?.hash === hash) equal++
    }
    from = run.length === 0 ? undefined : from + run.length
  }
  return { blocks, bytes, equal }
}
