/**
 * Connections that cycle, and connections that do not: two timelines of the same race on real sockets.
 *
 * The old way names its peers "IP:port". An inbound socket comes from an ephemeral port, so the machine
 * that is dialled at port 24100 comes in as a stranger: both ends dial, and both have two sockets. A
 * clean-up then finds two connections to one IP and keeps the one that this end dialled; the other end
 * keeps the one that it dialled; so both are closed, both ends dial again, and so on for ever.
 * Below it, two holdfast nodes dial each other in the same moment and are watched for the same time.
 *
 * It needs 127.0.0.1 and 127.0.0.2, and says so where the second is missing (macOS).
 *
 * Run it: npx tsx examples/cycling-stopped.ts
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { createNode } from 'holdfast'
import { tcpTransport } from 'holdfast/tcp'

const hosts = ['127.0.0.1', '127.0.0.2'] as const
const watchMs = 3_000
const sampleMs = 50
/** Every 90 seconds in the field; here life is faster. */
const cleanUpMs = 400

interface Timeline {
  /** How many connections there were at each moment, at the end that had fewer. */
  readonly samples: readonly number[]
  readonly opened: number
  readonly closed: number
}

/** A node as it should not be. */
class IpPortNode {
  /** By "IP:port", as the socket shows it. */
  readonly peers = new Map<string, { readonly socket: Socket; readonly isOurs: boolean }>()
  opened = 0
  closed = 0
  readonly #host: string
  readonly #server: Server
  #cleaning: NodeJS.Timeout | undefined
  #isStopped = false
  #wanted: { readonly host: string; readonly port: number } | undefined

  constructor(host: string) {
    this.#host = host
    this.#server = createServer((socket) => this.#add(socket, false))
  }

  async listen(): Promise<number> {
    this.#server.listen(0, this.#host)
    await once(this.#server, 'listening')
    return (this.#server.address() as AddressInfo).port
  }

  keep(host: string, port: number): void {
    this.#wanted = { host, port }
    this.#dialWanted()
    this.#cleaning = setInterval(() => this.#cleanUp(), cleanUpMs)
  }

  stop(): void {
    this.#isStopped = true
    clearInterval(this.#cleaning)
    for (const { socket } of this.peers.values()) socket.destroy()
    this.#server.close()
  }

  #dialWanted(): void {
    if (this.#wanted === undefined || this.#isStopped) return
    const { host, port } = this.#wanted
    // The peer that came in from an ephemeral port is somebody else, by this name.
    if (this.peers.has(`${host}:${port}`)) return
    const socket = connect({ host, port, localAddress: this.#host })
    socket.once('connect', () => this.#add(socket, true))
    socket.on('error', () => socket.destroy())
  }

  #add(socket: Socket, isOurs: boolean): void {
    const name = `${socket.remoteAddress}:${socket.remotePort}`
    this.peers.set(name, { socket, isOurs })
    this.opened += 1
    socket.on('error', () => socket.destroy())
    socket.resume()
    socket.once('close', () => {
      this.peers.delete(name)
      if (!this.#isStopped) this.closed += 1
    })
  }

  /** Two connections to one IP: one must go. Each end keeps its own, for that is the one it knows. */
  #cleanUp(): void {
    const all = [...this.peers.values()]
    const ips = all.map(({ socket }) => socket.remoteAddress)
    for (const [index, { socket, isOurs }] of all.entries()) {
      const isOneOfTwo = ips.filter((ip) => ip === ips[index]).length > 1
      if (isOneOfTwo && !isOurs) socket.destroy()
    }
    this.#dialWanted()
  }
}

async function watch(count: () => number): Promise<number[]> {
  const samples: number[] = []
  for (let passedMs = 0; passedMs < watchMs; passedMs += sampleMs) {
    samples.push(count())
    await setTimeout(sampleMs)
  }
  return samples
}

async function oldWay(): Promise<Timeline> {
  const nodes = hosts.map((host) => new IpPortNode(host))
  const ports = await Promise.all(nodes.map((node) => node.listen()))
  const [a, b] = nodes as [IpPortNode, IpPortNode]
  a.keep(hosts[1], ports[1]!)
  b.keep(hosts[0], ports[0]!)
  const samples = await watch(() => Math.min(a.peers.size, b.peers.size))
  const timeline = { samples, opened: a.opened, closed: a.closed }
  for (const node of nodes) node.stop()
  return timeline
}

async function ourWay(): Promise<Timeline> {
  const nodes = hosts.map((host) =>
    createNode({
      network: 'cycling',
      transport: tcpTransport({ host, port: 0 }),
      // Both dial at once: the same race.
      patienceMs: 0,
    }),
  )
  let [opened, closed] = [0, 0]
  const [a, b] = nodes as [(typeof nodes)[0], (typeof nodes)[0]]
  a.on('peerConnected', () => (opened += 1))
  a.on('peerDisconnected', () => (closed += 1))
  await Promise.all(nodes.map((node) => node.start()))
  a.connections.keep(`${hosts[1]}:${b.connections.endpoints[0]!.port}`)
  b.connections.keep(`${hosts[0]}:${a.connections.endpoints[0]!.port}`)
  const samples = await watch(() => Math.min(a.peers().length, b.peers().length))
  const timeline = { samples, opened, closed }
  await Promise.all(nodes.map((node) => node.stop()))
  return timeline
}

/** One sign for each sample: nothing, one connection, or two where one should be. */
const signs = ['·', '█', '▓']

function show(title: string, { samples, opened, closed }: Timeline): void {
  const line = samples.map((count) => signs[Math.min(count, 2)]).join('')
  console.log(`${title}\n  ${line}`)
  console.log(`  ${opened} established, ${closed} closed in ${watchMs / 1_000} s\n`)
}

async function canListen(host: string): Promise<boolean> {
  const server = createServer().listen(0, host)
  try {
    await once(server, 'listening')
    return true
  } catch {
    return false
  } finally {
    server.close()
  }
}

if (await canListen(hosts[1])) {
  console.log(`${signs[0]} none   ${signs[1]} one connection   ${signs[2]} two\n`)
  const old = await oldWay()
  show('Peers by "IP:port", a clean-up at each end:', old)
  const ours = await ourWay()
  show('holdfast:', ours)
  assert(old.closed >= 4, 'the old way cycles')
  assert(old.samples.includes(2), 'both ends have two connections, again and again')
  assert.deepEqual([ours.opened, ours.closed], [1, 0], 'one connection, and it stays')
  const first = ours.samples.indexOf(1)
  assert(first >= 0 && ours.samples.slice(first).every((count) => count === 1))
} else console.log(`skipped: this system has no ${hosts[1]}`)
