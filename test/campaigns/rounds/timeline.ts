import type { MemberReport } from './protocol.js'

const maxLines = 120

/**
 * What happened in a round, in order, on the clock that all processes share; with `ips`, only what
 * happened between these. What a process knew that was killed is lost.
 */
export function timeline(
  reports: readonly MemberReport[],
  fromMs: number,
  ips: readonly string[],
): string[] {
  const isMeant = (ip: string): boolean => ips.length === 0 || ips.includes(ip)
  const lines = reports
    .flatMap(({ events }) => events)
    .filter(({ ip, peerIp }) => isMeant(ip) && (peerIp === '' || isMeant(peerIp)))
    .sort((a, b) => a.atMs - b.atMs)
    .map(({ atMs, ip, kind, peerIp, text }) => {
      const time = (atMs - fromMs).toFixed(2).padStart(10)
      return `${time} ms  ${ip}  ${kind.padEnd(12)}  ${peerIp}  ${text}`
    })
  if (lines.length <= maxLines) return lines
  return [...lines.slice(0, maxLines), `… and ${lines.length - maxLines} more`]
}
