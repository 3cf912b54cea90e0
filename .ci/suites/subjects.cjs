// What the four runners run the compliance suites against: two plugs that are right, and one that is not.
const { MemoryBlockStore } = require('holdfast')
const { memoryNetwork } = require('holdfast/memory')
const { blockStoreSuite, transportSuite } = require('holdfast/testing')

function memoryTransports() {
  const network = memoryNetwork()
  const acceptor = network.transport({ host: '10.0.0.1', port: 0 })
  return { acceptor, dialler: network.transport({ host: '10.0.0.2', port: 0 }) }
}

/** Its listeners go on accepting after they were closed. */
function deafTransports() {
  const { acceptor, dialler } = memoryTransports()
  const listen = async (onConnection, options) => {
    const listener = await acceptor.listen(onConnection, options)
    return { endpoints: listener.endpoints, close: async () => undefined }
  }
  return { acceptor: { name: 'deaf', defaultPort: acceptor.defaultPort, listen }, dialler }
}

exports.runSuites = (test) => {
  transportSuite({
    test: (name, body) => test(`transport: ${name}`, body),
    factory: process.env['HOLDFAST_DEAF'] === undefined ? memoryTransports : deafTransports,
  })
  blockStoreSuite({
    test: (name, body) => test(`store: ${name}`, body),
    factory: () => ({ store: new MemoryBlockStore() }),
  })
}
