import { expect, test } from 'vitest'
import { createNode, type Node } from 'holdfast'
import { tcpTransport } from 'holdfast/tcp'

const node = (host: string): Node =>
  createNode({ network: 'names', transport: tcpTransport({ host, port: 0 }) })

test('over TCP, a name of the system is connected to, kept, and told when it stands for nobody', async () => {
  const [left, right] = [node('127.0.0.1'), node('127.0.0.1')]
  try {
    await Promise.all([left.start(), right.start()])
    const name = `localhost:${right.connections.endpoints[0]?.port}`
    const peer = await left.connections.connect(name)
    expect(peer.ip).toBe('127.0.0.1')
    const failed = new Promise((resolve) => left.connections.once('resolveFailed', resolve))
    // RFC 6761, section 6.4: there is no such name.
    left.connections.keep('holdfast.invalid')
    expect(await failed).toMatchObject({
      name: 'holdfast.invalid',
      error: { code: 'RESOLVE_FAILED' },
    })
    const kept = new Promise((resolve) => right.connections.once('peerConnected', resolve))
    peer.close()
    left.connections.keep(name)
    await kept
  } finally {
    await Promise.all([left.stop(), right.stop()])
  }
})
