const assert = require('node:assert/strict')

/** Two nodes, on 127.0.0.1 and 127.0.0.2, connect over TCP, and a message goes each way. */
exports.exercise = async (core, plugs) => {
  const { LevelBlockStore, memoryNetwork, tcpTransport, tlsTransport, testing } = plugs
  const { createNode, PeerRegistry, ConnectionManager, PingMonitor, SyncCoordinator } = core
  const { transportSuite, blockStoreSuite } = testing
  for (const [name, value] of Object.entries({
    PeerRegistry,
    ConnectionManager,
    PingMonitor,
    SyncCoordinator,
    MemoryBlockStore: core.MemoryBlockStore,
    LevelBlockStore,
    memoryNetwork,
    tlsTransport,
    transportSuite,
    blockStoreSuite,
  })) {
    assert.equal(typeof value, 'function', name)
  }

  const start = async (host) => {
    const transport = tcpTransport({ host, port: 0 })
    const node = createNode({ network: 'smoke', transport })
    await node.start()
    return node
  }
  // Linux answers on all of 127.0.0.0/8; elsewhere there is one loopback address, so one node.
  if (process.platform !== 'linux') return
  const left = await start('127.0.0.1')
  const right = await start('127.0.0.2')
  try {
    assert(left.connections instanceof ConnectionManager)
    left.connections.handle('echo', (bytes, peer) => {
      assert.equal(peer.ip, '127.0.0.2')
      return bytes
    })
    const { port } = left.connections.endpoints[0]
    const peer = await right.connections.connect(`127.0.0.1:${port}`)
    assert.equal(peer.ip, '127.0.0.1')
    assert.deepEqual([...(await peer.request('echo', Uint8Array.of(1, 2, 3)))], [1, 2, 3])
  } finally {
    await right.stop()
    await left.stop()
  }
}
