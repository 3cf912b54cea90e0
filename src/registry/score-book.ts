import { RecentMap } from '../recent-map.js'
import { cleanScore, type MisbehaviourScore } from '../rules/misbehaviour-score.js'
import type { PeerIp } from '../rules/peer-ip.js'

/** IPs with a score, at most; the one whose last offence is oldest makes room. */
export const maxScores = 4_096

/** The scores of those that misbehaved. They belong to the IP and outlive its connections. */
export class ScoreBook {
  readonly #scores = new RecentMap<PeerIp, MisbehaviourScore>(maxScores)

  get size(): number {
    return this.#scores.size
  }

  get(ip: PeerIp): MisbehaviourScore {
    return this.#scores.get(ip) ?? cleanScore
  }

  set(ip: PeerIp, score: MisbehaviourScore): void {
    this.#scores.set(ip, score)
  }

  delete(ip: PeerIp): void {
    this.#scores.delete(ip)
  }
}
