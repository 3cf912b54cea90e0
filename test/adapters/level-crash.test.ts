import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { LevelBlockStore } from '../../src/adapters/level-block-store.js'
import type { BlockRef } from '../../src/contracts/block-store.js'
import { SeededRandom } from '../../src/testing/seeded-random.js'
import { testBlockHash } from '../../src/testing/test-chain.js'

const writer = fileURLToPath(new URL('../support/write-until-killed.ts', import.meta.url))

/** What is to be done when the writer has said a line. */
type Listener = (said: readonly string[], kill: () => void) => Promise<void> | void

/** Runs the writer until `listener` kills it, and returns all that it said until then. */
async function runWriter(location: string, seed: number, listener: Listener): Promise<string[]> {
  const child = spawn(process.execPath, ['--import', 'tsx', writer, location, String(seed)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const closed = once(child, 'close')
  const said: string[] = []
  try {
    for await (const line of createInterface(child.stdout)) {
      said.push(line)
      await listener(said, () => child.kill('SIGKILL'))
    }
  } finally {
    child.kill('SIGKILL')
    await closed
  }
  expect(child.signalCode).toBe('SIGKILL')
  return said
}

const lastRef = (said: readonly string[], what: 'try' | 'done'): BlockRef | null | undefined => {
  const [, height, hash] = said.findLast((line) => line.startsWith(what))?.split(' ') ?? []
  return height === undefined || hash === undefined ? undefined : { height: Number(height), hash }
}

/** Opens the store, checks all of it, and returns its tip. */
async function checkedTip(location: string): Promise<BlockRef | null> {
  const store = new LevelBlockStore({ location, verify: 'all' })
  await store.open()
  try {
    expect(store.repairs).toEqual([])
    const [base, tip] = [await store.base(), await store.tip()]
    if (base === null) return tip
    const blocks = await store.range(base.height, { limit: 1e9, maxBytes: 1e12 })
    expect(blocks.at(-1)).toMatchObject(tip!)
    for (const [index, { height, hash, previousHash, payload }] of blocks.entries()) {
      expect(height).toBe(base.height + index)
      expect(hash).toBe(testBlockHash(previousHash, payload))
      if (index > 0) expect(previousHash).toBe(blocks[index - 1]!.hash)
    }
    return tip
  } finally {
    await store.close()
  }
}

async function crashAgainAndAgain(seed: number, rounds: number): Promise<void> {
  const random = new SeededRandom(seed)
  const location = await mkdtemp(join(tmpdir(), 'holdfast-crash-'))
  try {
    let tip: BlockRef | null = null
    for (let round = 0; round < rounds; round++) {
      // In the opening, in the first write, or in a later one.
      const lines = random.pick([1, 2, random.integer(3, 20)])
      // A different while after the line, so that every part of a write is hit.
      const waitMs = random.integer(0, 12)
      const said = await runWriter(location, random.integer(0, 1e9), ({ length }, kill) => {
        if (length === lines) setTimeout(kill, waitMs)
      })
      const confirmed = lastRef(said, 'done') ?? tip
      const possible = [confirmed, lastRef(said, 'try') ?? tip]
      tip = await checkedTip(location)
      expect(possible, `seed ${seed}, round ${round}`).toContainEqual(tip)
    }
  } finally {
    await rm(location, { recursive: true })
  }
}

describe('LevelBlockStore in a process that is killed', () => {
  test('holds a whole chain with every confirmed write, whenever it is killed (F107, G8)', async () => {
    const seed = 20_260_101
    await Promise.all([crashAgainAndAgain(seed, 10), crashAgainAndAgain(seed + 1, 10)])
  })

  test('cannot be opened by another process while it lives, and can when it is dead', async () => {
    const location = await mkdtemp(join(tmpdir(), 'holdfast-crash-'))
    try {
      await runWriter(location, 1, async (said, kill) => {
        if (said.length !== 2) return
        const store = new LevelBlockStore({ location })
        await expect(store.open()).rejects.toMatchObject({
          code: 'STORE_LOCKED',
          cause: { cause: { code: 'LEVEL_LOCKED' } },
        })
        kill()
      })
      await checkedTip(location)
    } finally {
      await rm(location, { recursive: true })
    }
  })
})
