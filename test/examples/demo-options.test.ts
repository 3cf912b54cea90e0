import { describe, expect, test } from 'vitest'
import { parseArguments } from '../../examples/demo/options.js'

const defaults = { nodes: 4, count: 20_000, transport: 'tcp', blocks: undefined, json: false }

describe('the arguments of the demo', () => {
  test('none give the defaults', () => {
    expect(parseArguments([])).toEqual({ kind: 'run', options: defaults })
  })

  test('each one is taken', () => {
    const all = [
      '--nodes',
      '7',
      '--count=50',
      '--transport',
      'memory',
      '--blocks',
      'f.dat',
      '--json',
    ]
    expect(parseArguments(all)).toEqual({
      kind: 'run',
      options: { nodes: 7, count: 50, transport: 'memory', blocks: 'f.dat', json: true },
    })
  })

  test('a file is served whole unless a count is given', () => {
    expect(parseArguments(['--blocks', 'f.dat'])).toMatchObject({ options: { count: undefined } })
  })

  test('help wins over the rest', () => {
    expect(parseArguments(['--help', '--nodes', '99'])).toEqual({ kind: 'help' })
  })

  test.each([
    [['--nodes', '1'], "--nodes must be a whole number from 2 to 16, not '1'"],
    [['--nodes', '17'], "--nodes must be a whole number from 2 to 16, not '17'"],
    [['--nodes', '4.5'], "--nodes must be a whole number from 2 to 16, not '4.5'"],
    [['--nodes', 'many'], "--nodes must be a whole number from 2 to 16, not 'many'"],
    [['--nodes='], "--nodes must be a whole number from 2 to 16, not ''"],
    [['--count', '0'], "--count must be a whole number from 1 to 100000, not '0'"],
    [['--count', '1e3'], "--count must be a whole number from 1 to 100000, not '1e3'"],
    [['--transport', 'udp'], "--transport must be tcp or memory, not 'udp'"],
    [['--blocks='], '--blocks must name a file'],
  ])('%j is refused by name', (args, message) => {
    expect(parseArguments(args)).toEqual({ kind: 'wrong', message })
  })

  test.each([[['--nodse', '4']], [['stray']], [['--json=yes']], [['--count']]])(
    '%j, which is no option, is refused',
    (args) => {
      expect(parseArguments(args)).toHaveProperty('kind', 'wrong')
    },
  )
})
