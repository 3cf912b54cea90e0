import { createServer } from 'node:net'
import { memoryNetwork } from 'holdfast/memory'
import { tcpTransport } from 'holdfast/tcp'
import type { Transport } from 'holdfast'
import type { Report } from './report.js'

/** How the demo's nodes reach each other: each has an IP of its own, and a port that the system chooses. */
export interface DemoNetwork {
  readonly name: 'tcp' | 'memory'
  /** What the name means, for people. */
  readonly means: string
  transport(host: string): Transport
}

/** The IP of the node with this number, counted from 1. */
export const ipOf = (number: number): string => `127.0.0.${number}`

/**
 * Real sockets, or pipes in this process where they are asked for or the system has only one loopback
 * address: then it says so.
 */
export async function chooseNetwork(
  wanted: 'tcp' | 'memory',
  nodes: number,
  report: Report,
): Promise<DemoNetwork> {
  if (wanted === 'memory') return inMemoryNetwork()
  const missing = await firstMissingIp(nodes)
  if (missing === undefined) return tcpNetwork()
  report.line(
    `This system does not answer on ${missing} (macOS does not), and each node needs an IP of its own:` +
      ' the nodes are joined by pipes in memory instead of TCP.',
  )
  return inMemoryNetwork()
}

const tcpNetwork = (): DemoNetwork => ({
  name: 'tcp',
  means: 'TCP',
  transport: (host) => tcpTransport({ host, port: 0 }),
})

/** With the delay of a network in one building. */
function inMemoryNetwork(): DemoNetwork {
  const network = memoryNetwork({ latencyMs: [0.2, 1] })
  return {
    name: 'memory',
    means: 'pipes in memory',
    transport: (host) => network.transport({ host, port: 0 }),
  }
}

/** Linux and Windows answer on all of 127.0.0.0/8, macOS on 127.0.0.1 only. */
async function firstMissingIp(nodes: number): Promise<string | undefined> {
  for (let number = 1; number <= nodes; number++) {
    if (!(await canListen(ipOf(number)))) return ipOf(number)
  }
  return undefined
}

const canListen = (host: string): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ host, port: 0 }, () => server.close(() => resolve(true)))
  })
