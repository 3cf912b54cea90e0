import { describe, expect, test } from 'vitest'
import { Asked } from '../../src/connection/asked.js'
import type { WireMessage } from '../../src/wire/messages.js'

const nothing = new Uint8Array(0)
const pong: WireMessage = { kind: 'pong', nonce: 1n }
const answer: WireMessage = { kind: 'answer', id: 1, bytes: nothing }
const blocks = (last: boolean): WireMessage => ({ kind: 'blocks', id: 1, blocks: [], last })

describe('what a frame is to the connection', () => {
  test('each ping pays for one pong, each request for one answer or refusal', () => {
    const asked = new Asked()
    asked.pingSent()
    asked.requestSent()
    asked.requestSent()
    expect(
      [pong, pong, answer, { kind: 'refusal', id: 2, code: 'too-large' } as const, answer].map(
        (message) => asked.judge(message, 10),
      ),
    ).toEqual(['asked', 'pointless', 'asked', 'asked', 'pointless'])
  })

  test('a request for peers pays for one list of them', () => {
    const asked = new Asked()
    asked.serviceSent({ kind: 'getPeers', count: 250 })
    expect(asked.judge({ kind: 'peers', peers: [] }, 5_000)).toBe('asked')
    expect(asked.judge({ kind: 'peers', peers: [] }, 10)).toBe('pointless')
  })

  test('a request of sync pays for the bytes that it asks for, and for one terminal reply', () => {
    const asked = new Asked()
    asked.serviceSent({ kind: 'getBlocks', id: 1, from: 0, count: 10, maxBytes: 1_000 })
    expect(asked.judge(blocks(false), 600)).toBe('asked')
    expect(asked.judge(blocks(false), 600)).toBe('asked')
    // More than was asked for is the peer's own idea.
    expect(asked.judge(blocks(false), 600)).toBe('unasked')
    expect(asked.judge(blocks(true), 10)).toBe('unasked')
    expect(asked.judge(blocks(true), 10)).toBe('pointless')
  })

  test('headers that were asked for are asked, however long', () => {
    const asked = new Asked()
    asked.serviceSent({ kind: 'getHeaders', id: 1, locator: [], count: 2_000 })
    const headers: WireMessage = { kind: 'headers', id: 1, previousHash: '', headers: [] }
    expect(asked.judge(headers, 1_000_000)).toBe('asked')
    expect(asked.judge(headers, 10)).toBe('pointless')
  })

  test('what is left of an answered request pays for no other', () => {
    const asked = new Asked()
    asked.serviceSent({ kind: 'getBlocks', id: 1, from: 0, count: 10, maxBytes: 1_000_000 })
    asked.judge({ kind: 'busy', id: 1, retryAfterMs: 1 }, 20)
    asked.serviceSent({ kind: 'getBlocks', id: 2, from: 0, count: 10, maxBytes: 100 })
    expect(asked.judge(blocks(false), 200)).toBe('asked')
    expect(asked.judge(blocks(false), 200)).toBe('unasked')
  })
})
