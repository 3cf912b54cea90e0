import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, Socket, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { createNode, MemoryBlockStore, type Block, type BlockStore } from 'holdfast'
import { LevelBlockStore } from 'holdfast/level'
import { tcpTransport } from 'holdfast/tcp'
import { testBlocks, testChain, testChainRules } from 'holdfast/testing'
import { FrameParser, frameOf } from './contestants/frames.js'
import { lifted } from './contestants/holdfast.js'
import { ignore } from './contestants/raw.js'
import type { ChainOrder, SyncFigures, SyncOrder } from './protocol.js'

const network = 'bench-sync'

/** Of the limit: what it appends at once, and what may wait for that before it reads no more. */
const maxBatchBytes = 4 * 1024 * 1024
const maxWaitingBytes = 32 * 1024 * 1024

const pingEveryMs = 5

/** Serves a generated chain, and answers the addresses at which it does: one for each peer. */
export async function serveChain(order: ChainOrder): Promise<readonly string[]> {
  const { contestant, blockBytes, count, peers } = order
  return contestant === 'raw'
    ? [await streamChain(blockBytes, count)]
    : Promise.all(
        Array.from({ length: peers }, (_, index) =>
          serveAsNode(`127.0.2.${index + 1}`, blockBytes, count),
        ),
      )
}

/** Gets a whole chain into an empty store, and tells what that took. */
export async function syncChain(order: SyncOrder): Promise<SyncFigures> {
  const folder = order.store === 'level' ? await mkdtemp(join(tmpdir(), 'holdfast-bench-')) : ''
  const store = folder === '' ? new MemoryBlockStore() : new LevelBlockStore({ location: folder })
  if (order.storeBytesPerSecond !== undefined) slowDown(store, order.storeBytesPerSecond)
  try {
    return order.contestant === 'raw'
      ? await receiveStream(order, store)
      : await syncAsNode(order, store)
  } finally {
    if (folder !== '') await rm(folder, { recursive: true, force: true })
  }
}

/** A disk that takes no more than so much. */
function slowDown(store: BlockStore, bytesPerSecond: number): void {
  const append = store.append.bind(store)
  store.append = async (blocks, options) => {
    const bytes = blocks.reduce((sum, { payload }) => sum + payload.length, 0)
    await sleep((1_000 * bytes) / bytesPerSecond)
    return append(blocks, options)
  }
}

async function serveAsNode(host: string, blockBytes: number, count: number): Promise<string> {
  const chain = testChain({ length: count, blockBytes })
  const store = new MemoryBlockStore()
  await store.open()
  await store.append(chain.blocks, { expectTip: null })
  const node = createNode({
    ...lifted,
    network,
    transport: tcpTransport({ host, port: 0 }),
    chain: { rules: testChainRules(chain), store },
  })
  await node.start()
  return `${host}:${node.connections.endpoints[0]?.port ?? 0}`
}

async function syncAsNode(order: SyncOrder, store: BlockStore): Promise<SyncFigures> {
  const { blockBytes, count, addresses } = order
  const node = createNode({
    ...lifted,
    network,
    transport: tcpTransport({ listen: false, localAddress: '127.0.3.1' }),
    chain: { rules: testChainRules(testChain({ length: 1, blockBytes })), store },
  })
  await node.start()
  const watch = new Watch()
  const roundTrips: number[] = []
  const pings = setInterval(() => {
    for (const peer of node.peers()) {
      node.pings.ping(peer).then((ms) => roundTrips.push(ms), ignore)
    }
  }, pingEveryMs)
  const isWhole = new Promise<void>((resolve) => {
    node.sync.on('blocksAppended', ({ tip }) => {
      if (tip.height >= count - 1) resolve()
    })
    if (order.atMostMs !== undefined) setTimeout(resolve, order.atMostMs)
  })
  await Promise.all(addresses.map((address) => node.connections.connect(address)))
  await isWhole
  const taken = watch.end()
  clearInterval(pings)
  await node.stop()
  roundTrips.sort((a, b) => a - b)
  return { ...taken, pingP99Ms: roundTrips[Math.floor(roundTrips.length * 0.99)] ?? Number.NaN }
}

