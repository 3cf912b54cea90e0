/**
 * A transport of one's own over `MessagePort`: nodes in worker threads of one process.
 *
 * Message ports have no IPs, so host number N goes by fd00::N. The main thread is the switchboard: a
 * dialler makes a channel, keeps one end and has the other handed to whoever listens. A port becomes a
 * Node.js stream that sends its next bytes when those before were taken, and the stream becomes a
 * connection by `connectionFromDuplex`.
 *
 * First the transport passes `transportSuite`; then three workers dial each other, hold one connection
 * per pair, and answer each other's requests.
 *
 * Run it: npx tsx examples/message-port-transport.ts
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Duplex } from 'node:stream'
import { isMainThread, MessageChannel, parentPort, Worker, workerData } from 'node:worker_threads'
import type { MessagePort } from 'node:worker_threads'
import { createNode, HoldfastError, type Endpoint, type Transport } from 'holdfast'
import { connectionFromDuplex } from 'holdfast/tcp'
import { transportSuite } from 'holdfast/testing'

const port = 1
const endpointOf = (number: number, at = port): Endpoint => ({
  host: `fd00::${number.toString(16)}`,
  port: at,
})

/** The port that a dial comes from: no two connections that are open have the same ends. */
const ephemeral = (dial: number): number => 2 + (dial % 65_534)

function numberOf(address: Endpoint): number {
  const digits = /^fd00::([0-9a-f]{1,4})$/.exec(address.host)?.[1]
  if (digits === undefined || address.port !== port) {
    throw new RangeError(`${address.host} and ${address.port} are no address of this transport`)
  }
  return Number.parseInt(digits, 16)
}

type PortMessage = Uint8Array<ArrayBuffer> | 'taken' | 'end'

/** One end of a channel as a stream of bytes. */
class PortStream extends Duplex {
  readonly #port: MessagePort
  #onTaken: (() => void) | undefined
  #owesTaken = false

  constructor(messagePort: MessagePort) {
    super({ highWaterMark: 64 * 1024 })
    this.#port = messagePort
    messagePort.on('message', (message: PortMessage) => this.#receive(message))
    // The other end is gone: without a word when its 'end' has not come.
    messagePort.on('close', () => {
      if (!this.readableEnded && !this.destroyed) this.destroy(new Error('the port was closed'))
    })
  }

  #receive(message: PortMessage): void {
    if (message === 'end') this.push(null)
    else if (message === 'taken') {
      const onTaken = this.#onTaken
      this.#onTaken = undefined
      onTaken?.()
    } else if (this.push(message)) this.#port.postMessage('taken')
    else this.#owesTaken = true
  }

  override _read(): void {
    if (!this.#owesTaken) return
    this.#owesTaken = false
    this.#port.postMessage('taken')
  }

  override _writev(chunks: { chunk: Buffer }[], callback: () => void): void {
    const bytes = new Uint8Array(chunks.reduce((sum, { chunk }) => sum + chunk.length, 0))
    let offset = 0
    for (const { chunk } of chunks) {
      bytes.set(chunk, offset)
      offset += chunk.length
    }
    this.#onTaken = callback
    this.#port.postMessage(bytes, [bytes.buffer])
  }

  override _final(callback: () => void): void {
    this.#port.postMessage('end')
    callback()
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    this.#port.close()
    callback(error)
  }
}

type ToBoard =
  | { readonly kind: 'listen' }
  | { readonly kind: 'unlisten' }
  | { readonly kind: 'dial'; readonly id: number; readonly to: number; readonly end: MessagePort }
type FromBoard =
  | { readonly kind: 'listening' }
  | { readonly kind: 'answer'; readonly id: number; readonly isThere: boolean }
  | { readonly kind: 'incoming'; readonly from: Endpoint; readonly end: MessagePort }

/** Hands the ends of channels to those who listen. It lives in one thread, its hosts anywhere. */
class Switchboard {
  readonly #listening = new Map<number, MessagePort>()

