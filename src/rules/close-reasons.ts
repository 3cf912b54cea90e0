import type { CloseReason, CloseReasonKind } from '../contracts/close-reason.js'

/** The number of each reason in a BYE: docs/PROTOCOL.md. A number is never given to another reason. */
export const byeCodes: Readonly<Partial<Record<CloseReasonKind, number>>> = {
  duplicate: 1,
  self: 2,
  'wrong-network': 3,
  'wrong-version': 4,
  banned: 5,
  busy: 6,
  'handshake-timeout': 7,
  'confirm-timeout': 8,
  'ping-timeout': 9,
  slow: 10,
  flood: 11,
  misbehaved: 12,
  disconnected: 13,
  shutdown: 14,
  evicted: 15,
  refused: 16,
}

/** What a BYE of the peer says. A code of a later version reads as `disconnected`. */
export function reasonFromBye(bye: {
  readonly code: number
  readonly text: string
  readonly retryAfterMs: number | undefined
}): CloseReason {
  const entries = Object.entries(byeCodes) as [CloseReasonKind, number][]
  const kind = entries.find(([, code]) => code === bye.code)?.[0] ?? 'disconnected'
  const told = { by: 'peer', ...(bye.text === '' ? {} : { text: bye.text }) } as const
  switch (kind) {
    case 'misbehaved':
      return { kind, what: bye.text, ...told }
    case 'busy':
      return {
        kind,
        ...(bye.retryAfterMs === undefined ? {} : { retryAfterMs: bye.retryAfterMs }),
        ...told,
      }
    default:
      return { kind, ...told }
  }
}

/** Whether a reason passes by itself, so that trying again soon makes sense. */
export function isTransient(reason: CloseReason): boolean {
  switch (reason.kind) {
    case 'ended':
    case 'transport-error':
    case 'ping-timeout':
    case 'slow':
    case 'duplicate':
    case 'busy':
    case 'handshake-timeout':
    case 'confirm-timeout':
    case 'disconnected':
    case 'shutdown':
    case 'evicted':
      return true
    case 'flood':
    case 'misbehaved':
    case 'self':
    case 'wrong-network':
    case 'wrong-version':
    case 'banned':
    case 'refused':
      return false
  }
}

/** A reason in one line, for logs and error messages. */
export function describeReason(reason: CloseReason): string {
  const who = { us: 'closed by this node', peer: 'closed by the peer', network: 'lost' }[reason.by]
  const detail = reason.kind === 'misbehaved' ? reason.what : reason.text
  return detail === undefined || detail === ''
    ? `${who}: ${reason.kind}`
    : `${who}: ${reason.kind} (${detail})`
}
