import { mkdir, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { filePeerStore } from '../../src/adapters/file-peer-store.js'
import type { RegistrySnapshot } from '../../src/contracts/peer-store.js'
import { PeerMemory } from '../../src/peer-memory.js'
import { PeerRegistry } from '../../src/peer-registry.js'
import { killWhileSaving } from '../support/kill-while-saving.js'

let folder: string
let path: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'holdfast-peers-'))
  path = join(folder, 'peers.json')
})
afterEach(async () => {
  await rm(folder, { recursive: true })
})

const snapshot = (round: number, host = '10.0.0.1'): RegistrySnapshot => ({
  version: 1,
  savedAtUnixMs: round,
  peers: [{ host, source: 'added', firstSeenUnixMs: round, timesConnected: 0 }],
  bans: [{ ip: '2001:db8::1', reason: 'no “good”', sinceUnixMs: 1, untilUnixMs: 2 }],
})

describe('a file of known peers', () => {
  test('gives back what was saved last', async () => {
    const store = filePeerStore(join(folder, 'a', 'b', 'peers.json'))
    expect(await store.load()).toEqual({ snapshot: undefined })
    await store.save(snapshot(1))
    await store.save(snapshot(2))
    expect(await store.load()).toEqual({ snapshot: snapshot(2) })
    expect(await filePeerStore(join(folder, 'a', 'b', 'peers.json')).load()).toEqual({
      snapshot: snapshot(2),
    })
    expect((await readdir(join(folder, 'a', 'b'))).sort()).toEqual([
      'peers.json',
      'peers.json.previous',
    ])
  })

  test('that was deleted is a fresh start', async () => {
    const store = filePeerStore(path)
    await store.save(snapshot(1))
    await store.save(snapshot(2))
    await rm(path)
    expect(await store.load()).toEqual({ snapshot: undefined })
  })

  test.each([
    { what: 'empty', damage: () => writeFile(path, ''), why: /empty/ },
    { what: 'foreign', damage: () => writeFile(path, '{"peers":[]}'), why: /no file of known/ },
    { what: 'binary', damage: () => writeFile(path, Buffer.alloc(999, 0xff)), why: /no file/ },
    { what: 'torn at the end', damage: () => cut(-1), why: /torn/ },
    { what: 'torn in the first line', damage: () => cut(20), why: /no file/ },
    { what: 'torn in the middle', damage: () => cut(100), why: /torn/ },
    { what: 'changed in one byte', damage: flip, why: /torn/ },
    { what: 'huge', damage: () => truncate(path, 65 * 1024 * 1024), why: /too large/ },
  ])(
    'that is $what is set aside and reported, and the previous one serves',
    async ({ damage, why }) => {
      const store = filePeerStore(path)
      await store.save(snapshot(1))
      await store.save(snapshot(2))
      await damage()
      const loaded = await store.load()
      expect(loaded).toMatchObject({ snapshot: snapshot(1), damage: { code: 'STORE_CORRUPT' } })
      expect(loaded.damage?.message).toMatch(why)
      expect(loaded.damage?.message).toContain(`${path}.damaged`)
      // It is found there, and the next start is like any other.
      await stat(`${path}.damaged`)
      expect(await store.load()).toEqual({ snapshot: snapshot(1) })
      await store.save(snapshot(3))
      expect(await store.load()).toEqual({ snapshot: snapshot(3) })
    },
  )

  test('that is torn where there is no previous one, or a torn one, is an empty start', async () => {
    const store = filePeerStore(path)
    await store.save(snapshot(1))
    await cut(50)
    expect(await store.load()).toMatchObject({ snapshot: undefined, damage: {} })
    await store.save(snapshot(2))
    await store.save(snapshot(3))
    await cut(50)
    await truncate(`${path}.previous`, 10)
    expect(await store.load()).toMatchObject({ snapshot: undefined, damage: {} })
    expect(await store.load()).toEqual({ snapshot: undefined })
  })

  test('never overwrites the first that was set aside, and keeps nine of them', async () => {
    const store = filePeerStore(path)
    for (let round = 1; round <= 12; round++) {
      await writeFile(path, `mine ${round}`)
      await store.load()
    }
    expect(await readFile(`${path}.damaged`, 'utf8')).toBe('mine 1')
    expect(await readFile(`${path}.damaged-9`, 'utf8')).toBe('mine 12')
    expect(await readdir(folder)).toHaveLength(9)
  })

  test('that cannot be read or written rejects, and nothing is set aside', async () => {
    await mkdir(path)
    const store = filePeerStore(path)
    await expect(store.load()).rejects.toMatchObject({ code: 'EISDIR' })
    await expect(store.save(snapshot(1))).rejects.toMatchObject({ code: 'EISDIR' })
    await writeFile(join(folder, 'file'), '')
    await expect(filePeerStore(join(folder, 'file', 'peers')).save(snapshot(1))).rejects.toThrow()
  })

  test('serves a registry: it comes back with its bans', async () => {
    const first = new PeerRegistry()
    const memory = new PeerMemory({ registry: first, store: filePeerStore(path) })
    await memory.start()
    first.add('10.0.0.1:25000')
    first.ban('10.0.0.2', { reason: 'test' })
    await memory.stop()
    const second = new PeerRegistry()
    const again = new PeerMemory({ registry: second, store: filePeerStore(path) })
    await again.start()
    await again.stop()
    expect(second.get('10.0.0.1')).toMatchObject({ listeningPort: 25_000 })
    expect(second.bans()).toEqual(first.bans())
  })

  test('a path that is none is refused', () => {
    expect(() => filePeerStore('')).toThrow(TypeError)
    expect(() => filePeerStore(undefined as never)).toThrow(TypeError)
  })

  async function cut(length: number): Promise<void> {
    const { size } = await stat(path)
    await truncate(path, length < 0 ? size + length : length)
  }

  async function flip(): Promise<void> {
    const bytes = await readFile(path)
    bytes[70] = (bytes[70] ?? 0) ^ 1
    await writeFile(path, bytes)
  }
})

test('a process that is killed while it saves leaves a whole file, twenty times of twenty', async () => {
  const lanes = await Promise.all([1, 2, 3, 4].map((seed) => killWhileSaving(5, seed)))
  expect(Math.min(...lanes)).toBeGreaterThan(5)
})
