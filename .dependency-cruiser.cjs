// The layers of docs/ARCHITECTURE.md. Each rule says what one layer may import; the rest is forbidden.

const npm = (name) => `(^|/)node_modules/${name}/`

const MANAGERS = 'connection-manager|peer-exchange|peer-memory|ping-monitor|sync-coordinator'
const ROOT_FILE = '^src/[^/]+\\.ts$'
const ROOT_PACKAGES = [npm('p-queue'), npm('debug'), npm('@types/debug')]
const ENTRIES = '^src/(index|adapters/(files|tcp|tls|memory|level-block-store)|testing/index)\\.ts$'

const layer = (name, from, mayImport, fromNot) => ({
  name,
  severity: 'error',
  from: { path: from, ...(fromNot === undefined ? {} : { pathNot: fromNot }) },
  to: { pathNot: mayImport },
})

module.exports = {
  forbidden: [
    layer('contracts', '^src/contracts/', ['^src/contracts/', '^src/errors\\.ts$']),
    {
      name: 'contracts-know-errors-as-types-only',
      severity: 'error',
      from: { path: '^src/contracts/' },
      to: { path: '^src/errors\\.ts$', dependencyTypesNot: ['type-only'] },
    },
    layer('errors', '^src/errors\\.ts$', ['^src/contracts/']),
    layer('events', '^src/events\\.ts$', [
      '^src/contracts/',
      '^src/errors\\.ts$',
      '^events$',
      npm('typed-emitter'),
    ]),
    layer('rules', '^src/rules/', [
      '^src/rules/',
      '^src/contracts/',
      '^src/errors\\.ts$',
      npm('ipaddr\\.js'),
    ]),
    layer('wire', '^src/wire/', [
      '^src/wire/',
      '^src/contracts/',
      '^src/errors\\.ts$',
      '^src/rules/peer-ip\\.ts$',
      npm('cborg'),
    ]),
    layer(
      'root',
      ROOT_FILE,
      [
        '^src/(connection|registry|sync|rules|wire|contracts)/',
        ROOT_FILE,
        '^events$',
        ...ROOT_PACKAGES,
      ],
      '^src/(index|node|defaults|errors|events)\\.ts$',
    ),
    layer('connection', '^src/connection/', [
      '^src/(connection|rules|wire|contracts)/',
      ROOT_FILE,
      ...ROOT_PACKAGES,
    ]),
    layer('registry', '^src/registry/', [
      '^src/(registry|rules|contracts)/',
      '^src/(errors|events|priority-queue|recent-map|slot)\\.ts$',
    ]),
    layer('sync', '^src/sync/', [
      '^src/(sync|rules|contracts)/',
      ROOT_FILE,
      npm('debug'),
      npm('@types/debug'),
    ]),
    {
      name: 'sync-is-of-the-sync-coordinator',
      severity: 'error',
      from: { path: '^src/(ping-monitor|connection-manager)\\.ts$' },
      to: { path: '^src/sync/', reachable: true },
    },
    {
      name: 'connection-is-of-the-connection-manager',
      severity: 'error',
      from: { path: '^src/(ping-monitor|sync-coordinator)\\.ts$' },
      to: { path: '^src/connection/', reachable: true },
    },
    {
      name: 'parts-do-not-know-managers',
      severity: 'error',
      from: { path: '^src/(connection|registry|sync|rules|wire|contracts)/' },
      to: { path: `^src/(${MANAGERS})\\.ts$` },
    },
    layer('assembly', '^src/(index|node|defaults)\\.ts$', [
      '^src/(connection|registry|sync|rules|wire|contracts)/',
      ROOT_FILE,
      '^src/adapters/(block-store-checks|memory-block-store|system-clock|system-random)\\.ts$',
    ]),
    layer('adapters', '^src/adapters/', [
      '^src/(adapters|contracts)/',
      '^src/errors\\.ts$',
      '^src/rules/peer-ip\\.ts$',
      npm('classic-level'),
      npm('abstract-level'),
      '^[a-z_/]+$',
    ]),
    layer('testing', '^src/testing/', ['^src/', '^[a-z_/]+$']),
    {
      name: 'known-places',
      comment: 'A new folder needs a layer of its own here.',
      severity: 'error',
      from: {},
      to: {
        path: '^src/',
        pathNot: [
          '^src/(contracts|rules|wire|connection|registry|sync|adapters|testing)/',
          ROOT_FILE,
        ],
      },
    },
    {
      name: 'managers-do-not-know-each-other',
      comment: 'node.ts joins them.',
      severity: 'error',
      from: { path: `^src/(${MANAGERS})\\.ts$` },
      to: { path: `^src/(${MANAGERS})\\.ts$`, pathNot: '^src/$1\\.ts$', reachable: true },
    },
    {
      name: 'nobody-imports-index',
      severity: 'error',
      from: {},
      to: { path: '^src/index\\.ts$' },
    },
    {
      name: 'only-index-imports-node',
      severity: 'error',
      from: { pathNot: ['^src/index\\.ts$', '^src/testing/'] },
      to: { path: '^src/node\\.ts$' },
    },
    {
      name: 'nobody-imports-testing',
      severity: 'error',
      from: { pathNot: '^src/testing/' },
      to: { path: '^src/testing/' },
    },
    {
      name: 'node-modules-only-at-the-edges',
      comment: 'The core runs in a browser; bare `events` is an npm package too.',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(adapters|testing)/' },
      to: { dependencyTypes: ['core'], pathNot: '^events$' },
    },
    {
      name: 'no-dev-dependencies-in-src',
      comment: 'typed-emitter is types only, and inlined into the published types.',
      severity: 'error',
      from: { path: '^src/' },
      to: { dependencyTypes: ['npm-dev'], pathNot: npm('(typed-emitter|@types)') },
    },
    {
      name: 'resolvable',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: 'no-cycles',
      comment: 'At run time. A type may name its counterpart in the same folder.',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'no-cycles-across-folders',
      comment: 'Not even of types; contracts and errors.ts alone may refer to each other.',
      severity: 'error',
      from: { path: '^src/([^/]+)/', pathNot: '^src/contracts/' },
      to: { circular: true, via: { pathNot: '^src/$1/' } },
    },
    {
      name: 'no-orphans',
      severity: 'error',
      from: { path: ENTRIES },
      to: { path: '^src/', pathNot: ENTRIES, reachable: false },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
    },
  },
}
