import { describe, expect, test } from 'vitest'
import { TurnQueue } from '../../src/turn-queue.js'

describe('inputs', () => {
  test('run before `run` returns, each to completion, and what they cause comes after them', () => {
    const turns = new TurnQueue()
    const seen: string[] = []
    turns.run(() => {
      seen.push('a begins')
      turns.run(() => {
        seen.push('c')
        turns.run(() => {
          seen.push('e')
        })
      })
      turns.run(() => {
        seen.push('d')
      })
      seen.push('a ends')
    })
    expect(seen).toEqual(['a begins', 'a ends', 'c', 'd', 'e'])
  })

  test('go on after one that throws, and the error comes out', () => {
    const turns = new TurnQueue()
    const seen: string[] = []
    expect(() => {
      turns.run(() => {
        turns.run(() => {
          seen.push('after')
        })
        throw new Error('bug')
      })
    }).toThrow('bug')
    turns.run(() => {
      seen.push('next')
    })
    expect(seen).toEqual(['after', 'next'])
  })
})

describe('reports', () => {
  test('run when all inputs have run, in the order in which they were made', () => {
    const turns = new TurnQueue()
    const seen: string[] = []
    turns.run(() => {
      turns.report(() => {
        seen.push('first report')
      })
      turns.run(() => {
        seen.push('second input')
        turns.report(() => {
          seen.push('second report')
        })
      })
      seen.push('first input')
    })
    expect(seen).toEqual(['first input', 'second input', 'first report', 'second report'])
  })

  test('run at once outside of any input', () => {
    const turns = new TurnQueue()
    let isTold = false
    turns.report(() => {
      isTold = true
    })
    expect(isTold).toBe(true)
  })

  test('may cause inputs, which run at once, and whose reports come after those that wait', () => {
    const turns = new TurnQueue()
    const seen: string[] = []
    turns.run(() => {
      turns.report(() => {
        turns.run(() => {
          seen.push('input of a report')
          turns.report(() => {
            seen.push('its report')
          })
        })
        seen.push('report one')
      })
      turns.report(() => {
        seen.push('report two')
      })
    })
    expect(seen).toEqual(['input of a report', 'report one', 'report two', 'its report'])
  })
})
