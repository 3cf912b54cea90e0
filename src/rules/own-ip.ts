import type { PeerIp } from './peer-ip.js'

/** What peers said of our address, newest last: peer key to the IP at which it sees us. */
export type OwnIpVotes = ReadonlyMap<string, PeerIp>

/** Peers whose word is remembered. */
const maxVotes = 64

export function afterVote(votes: OwnIpVotes, peerKey: string, ip: PeerIp): OwnIpVotes {
  const next = new Map(votes)
  next.delete(peerKey)
  next.set(peerKey, ip)
  const oldest = next.keys().next()
  if (next.size > maxVotes && !oldest.done) next.delete(oldest.value)
  return next
}

/** The address that more than half of the distinct peers see, or undefined: a few cannot move it. */
export function majorityIp(votes: OwnIpVotes): PeerIp | undefined {
  const counts = new Map<PeerIp, number>()
  for (const ip of votes.values()) counts.set(ip, (counts.get(ip) ?? 0) + 1)
  for (const [ip, count] of counts) if (count * 2 > votes.size) return ip
  return undefined
}
