import { expect, test } from 'vitest'
import { PortTable } from '../../src/adapters/port-table.js'

test('a port is taken once, until it is freed, and each host has its own', () => {
  const ports = new PortTable()
  expect(ports.claim('10.0.0.1', 24_100)).toBe(true)
  expect(ports.claim('10.0.0.1', 24_100)).toBe(false)
  expect(ports.claim('10.0.0.2', 24_100)).toBe(true)
  ports.free('10.0.0.1', 24_100)
  expect(ports.claim('10.0.0.1', 24_100)).toBe(true)
})

test('ephemeral ports are the dynamic ones, each once, and then there is none', () => {
  const ports = new PortTable()
  ports.claim('10.0.0.1', 50_000)
  const taken = new Set<number | undefined>()
  for (let count = 0; count < 16_383; count++) taken.add(ports.claimEphemeral('10.0.0.1'))
  expect(taken.size).toBe(16_383)
  expect(taken.has(50_000)).toBe(false)
  expect(taken.has(undefined)).toBe(false)
  expect(ports.claimEphemeral('10.0.0.1')).toBeUndefined()
})

test('a port that was freed is the last to be given out again', () => {
  const ports = new PortTable()
  const first = ports.claimEphemeral('10.0.0.1')
  ports.free('10.0.0.1', first!)
  expect(ports.claimEphemeral('10.0.0.1')).not.toBe(first)
})
