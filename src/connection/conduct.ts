import type { CloseReason } from '../contracts/close-reason.js'
import type { Clock } from '../contracts/clock.js'
import { scoresOf, type PeerRegistry } from '../peer-registry.js'
import {
  afterOffence,
  offencePoints,
  type MisbehaviourLimits,
  type Offence,
} from '../rules/misbehaviour-score.js'
import type { PeerIp } from '../rules/peer-ip.js'

export interface ConductLimits extends MisbehaviourLimits {
  readonly misbehaviourBanMs: number
}

/** Told of each offence. */
export interface MisbehavedEvent {
  readonly ip: string
  readonly what: string
  /** The points of this IP, decayed, with this offence. */
  readonly score: number
  /** Whether this offence brought a ban. */
  readonly isBanned: boolean
}

/** What a connection that ended shows of its peer's conduct. */
interface EndedConnection {
  readonly ip: PeerIp
  readonly hasHello: boolean
  /** What the connection itself found, where the reason alone does not say it. */
  readonly offence: Offence | 'none' | undefined
}

/**
 * Keeps the scores of peers that provably misbehave, and bans an IP whose score is too high for
 * `misbehaviourBanMs`. A ban ends by itself, the next one is no longer, and it never covers more than
 * the one IP.
 */
export class Conduct {
  readonly #registry: PeerRegistry
  readonly #clock: Clock
  readonly #limits: ConductLimits
  readonly #mayBan: boolean
  readonly #onMisbehaved: (event: MisbehavedEvent) => void

  constructor(options: {
    readonly registry: PeerRegistry
    readonly clock: Clock
    readonly limits: ConductLimits
    readonly mayBan: boolean
    readonly onMisbehaved: (event: MisbehavedEvent) => void
  }) {
    this.#registry = options.registry
    this.#clock = options.clock
    this.#limits = options.limits
    this.#mayBan = options.mayBan
    this.#onMisbehaved = options.onMisbehaved
  }

  /** A connection ended. Before its HELLO nothing that it did counts: any program may dial a port. */
  ended(connection: EndedConnection, reason: CloseReason): void {
    if (reason.by !== 'us' || !connection.hasHello) return
    const isViolation = reason.kind === 'misbehaved'
    const offence = connection.offence ?? (isViolation ? 'violation' : undefined)
    if (offence === undefined || offence === 'none') return
    const what = isViolation ? reason.what : (reason.text ?? reason.kind)
    this.add(connection.ip, offencePoints[offence], what)
  }

  add(ip: PeerIp, points: number, what: string): void {
    const scores = scoresOf(this.#registry)
    const nowUnixMs = this.#clock.unixMs()
    const { score, isTooMuch } = afterOffence(scores.get(ip), points, nowUnixMs, this.#limits)
    // A ban that is there already is the user's, and may be longer.
    const isBanned = isTooMuch && this.#mayBan && !this.#registry.isBanned(ip)
    if (isBanned) {
      scores.delete(ip)
      this.#registry.ban(ip, {
        reason: `misbehaved: ${what}`,
        durationMs: this.#limits.misbehaviourBanMs,
      })
    } else {
      scores.set(ip, score)
    }
    this.#onMisbehaved({ ip, what, score: score.points, isBanned })
  }
}
