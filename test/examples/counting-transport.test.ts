import { expect, test } from 'vitest'
import { memoryNetwork } from 'holdfast/memory'
import type { Transport } from 'holdfast'
import { SocketLedger } from '../../examples/demo/counting-transport.js'

const [a, b, c] = ['127.0.0.1', '127.0.0.2', '127.0.0.3'] as const
const forever = { signal: new AbortController().signal }
const deaf = { data: () => {}, drained: () => {}, closed: () => {} }

/** Three hosts that accept everything, with a ledger below them. */
async function threeHosts() {
  const network = memoryNetwork()
  const ledger = new SocketLedger()
  const transports = new Map<string, Transport>()
  const ports = new Map<string, number>()
  for (const host of [a, b, c]) {
    const transport = ledger.counting(network.transport({ host, port: 0 }), host)
    const listener = await transport.listen!((connection) => connection.open(deaf))
    transports.set(host, transport)
    ports.set(host, listener.endpoints[0]!.port)
  }
  const dial = async (from: string, to: string) => {
    const address = { host: to, port: ports.get(to)! }
    const connection = await transports.get(from)!.dial(address, forever)
    const ended = new Promise<void>((resolve) => {
      connection.open({ ...deaf, closed: () => resolve() })
    })
    return { connection, ended }
  }
  return { ledger, dial }
}

test('dials of both ends and their sockets are counted for the pair', async () => {
  const { ledger, dial } = await threeHosts()
  await Promise.all([dial(a, b), dial(b, a), dial(b, c)])
  expect(ledger.between(a, b)).toEqual({ ips: [a, b], dials: 2, sockets: 2, open: 2 })
  expect(ledger.between(c, b)).toEqual({ ips: [c, b], dials: 1, sockets: 1, open: 1 })
  expect(ledger.between(a, c)).toEqual({ ips: [a, c], dials: 0, sockets: 0, open: 0 })
})

test('a socket that either end closed is open no longer, and still counted', async () => {
  const { ledger, dial } = await threeHosts()
  const [first] = await Promise.all([dial(a, b), dial(b, a)])
  first.connection.close()
  await expect.poll(() => ledger.between(a, b)).toMatchObject({ sockets: 2, open: 1 })
})

test('what is destroyed between two hosts ends at both, and nothing else does', async () => {
  const { ledger, dial } = await threeHosts()
  const [first] = await Promise.all([dial(a, b), dial(b, c)])
  expect(ledger.destroyBetween(b, a)).toBe(1)
  await first.ended
  expect(ledger.between(a, b).open).toBe(0)
  expect(ledger.between(b, c).open).toBe(1)
  expect(ledger.destroyBetween(a, b)).toBe(0)
})
