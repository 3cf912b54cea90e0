import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { filePeerStore } from '../../src/adapters/file-peer-store.js'
import type { RegistrySnapshot } from '../../src/contracts/peer-store.js'
import { SeededRandom } from '../../src/testing/seeded-random.js'
import { plainJavaScript } from './plain-javascript.js'

const writerSource = fileURLToPath(new URL('save-until-killed.ts', import.meta.url))

/**
 * Kills a process that saves known peers, `kills` times at different moments, and throws unless each
 * time the file holds a whole snapshot, no older than the one that was confirmed last. Returns how many
 * saves were confirmed in all.
 */
export async function killWhileSaving(kills: number, seed: number): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-peers-'))
  const path = join(folder, 'peers.json')
  const random = new SeededRandom(seed)
  let [confirmed, found] = [0, 0]
  try {
    const writer = await plainJavaScript(writerSource, join(folder, 'writer'))
    for (let kill = 0; kill < kills; kill++) {
      const lines = random.integer(1, 12)
      const said = await runWriter([writer, path, String(found)], lines, random.next() * 6)
      confirmed = Math.max(confirmed, ...said)
      const { snapshot, damage } = await filePeerStore(path).load()
      const why = `seed ${seed}, kill ${kill}`
      if (damage !== undefined) throw new Error(`${why}: ${damage.message}`)
      found = snapshot === undefined ? 0 : roundOf(snapshot as RegistrySnapshot, why)
      if (found < confirmed) throw new Error(`${why}: ${found} is older than ${confirmed}`)
    }
  } finally {
    await rm(folder, { recursive: true })
  }
  return confirmed
}

function roundOf({ savedAtUnixMs, peers }: RegistrySnapshot, why: string): number {
  const isWhole =
    peers.length === 1 + ((savedAtUnixMs * 7_919) % 4_000) &&
    peers.every(({ timesConnected }) => timesConnected === savedAtUnixMs)
  if (!isWhole) throw new Error(`${why}: the snapshot of round ${savedAtUnixMs} is not whole`)
  return savedAtUnixMs
}

/** Lets the writer say `lines` lines, and kills it `waitMs` later. Returns the rounds that it confirmed. */
async function runWriter(
  program: readonly string[],
  lines: number,
  waitMs: number,
): Promise<number[]> {
  const child = spawn(process.execPath, program, {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const closed = once(child, 'close')
  const said: string[] = []
  try {
    for await (const line of createInterface(child.stdout)) {
      said.push(line)
      if (said.length === lines) setTimeout(() => child.kill('SIGKILL'), waitMs)
    }
  } finally {
    child.kill('SIGKILL')
    await closed
  }
  return said.slice(1).map(Number)
}