/** The same blocks as frames one after another, made beforehand. */
async function streamChain(blockBytes: number, count: number): Promise<string> {
  const frames = Array.from(testBlocks({ length: count, blockBytes }), ({ payload }) =>
    frameOf(payload),
  )
  const bytes = Buffer.concat(frames)
  const server = createServer({ noDelay: true }, (socket) => {
    socket.on('error', ignore)
    socket.end(bytes)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return String((server.address() as AddressInfo).port)
}

/** Hashes each block of the stream, and appends them in batches: what no sync can do without. */
async function receiveStream(order: SyncOrder, store: BlockStore): Promise<SyncFigures> {
  const { blockBytes, count, addresses } = order
  const { checkIntegrity } = testChainRules(testChain({ length: 1, blockBytes }))
  const hashes = Array.from(testBlocks({ length: count, blockBytes }), ({ hash }) => hash)
  await store.open()
  const watch = new Watch()
  await new Promise<void>((resolve, reject) => {
    let batch: Block[] = []
    let [batchBytes, waitingBytes, height] = [0, 0, 0]
    let appended: Promise<void> = Promise.resolve()
    let tip: Block | undefined
    const socket = new Socket()
    const append = (): void => {
      const [blocks, bytes, before] = [batch, batchBytes, tip]
      tip = blocks.at(-1)
      batch = []
      batchBytes = 0
      waitingBytes += bytes
      if (waitingBytes > maxWaitingBytes) socket.pause()
      const expectTip = before === undefined ? null : { height: before.height, hash: before.hash }
      const isLast = height === count
      appended = appended
        .then(() => store.append(blocks, { expectTip }))
        .then(() => {
          waitingBytes -= bytes
          if (waitingBytes <= maxWaitingBytes / 2) socket.resume()
          if (isLast) resolve()
        })
      appended.catch(reject)
    }
    const parser = new FrameParser((chunk, start, end) => {
      const payload = new Uint8Array(chunk.buffer, chunk.byteOffset + start, end - start)
      const previousHash = hashes[height - 1] ?? '0'.repeat(64)
      const block = { height, hash: hashes[height] ?? '', previousHash, payload }
      if (!checkIntegrity(block).ok) reject(new Error(`block ${height} is damaged`))
      height += 1
      batch.push(block)
      batchBytes += payload.length
      if (batchBytes >= maxBatchBytes || height === count) append()
    })
    socket.on('data', (chunk) => {
      parser.push(chunk)
    })
    socket.on('error', reject)
    socket.connect({ host: '127.0.0.1', port: Number(addresses[0]) })
  })
  const taken = watch.end()
  await store.close()
  return { ...taken, pingP99Ms: Number.NaN }
}

/** Time, processor time, memory and delays of this process from now on. */
class Watch {
  readonly #startedMs = performance.now()
  readonly #cpu = process.cpuUsage()
  readonly #memory = residentMemory()
  readonly #delays = monitorEventLoopDelay({ resolution: 1 })
  readonly #looks: NodeJS.Timeout
  readonly #most = { ...this.#memory }

  constructor() {
    this.#delays.enable()
    this.#looks = setInterval(() => {
      this.#look()
    }, 20)
  }

  end(): Omit<SyncFigures, 'pingP99Ms'> {
    clearInterval(this.#looks)
    this.#look()
    this.#delays.disable()
    const { user, system } = process.cpuUsage(this.#cpu)
    return {
      seconds: (performance.now() - this.#startedMs) / 1_000,
      cpuSeconds: (user + system) / 1e6,
      loopP99Ms: this.#delays.percentile(99) / 1e6,
      peakBytes: this.#most.bytes - this.#memory.bytes,
      peakOwnBytes: this.#most.ownBytes - this.#memory.ownBytes,
    }
  }

  #look(): void {
    const { bytes, ownBytes } = residentMemory()
    this.#most.bytes = Math.max(this.#most.bytes, bytes)
    this.#most.ownBytes = Math.max(this.#most.ownBytes, ownBytes)
  }
}

/**
 * What is in memory, and what of it is no part of a file: a database maps its tables, which the system
 * takes back when it needs the room. Only Linux tells the difference.
 */
function residentMemory(): { bytes: number; ownBytes: number } {
  const bytes = process.memoryUsage.rss()
  if (process.platform !== 'linux') return { bytes, ownBytes: bytes }
  const kibibytes = /^RssAnon:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]
  return { bytes, ownBytes: kibibytes === undefined ? bytes : 1_024 * Number(kibibytes) }
}