  /** A new host's line to the board. */
  line(number: number): MessagePort {
    const { port1: board, port2: host } = new MessageChannel()
    const tell = (line: MessagePort, message: FromBoard, ends: MessagePort[] = []): void =>
      line.postMessage(message, ends)
    board.on('message', (message: ToBoard) => {
      if (message.kind === 'listen') {
        this.#listening.set(number, board)
        tell(board, { kind: 'listening' })
      } else if (message.kind === 'unlisten') this.#listening.delete(number)
      else {
        const { id, to, end } = message
        const there = this.#listening.get(to)
        if (there === undefined) end.close()
        else tell(there, { kind: 'incoming', from: endpointOf(number, ephemeral(id)), end }, [end])
        tell(board, { kind: 'answer', id, isThere: there !== undefined })
      }
    })
    board.unref()
    return host
  }
}

/** The transport of host `number`, 1 to 65,535, on its line to the switchboard. */
function portTransport(number: number, line: MessagePort): Transport {
  const local = endpointOf(number)
  const dials = new Map<number, (isThere: boolean) => void>()
  let nextId = 0
  let listening: Parameters<NonNullable<Transport['listen']>>[0] | undefined
  let onListening: (() => void) | undefined

  line.on('message', (message: FromBoard) => {
    if (message.kind === 'listening') onListening?.()
    else if (message.kind === 'answer') dials.get(message.id)?.(message.isThere)
    else if (listening === undefined) message.end.close()
    else {
      const ends = { local, remote: message.from }
      listening(connectionFromDuplex(new PortStream(message.end), ends))
    }
  })
  const tell = (message: ToBoard, ends: MessagePort[] = []): void => line.postMessage(message, ends)
  /** The line keeps the thread alive while something is expected of it. */
  const hold = (): void => {
    if (dials.size > 0 || listening !== undefined) line.ref()
    else line.unref()
  }
  hold()

  return {
    name: 'message-port',
    defaultPort: port,

    async dial(address, { signal }) {
      signal.throwIfAborted()
      const to = numberOf(address)
      const { port1: ours, port2: end } = new MessageChannel()
      const id = nextId++
      let onAbort: (() => void) | undefined
      try {
        await new Promise<void>((resolve, reject) => {
          onAbort = () => reject(signal.reason)
          signal.addEventListener('abort', onAbort)
          dials.set(id, (isThere) => {
            if (isThere) resolve()
            else reject(new Error(`nobody listens at ${address.host}`))
          })
          hold()
          tell({ kind: 'dial', id, to, end }, [end])
        })
      } catch (error) {
        ours.close()
        throw error
      } finally {
        if (onAbort !== undefined) signal.removeEventListener('abort', onAbort)
        dials.delete(id)
        hold()
      }
      const ends = { local: endpointOf(number, ephemeral(id)), remote: address }
      return connectionFromDuplex(new PortStream(ours), ends)
    },

    async listen(onConnection) {
      if (listening !== undefined) {
        throw new HoldfastError('LISTEN_FAILED', `${local.host} listens already`)
      }
      listening = onConnection
      hold()
      const isListening = new Promise<void>((resolve) => (onListening = resolve))
      tell({ kind: 'listen' })
      await isListening
      return {
        endpoints: [local],
        close: async () => {
          if (listening !== onConnection) return
          listening = undefined
          hold()
          tell({ kind: 'unlisten' })
        },
      }
    },
  }
}

/** The suite, by the smallest test runner there is. */
async function runSuite(): Promise<number> {
  const board = new Switchboard()
  const tests: { name: string; body: () => Promise<void> }[] = []
  let hosts = 0
  transportSuite({
    test: (name, body) => tests.push({ name, body }),
    factory: () => {
      const [acceptor, dialler] = [(hosts += 1), (hosts += 1)]
      const [a, d] = [board.line(acceptor), board.line(dialler)]
      return {
        acceptor: portTransport(acceptor, a),
        dialler: portTransport(dialler, d),
        cleanup: async () => {
          a.close()
          d.close()
        },
      }
    },
  })
  for (const { name, body } of tests) {
    try {
      await body()
    } catch (cause) {
      throw new Error(`transportSuite: ${name}`, { cause })
    }
  }
  return tests.length
}

interface Orders {
  readonly number: number
  readonly others: readonly number[]
  readonly line: MessagePort
}

async function work({ number, others, line }: Orders, parent: MessagePort): Promise<void> {
  const node = createNode({
    network: 'threads',
    transport: portTransport(number, line),
    patienceMs: 0,
  })
  node.connections.handle('square', ([side = 0]) => Uint8Array.of(side * side))
  await node.start()
  parent.postMessage('started')
  await once(parent, 'message')
  const answers = await Promise.all(
    others.map(async (other) => {
      const peer = await node.connections.connect(endpointOf(other).host)
      const [square] = await peer.request('square', Uint8Array.of(other))
      return `${peer.ip} says ${square} (${peer.direction})`
    }),
  )
  assert.equal(node.peers().length, others.length)
  parent.postMessage(`${endpointOf(number).host}: ${answers.join(', ')}`)
  await once(parent, 'message')
  await node.stop()
}

async function runWorkers(): Promise<void> {
  const numbers = [1, 2, 3]
  const board = new Switchboard()
  const workers = numbers.map((number) => {
    const line = board.line(number)
    const orders = { number, others: numbers.filter((other) => other !== number), line }
    // This file again. A worker of Node.js 20 does not read TypeScript by itself, so tsx loads it.
    const here = JSON.stringify(import.meta.url)
    const program = `import('tsx/esm/api').then(({ tsImport }) => tsImport(${here}, ${here}))`
    return new Worker(program, { eval: true, workerData: orders, transferList: [line] })
  })
  const exits = workers.map((worker) => once(worker, 'exit'))
  const fromAll = (): Promise<unknown[]> =>
    Promise.all(workers.map(async (worker) => (await once(worker, 'message'))[0] as unknown))
  const toAll = (text: string): void => workers.forEach((worker) => worker.postMessage(text))
  await fromAll()
  toAll('dial')
  for (const line of await fromAll()) console.log(line)
  toAll('stop')
  assert.deepEqual(await Promise.all(exits), [[0], [0], [0]])
}

if (isMainThread) {
  console.log(`transportSuite: ${await runSuite()} tests passed`)
  await runWorkers()
} else if (parentPort !== null) {
  await work(workerData as Orders, parentPort)
  parentPort.close()
}
