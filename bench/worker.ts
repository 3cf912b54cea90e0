/** One process of the benchmark: serves a contestant, or drives one. It ends with its parent. */
import { serveChain, syncChain } from './chain.js'
import { contestant } from './contestants/all.js'
import type { Client, Link, Service } from './contestants/contestant.js'
import { flood, inFlight, roundTrips } from './load.js'
import { RaceNode } from './race-node.js'
import type { Answer, OrderName, Orders, Request } from './protocol.js'

type Handlers = {
  readonly [Name in OrderName]: (
    order: Orders[Name]['order'],
  ) => Orders[Name]['answer'] | Promise<Orders[Name]['answer']>
}

let service: Service | undefined
let raceNode: RaceNode | undefined
let openLink: Link | undefined
const clients: Client[] = []
let sent = 0
let clientsMade = 0
let clientsDialled = 0

const link = (): Link => {
  if (openLink === undefined) throw new Error('there is no link')
  return openLink
}

const handlers: Handlers = {
  serve: async ({ contestant: name }) => {
    service = await (await contestant(name)).serve()
    return service.address
  },
  received: () => service?.received() ?? 0,
  sent: () => sent,
  startPings: () => {
    service?.startPings()
    return null
  },
  link: async ({ contestant: name, address }) => {
    openLink = await (await (await contestant(name)).client('127.0.0.2')).connect(address)
    return null
  },
  flood: async (order) => {
    const { messages, seconds } = await flood(link(), order)
    sent += messages
    return messages / seconds
  },
  roundTrips: (order) => roundTrips(link(), order),
  inFlight: (order) => inFlight(link(), order),
  prepare: async ({ contestant: name, count }) => {
    const made = await contestant(name)
    for (let index = 0; index < count; index += 1) {
      clientsMade += 1
      clients.push(await made.client(loopbackAddress(clientsMade)))
    }
    return null
  },
  dial: async ({ address, count, atOnce }) => {
    const dialling = clients.slice(clientsDialled, clientsDialled + count)
    clientsDialled += count
    const question = new Uint8Array(64).fill(1)
    const startedMs = performance.now()
    const dialNext = async (): Promise<void> => {
      for (let client = dialling.shift(); client !== undefined; client = dialling.shift()) {
        const opened = await client.connect(address)
        await new Promise<void>((resolve) => {
          opened.request(question, resolve)
        })
      }
    }
    await Promise.all(Array.from({ length: atOnce }, dialNext))
    return (performance.now() - startedMs) / 1_000
  },
  serveChain,
  sync: syncChain,
  raceNode: ({ ip }) => {
    raceNode = new RaceNode(ip)
    return raceNode.start()
  },
  race: ({ address, atMs }) => {
    if (raceNode === undefined) throw new Error('there is no node')
    return raceNode.race(address, atMs)
  },
  raceOver: async () => {
    await raceNode?.over()
    return null
  },
  memory: () => {
    // Finalizers of one collection free what the next one finds.
    for (let times = 0; times < 4; times += 1) gc?.()
    const { heapUsed, external } = process.memoryUsage()
    return { heapBytes: heapUsed, externalBytes: external }
  },
  cpu: () => {
    const { user, system } = process.cpuUsage()
    return (user + system) / 1_000
  },
}

/** 127.1.0.1, 127.1.0.2 and so on: Linux answers on all of them. */
function loopbackAddress(number: number): string {
  return `127.${1 + Math.floor(number / 62_500)}.${Math.floor(number / 250) % 250}.${1 + (number % 250)}`
}

async function answer<Name extends OrderName>({ id, name, order }: Request<Name>): Promise<Answer> {
  try {
    return { id, value: await handlers[name](order) }
  } catch (error) {
    return { id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) }
  }
}

process.on('message', (request: Request) => {
  void answer(request).then((told) => process.send?.(told))
})
process.on('disconnect', () => process.exit())
