import { expect, test } from 'vitest'
import { tcpTransport } from '../../src/adapters/tcp.js'
import { createNode } from '../../src/node.js'

const host = '127.0.0.1'
const node = () =>
  createNode({
    network: 'test',
    transport: tcpTransport({ host, port: 0 }),
    identity: 'endpoint',
    peerExchange: { askIntervalMs: 50, answerIntervalMs: 1 },
  })

test('three nodes on one machine find each other, and nobody takes himself for a peer (F31)', async () => {
  const [a, b, c] = [node(), node(), node()]
  const all = [a, b, c]
  try {
    await Promise.all(all.map((each) => each.start()))
    const [, middle, last] = all.map(
      ({ connections }) => `${host}:${connections.endpoints[0]!.port}`,
    )
    const found = new Promise<void>((resolve) => {
      a.on('peerConnected', ({ peer }) => {
        if (peer.key === last) resolve()
      })
    })
    await Promise.all([a.connections.connect(middle!), c.connections.connect(middle!)])
    await found
    expect(
      a
        .peers()
        .map(({ key }) => key)
        .sort(),
    ).toEqual([middle, last].sort())
    for (const { registry } of all) expect(registry.size).toBe(2)
  } finally {
    await Promise.all(all.map((each) => each.stop()))
  }
})
