import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { describe, expect, test } from 'vitest'
import * as core from '../../src/index.js'
import * as files from '../../src/adapters/files.js'
import * as level from '../../src/adapters/level-block-store.js'
import { HoldfastError, MemoryBlockStore, PeerRegistry, SyncCoordinator } from '../../src/index.js'
import { memoryNetwork } from '../../src/adapters/memory.js'
import { testChain, testChainRules } from '../../src/testing/index.js'

const root = fileURLToPath(new URL('../../', import.meta.url))
type Class = new (...parameters: never[]) => object

const exported: Record<string, unknown> = { ...core, ...files, ...level }
const classes = Object.entries(exported).filter(
  (entry): entry is [string, Class] =>
    typeof entry[1] === 'function' && /^class\b/.test(Function.prototype.toString.call(entry[1])),
)

const has = (each: Class, name: PropertyKey): boolean => name in (each.prototype as object)

describe('what has stop or close', () => {
  const stoppable = classes.filter(([, each]) => has(each, 'stop') || has(each, 'close'))

  test('is known', () => {
    expect(stoppable.map(([name]) => name).sort()).toEqual([
      'ConnectionManager',
      'FlatFileBlockStore',
      'LevelBlockStore',
      'MemoryBlockStore',
      'Node',
      'PeerMemory',
      'SyncCoordinator',
    ])
  })

  test.each(stoppable)('is AsyncDisposable: %s', (_, each) => {
    expect(has(each, Symbol.asyncDispose)).toBe(true)
  })

  test('is over at the end of an `await using` block', async () => {
    const store = new MemoryBlockStore()
    const chain = testChain({ length: 1 })
    const transport = memoryNetwork().transport({ host: '10.0.0.1' })
    const manager = new core.ConnectionManager({
      registry: new PeerRegistry(),
      transport,
      network: 'conventions',
    })
    const sync = new SyncCoordinator({ rules: testChainRules(chain), store })
    {
      await using opened = store
      await opened.open()
      await using started = manager
      await started.start()
      await using synced = sync
      await synced.start()
      expect(manager.status().state).toBe('running')
      expect(sync.phase.kind).toBe('idle')
    }
    expect(manager.status().state).toBe('stopped')
    expect(sync.phase.kind).toBe('stopped')
    await expect(store.tip()).rejects.toMatchObject({ code: 'STORE_CLOSED' })
  })
})

describe('every wait', () => {
  /** They end what waits, or are bounded by a limit of their own. */
  const exempt = new Set(['stop', 'close', 'open', 'start (PeerMemory)', '[Symbol.asyncDispose]'])

  test('takes an AbortSignal', () => {
    const config = ts.readConfigFile(join(root, 'tsconfig.json'), (path) => ts.sys.readFile(path))
    const { options } = ts.parseJsonConfigFileContent(config.config, ts.sys, root)
    const program = ts.createProgram(
      ['node', 'connection-manager', 'ping-monitor', 'sync-coordinator', 'peer-memory'].map(
        (name) => join(root, `src/${name}.ts`),
      ),
      options,
    )
    const checker = program.getTypeChecker()
    const waits: string[] = []
    const deaf: string[] = []
    const look = (owner: string, node: ts.MethodDeclaration | ts.MethodSignature): void => {
      const name = node.name.getText()
      if (name.startsWith('#') || exempt.has(name) || exempt.has(`${name} (${owner})`)) return
      const signature = checker.getSignatureFromDeclaration(node)
      if (signature === undefined) return
      const result = checker.typeToString(checker.getReturnTypeOfSignature(signature))
      if (!result.startsWith('Promise<')) return
      waits.push(name)
      const last = node.parameters.at(-1)
      const type = last && checker.getNonNullableType(checker.getTypeAtLocation(last))
      if (type?.getProperty('signal') === undefined) deaf.push(`${owner}.${name}`)
    }
    const files = ['node', 'connection-manager', 'ping-monitor', 'sync-coordinator', 'peer-memory']
    for (const path of [
      ...files.map((name) => `src/${name}.ts`),
      'src/contracts/peer-service.ts',
    ]) {
      program.getSourceFile(join(root, path))?.forEachChild((node) => {
        if (!ts.isClassDeclaration(node) && !ts.isInterfaceDeclaration(node)) return
        const owner = node.name?.text ?? ''
        for (const member of node.members) {
          if (ts.isMethodDeclaration(member) || ts.isMethodSignature(member)) look(owner, member)
        }
      })
    }
    expect(waits.length).toBeGreaterThanOrEqual(8)
    expect(deaf).toEqual([])
  })

  test('submit rejects with the reason of its signal, and its block may be stored all the same', async () => {
    const chain = testChain({ length: 2 })
    let letGo = (): void => undefined
    const held = new Promise<{ ok: true }>((resolve) => {
      letGo = () => {
        resolve({ ok: true })
      }
    })
    const rules = testChainRules(chain, {
      validate: ({ height }) => (height > 0 ? held : { ok: true }),
    })
    await using sync = new SyncCoordinator({ rules, store: new MemoryBlockStore() })
    await sync.start()
    const controller = new AbortController()
    const submitted = sync.submit(chain.at(1), { signal: controller.signal })
    const reason = new Error('no longer wanted')
    controller.abort(reason)
    await expect(submitted).rejects.toBe(reason)
    await expect(sync.submit(chain.at(1), { signal: controller.signal })).rejects.toBe(reason)
    letGo()
    await sync.waitForHeight(1)
    expect(sync.tip).toEqual(chain.tip)
  })
})

describe('an error', () => {
  test('is recognised by another copy of the library', () => {
    const brand = Symbol.for('holdfast.HoldfastError')
    const foreign = Object.assign(new Error('of another copy'), { code: 'ABORTED', [brand]: true })
    expect(foreign).not.toBeInstanceOf(HoldfastError)
    expect(HoldfastError.is(foreign)).toBe(true)
    expect(HoldfastError.is(foreign, 'ABORTED')).toBe(true)
    expect(HoldfastError.is(foreign, 'SELF')).toBe(false)
    expect(HoldfastError.is(Object.assign(new Error(), { code: 'ABORTED' }))).toBe(false)
    expect(brand in new HoldfastError('SELF', 'ours')).toBe(true)
  })
})

describe('the package', () => {
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    sideEffects: boolean
    exports: Record<string, string | Record<string, Record<string, string>>>
  }

  test('says that importing it does nothing', () => {
    expect(manifest.sideEffects).toBe(false)
  })

  test.each(Object.entries(manifest.exports).filter(([path]) => path !== './package.json'))(
    'gives %s as one copy to import and require, with types for each',
    (_, conditions) => {
      expect(Object.keys(conditions)).toEqual(['module-sync', 'import', 'require'])
      const {
        'module-sync': sync,
        import: imported,
        require: required,
      } = conditions as Record<string, Record<string, string>>
      expect(sync).toEqual(imported)
      expect(required!['types']).toBe(imported!['types']!.replace(/\.d\.ts$/, '.d.cts'))
      for (const each of [imported!, required!]) expect(Object.keys(each)[0]).toBe('types')
    },
  )
})
