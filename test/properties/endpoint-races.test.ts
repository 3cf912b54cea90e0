import fc from 'fast-check'
import { describe, test } from 'vitest'
import { Race, raceScripts } from '../support/race.js'

const seed = 1

describe("nodes behind one address that dial each other with identity: 'endpoint'", () => {
  test('have one connection per pair, the same at both ends, that nothing but a fault ends (G1 to G5)', async () => {
    const hosts = ['10.0.0.9', '9.255.255.255', '10.0.0.10', '100.0.0.1']
    await fc.assert(
      fc.asyncProperty(raceScripts(hosts), async (script) => {
        await new Race(script, { publicIp: '203.0.113.1', firstPort: 7_001 }).run()
      }),
      { seed, numRuns: 40 },
    )
  })
})
