import { expect, test } from 'vitest'
import { createNode } from 'holdfast'
import { tcpTransport } from 'holdfast/tcp'

const host = '127.0.0.1'

test("three nodes on one machine with three ports, all dialling each other at once, have one connection per pair (identity: 'endpoint')", async () => {
  const nodes = [1, 2, 3].map(() =>
    createNode({
      network: 'test',
      transport: tcpTransport({ host, port: 0 }),
      identity: 'endpoint',
    }),
  )
  try {
    await Promise.all(nodes.map((node) => node.start()))
    const keys = nodes.map(({ connections }) => `${host}:${connections.endpoints[0]!.port}`)
    const ended: string[] = []
    const connected = new Promise<void>((resolve) => {
      for (const [index, node] of nodes.entries()) {
        node.on('peerDisconnected', ({ peer, reason }) => {
          ended.push(`${keys[index]} lost ${peer.key}: ${reason.kind}`)
        })
        node.on('peerConnected', () => {
          if (nodes.every((each) => each.peers().length === 2)) resolve()
        })
      }
    })
    for (const [index, node] of nodes.entries()) {
      for (const key of keys) if (key !== keys[index]) node.connections.keep(key)
    }
    await connected
    // What lost a race is over when both ends have heard of it.
    while (nodes.some((node) => node.connections.status().handshaking > 0)) {
      await new Promise((resolve) => {
        setTimeout(resolve, 5)
      })
    }
    for (const [index, node] of nodes.entries()) {
      const others = keys.filter((_, other) => other !== index).sort()
      expect(node.peers().map((peer) => peer.key).sort()).toEqual(others) // prettier-ignore
      for (const peer of node.peers()) {
        const back = nodes[keys.indexOf(peer.key)]!.connections.peer(keys[index]!)!
        expect(back.remote.port).toBe(peer.local!.port)
        expect(back.local!.port).toBe(peer.remote.port)
      }
    }
    expect(ended).toEqual([])
  } finally {
    await Promise.all(nodes.map((node) => node.stop()))
  }
})
