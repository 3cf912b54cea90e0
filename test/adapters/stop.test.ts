import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, test } from 'vitest'
import { tcpTransport } from '../../src/adapters/tcp.js'
import { MemoryBlockStore } from '../../src/adapters/memory-block-store.js'
import { createNode } from '../../src/node.js'
import { testChain, testChainRules } from '../../src/testing/test-chain.js'

const program = fileURLToPath(new URL('../support/stop-and-exit.ts', import.meta.url))

/** Runs the program until it ends by itself. */
function run(when: string): Promise<{ code: number | null; output: string; errors: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['--import', 'tsx', program, when], {
      timeout: 40_000,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let [output, errors] = ['', '']
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()))
    child.on('error', reject)
    child.on('close', (code) => {
      resolve({ code, output, errors })
    })
  })
}

const onLinux = process.platform === 'linux'

describe
  .runIf(onLinux)
  .concurrent('a process whose nodes are stopped ends by itself (F116)', () => {
    test.each([
      { when: 'mid-sync', output: 'stopped stopped' },
      { when: 'start', output: 'stopped stopped' },
      { when: 'failed start', output: 'LISTEN_FAILED stopped stopped' },
      { when: 'await using', output: 'stopped stopped' },
    ])('$when', async ({ when, output }) => {
      expect(await run(when)).toEqual({ code: 0, output, errors: '' })
    })
  })

/** Memory in use, garbage not counted. Buffers are given back some turns after their collection. */
async function liveBytes(): Promise<number> {
  setFlagsFromString('--expose-gc')
  const collectGarbage = runInNewContext('gc') as () => void
  let least = Infinity
  for (let turn = 0; turn < 10; turn += 1) {
    collectGarbage()
    await new Promise((resolve) => setImmediate(resolve))
    const { heapUsed, arrayBuffers } = process.memoryUsage()
    least = Math.min(least, heapUsed + arrayBuffers)
  }
  return least
}

/** What keeps the process alive, sockets and timers alike, once those that end have had their turns. */
async function openHandles(): Promise<number> {
  for (let turn = 0; turn < 10; turn += 1) await new Promise((resolve) => setImmediate(resolve))
  return process.getActiveResourcesInfo().length
}

test.runIf(onLinux)(
  'after hundreds of starts and stops heap and handles are flat (F116)',
  async () => {
    const chain = testChain({ length: 301 })
    const nodeAt = (host: string, port: number) =>
      createNode({
        network: 'cycles',
        transport: tcpTransport({ host, port }),
        chain: { rules: testChainRules(chain), store: new MemoryBlockStore() },
      })
    // A port that the system chose, and that stays the same through all cycles.
    const scout = nodeAt('127.0.0.2', 0)
    await scout.start()
    const { port } = scout.connections.endpoints[0]!
    await scout.stop()
    const [acceptor, dialler] = [nodeAt('127.0.0.2', port), nodeAt('127.0.0.1', 0)]
    acceptor.connections.handle('echo', (bytes) => bytes)
    let before: { readonly bytes: number; readonly handles: number } | undefined
    for (let cycle = 1; cycle <= 300; cycle += 1) {
      // Each start syncs again, and serves again.
      await acceptor.start()
      await acceptor.sync.submit(chain.at(cycle))
      await dialler.start()
      const peer = await dialler.connections.connect(`127.0.0.2:${port}`)
      expect((await peer.request('echo', new Uint8Array(100_000))).length).toBe(100_000)
      await dialler.sync.waitForHeight(cycle)
      await Promise.all([acceptor.stop(), dialler.stop()])
      if (cycle === 100) before = { bytes: await liveBytes(), handles: await openHandles() }
    }
    // A cycle stores two blocks, and one that left its connection or its message behind would hold more.
    expect((await liveBytes()) - before!.bytes).toBeLessThan(200 * 6_000)
    expect(await openHandles()).toBe(before!.handles)
    expect(acceptor.registry.size + dialler.registry.size).toBe(2)
    // A start works again.
    await acceptor.start()
    expect(acceptor.status().state).toBe('running')
    await acceptor.stop()
  },
)
