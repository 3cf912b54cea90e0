import { expect, test } from 'vitest'
import { detectionMs } from './mesh.js'
import { quietWeeks } from './quiet-weeks.js'

test('after the last fault no connection ends, each pair keeps the same one, and each end pings once per interval', async () => {
  const report = await quietWeeks({ nodes: 8, days: 1, seed: 2, faultMs: 4 * 3_600_000 })
  expect(report).toMatchObject({ connections: 28, quietCloses: 0, quietDials: 0 })
  // 20 hours less the time to settle, two ends of 28 connections, two pings a minute.
  expect(report.quietPings).toBeGreaterThan(19 * 60 * 2 * 56)
  expect(report.latestCloseAfterMs).toBeLessThanOrEqual(detectionMs)
  // It had something to survive.
  expect(Object.keys(report.faults)).toHaveLength(9)
  expect(Math.min(...Object.values(report.faults))).toBeGreaterThan(5)
  expect(report.closes['ping-timeout']).toBeGreaterThan(20)
  expect(report.closes['transport-error']).toBeGreaterThan(20)
}, 240_000)
