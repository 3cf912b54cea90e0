import assert from 'node:assert/strict'
import type { Endpoint } from '../../contracts/transport.js'
import { formatEndpoint, tryParsePeerIp } from '../../rules/peer-ip.js'
import type { SuiteTest } from './bench.js'

export const listenerTests: readonly SuiteTest[] = [
  {
    name: 'a listener names the endpoints that it really has',
    body: async (bench) => {
      await bench.listen()
      const { endpoints } = bench.listener
      assert.ok(endpoints.length > 0, 'a listener names at least one endpoint')
      for (const endpoint of endpoints) {
        checkEndpoint(endpoint)
        assert.notEqual(endpoint.port, 0, 'endpoints carry the ports that the system chose')
      }
    },
  },
  {
    name: 'both ends name each other by the same addresses',
    body: async (bench) => {
      const { dialler, acceptor } = await bench.connect()
      const [d, a] = [dialler.connection, acceptor.connection]
      for (const endpoint of [d.remote, a.remote, d.local, a.local]) {
        if (endpoint !== undefined) checkEndpoint(endpoint)
      }
      if (d.local !== undefined) {
        assert.deepEqual(a.remote, d.local, "the acceptor's remote is the dialler's local")
      }
      if (a.local !== undefined) {
        assert.deepEqual(a.local, d.remote, "the acceptor's local is the dialler's remote")
      }
    },
  },
  {
    name: 'a listener that was closed accepts nothing more, and what it accepted goes on',
    body: async (bench) => {
      const { dialler, acceptor } = await bench.connect()
      const address = dialler.connection.remote
      await bench.settled(bench.listener.close(), 'close resolves while connections are open')
      await bench.settled(bench.listener.close(), 'closing again resolves too')
      const dialled = bench.settled(bench.dialRaw(address), 'a dial to nobody settles')
      await assert.rejects(dialled, Error, 'a dial rejects once the listener is closed')
      dialler.write(100_000)
      acceptor.write(100_000)
      await bench.received(acceptor, 100_000)
      await bench.received(dialler, 100_000)
      assert.equal(bench.accepted.length, 1, 'a closed listener accepts nothing')
    },
  },
]

function checkEndpoint(endpoint: Endpoint): void {
  const { host, port } = endpoint
  const [literal = '', zone] = host.split('%')
  const canonical = tryParsePeerIp(literal)
  assert.equal(
    literal,
    canonical,
    `a host is an IP literal in canonical form, but ${formatEndpoint(endpoint)} is not`,
  )
  assert.ok(zone === undefined || zone.length > 0, 'a zone is not empty')
  assert.ok(
    Number.isInteger(port) && port >= 0 && port <= 65_535,
    `a port is 0 to 65535, but ${formatEndpoint(endpoint)} is not`,
  )
}
