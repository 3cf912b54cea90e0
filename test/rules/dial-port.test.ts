import { expect, test } from 'vitest'
import { portToDial, type KnownPorts } from '../../src/rules/dial-port.js'

const nothing: KnownPorts = { asked: [], told: undefined, configured: undefined, failures: 0 }

test.each<[string, Partial<KnownPorts>, number]>([
  ['the default, when nothing is known', {}, 24_100],
  ['the default, also after a failure', { failures: 1 }, 24_100],
  ['the configured one', { configured: 5 }, 5],
  ['the configured one, after any failure', { configured: 5, failures: 3 }, 5],
  ['the told one', { told: 7 }, 7],
  ['the told one, after any failure', { told: 7, failures: 1 }, 7],
  ['the told one before the configured one', { told: 7, configured: 5 }, 7],
  ['the configured one after a failure', { told: 7, configured: 5, failures: 1 }, 5],
  ['the told one again after another', { told: 7, configured: 5, failures: 2 }, 7],
  ['what was asked for first, before all', { asked: [9, 8], told: 7, configured: 5 }, 9],
  ['what was asked for, after a failure too', { asked: [9], told: 7, failures: 1 }, 9],
])('a dial uses %s', (_, known, port) => {
  expect(portToDial({ ...nothing, ...known }, 24_100)).toBe(port)
})
