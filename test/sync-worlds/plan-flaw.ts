import { frontOf, isComplete, isOpen, nextOf, type SyncState } from '../../src/rules/sync/state.js'

/**
 * What is wrong with the plan, if anything: spans are contiguous from the front, what a span holds is
 * contiguous and linked, and each is in exactly one state: complete, with nothing under way for it, or
 * not, with as many requests as name it. A request belongs to one peer and to one purpose.
 */
export function planFlaw(state: SyncState): string | undefined {
  return spanFlaw(state) ?? requestFlaw(state)
}

function spanFlaw(state: SyncState): string | undefined {
  let next = state.spans.length === 0 || !state.isTipKnown ? undefined : frontOf(state).height
  for (const span of state.spans) {
    if (next !== undefined && span.from !== next)
      return `a span begins at ${span.from}, not ${next}`
    if (span.to < span.from) return `the span ${span.from} to ${span.to} is empty`
    if (nextOf(span) > span.to + 1) return `the span from ${span.from} holds more than itself`
    next = span.to + 1
    // Blocks are only added at the end and taken at the beginning: looked at when they were the last.
    const [last, below] = [span.held.at(-1)?.block, span.held.at(-2)?.block]
    if (last !== undefined && last.height !== nextOf(span) - 1) return `${last.height} is astray`
    if (below !== undefined && last?.previousHash !== below.hash) return 'blocks without a link'
    for (const request of span.requests) {
      if (isComplete(span) && isOpen(request)) return `a complete span is asked for`
      if (request.purpose.kind !== 'span' || request.purpose.span !== span) {
        return 'a request is in the wrong span'
      }
      if (state.requests.get(request.id) !== request) return 'a span waits for a forgotten request'
      if (request.stage === 'cancelled') return 'a span waits for a cancelled request'
    }
  }
  return undefined
}

function requestFlaw(state: SyncState): string | undefined {
  let count = 0
  for (const peer of state.peers.values()) {
    for (const request of peer.requests) {
      count += 1
      if (state.requests.get(request.id) !== request) return 'a peer owes a forgotten request'
      if (request.connection !== peer.connection) return 'a request is at the wrong peer'
    }
  }
  if (count !== state.requests.size) return `${state.requests.size - count} requests are at nobody`
  for (const { purpose, stage } of state.requests.values()) {
    if (purpose.kind !== 'span' || stage === 'cancelled' || stage === 'checking') continue
    if (!state.spans.includes(purpose.span)) return 'a request is for a span that is given up'
  }
  return undefined
}
