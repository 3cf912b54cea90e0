import { createNode, formatEndpoint, type Node } from 'holdfast'
import { tcpTransport } from 'holdfast/tcp'
import { lifted } from './contestants/holdfast.js'
import type { RaceEnd } from './protocol.js'

/** A node that races another one for their one connection. */
export class RaceNode {
  readonly #node: Node
  #events = 0
  #disconnected: () => void = () => undefined

  constructor(ip: string) {
    this.#node = createNode({
      ...lifted,
      network: 'bench-race',
      transport: tcpTransport({ host: ip, port: 0 }),
    })
    this.#node.on('peerConnected', () => (this.#events += 1))
    this.#node.on('peerDisconnected', () => {
      this.#disconnected()
    })
  }

  async start(): Promise<string> {
    await this.#node.start()
    const [endpoint] = this.#node.connections.endpoints
    return endpoint === undefined ? '' : formatEndpoint(endpoint)
  }

  /** Dials at a moment of the wall clock, on which both processes agree. */
  async race(address: string, atMs: number): Promise<RaceEnd> {
    this.#events = 0
    while (Date.now() < atMs);
    const startedMs = performance.now()
    const peer = await this.#node.connections.connect(address)
    const settledMs = performance.now() - startedMs
    // What would come of the other dial has come by then.
    await new Promise((resolve) => setTimeout(resolve, 30))
    const { local, remote } = peer
    return {
      settledMs,
      events: this.#events,
      local: local === undefined ? '' : formatEndpoint(local),
      remote: formatEndpoint(remote),
    }
  }

  /** Ends the connection, whoever is first, and waits for that. */
  async over(): Promise<void> {
    const [peer] = this.#node.peers()
    if (peer === undefined) return
    const isOver = new Promise<void>((resolve) => (this.#disconnected = resolve))
    this.#node.connections.disconnect(peer.key)
    await isOver
  }
}
