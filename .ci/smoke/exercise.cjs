const assert = require('node:assert/strict')

/** Two nodes, on 127.0.0.1 and 127.0.0.2, connect over TCP, and a message goes each way. */
exports.exercise = async (core, { LevelBlockStore, memoryNetwork, tcpTransport, testing }) => {
  const { createNode, ...parts } = core
  for (const name of ['PeerRegistry', 'ConnectionManager', 'PingMonitor', 'SyncCoordinator']) {
    assert.equal(typeof parts[name], 'function', name)
  }
  assert.equal(typeof core.MemoryBlockStore, 'function')
  assert.equal(typeof LevelBlockStore, 'function')
  assert.equal(typeof memoryNetwork, 'function')
  assert.equal(typeof testing.transportSuite, 'function')
  assert.equal(typeof testing.blockStoreSuite, 'function')

  const network = 'smoke'
  const left = createNode({
    network,
    transport: tcpTransport({ host: '127.0.0.1', port: 24191, localAddress: '127.0.0.1' }),
  })
  const right = createNode({
    network,
    transport: tcpTransport({ host: '127.0.0.2', port: 24191, localAddress: '127.0.0.2' }),
    peers: ['127.0.0.1:24191'],
  })
  try {
    const question = new Promise((resolve) => {
      left.connections.handle('question', (bytes, peer) => {
        peer.send('answer', bytes)
        resolve(peer.ip)
      })
    })
    const answer = new Promise((resolve) => {
      right.connections.handle('answer', (bytes) => {
        resolve([...bytes])
      })
    })
    right.connections.on('peerConnected', ({ peer }) => {
      peer.send('question', Uint8Array.of(1, 2, 3))
    })
    await left.start()
    await right.start()
    assert.equal(await question, '127.0.0.2')
    assert.deepEqual(await answer, [1, 2, 3])
  } finally {
    await right.stop()
    await left.stop()
  }
}
