// What a bundler makes of each entry: minified and compressed, with all dependencies but LevelDB, without
// Node.js's own modules. Each limit is about a tenth above what is there; raise one when what came is
// worth its size. The entries that import one class alone show that the rest is left out.
const forNode = (config) => ({
  ...config,
  platform: 'node',
  external: ['classic-level'],
  logLevel: 'error',
})

const bundle = (name, file, imported, limit) => ({
  name,
  path: `dist/${file}.js`,
  import: imported,
  limit,
  modifyEsbuildConfig: forNode,
})

export default [
  bundle('holdfast', 'index', '*', '78 kB'),
  bundle('holdfast, createNode alone', 'index', '{ createNode }', '78 kB'),
  bundle('holdfast, ConnectionManager alone', 'index', '{ ConnectionManager }', '55 kB'),
  bundle('holdfast, SyncCoordinator alone', 'index', '{ SyncCoordinator }', '25 kB'),
  bundle('holdfast, PeerRegistry alone', 'index', '{ PeerRegistry }', '11.5 kB'),
  bundle('holdfast, PingMonitor alone', 'index', '{ PingMonitor }', '10 kB'),
  bundle('holdfast, HoldfastError alone', 'index', '{ HoldfastError }', '0.5 kB'),
  bundle('holdfast/tcp', 'tcp', '*', '7.5 kB'),
  bundle('holdfast/tls', 'tls', '*', '10.5 kB'),
  bundle('holdfast/memory', 'memory', '*', '9.5 kB'),
  bundle('holdfast/files', 'files', '*', '11 kB'),
  bundle('holdfast/level', 'level', '*', '5.5 kB'),
  bundle('holdfast/testing', 'testing', '*', '26.5 kB'),
]
