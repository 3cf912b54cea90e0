import type { LinkEvent, LinkView } from '../adapters/memory.js'
import { formatEndpoint } from '../rules/peer-ip.js'

/** `#3 10.0.0.1:49152 as 203.0.113.1 → 203.0.113.2:24100 (10.0.0.2)`: own addresses and public ones. */
export function describeLink(link: LinkView): string {
  const { dialler, acceptor } = link
  const seenAs = dialler.host === acceptor.remote.host ? '' : ` as ${acceptor.remote.host}`
  const reached = dialler.remote.host === acceptor.host ? '' : ` (${acceptor.host})`
  const from = formatEndpoint({ host: dialler.host, port: dialler.local.port })
  return `#${link.id} ${from}${seenAs} → ${formatEndpoint(dialler.remote)}${reached}`
}

export function describeLinkEvent(event: LinkEvent): string {
  if (event.kind !== 'ended') return event.kind
  const why = event.error === undefined ? '' : `: ${event.error.message}`
  return `ended at its ${event.side}${why}`
}
