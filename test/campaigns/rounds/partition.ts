import type { Crew } from './crew.js'
import { noCloses, type AllowedCloses, type ClosesAt, type Finding } from './judge.js'
import type { Namespaces } from './namespaces.js'
import { sharedNowMs, type NodeSettings } from './protocol.js'
import type { Disturbance } from './round.js'

const noticeTimeoutMs = 30_000
const lookEveryMs = 100

/** So that a silent peer is given up within seconds, and a dial into the void, too. */
export const quickToNotice: Partial<NodeSettings> = {
  pingIntervalMs: 1_000,
  pongTimeoutMs: 1_000,
  dialTimeoutMs: 2_000,
}

const whatACutCosts: AllowedCloses = {
  least: 1,
  most: 1,
  kinds: ['ping-timeout'],
}

/** The network is cut in two for a moment that no ping misses: nothing ends. */
export const shortCut = (network: Namespaces): Disturbance =>
  cut(network, 'the network is cut for a moment', async (crew) => {
    await crew.sleep(1_500)
    return { closesAt: () => noCloses }
  })

/** The network is cut in two until every member has given up all members of the other half. */
export const longCut = (network: Namespaces): Disturbance =>
  cut(network, 'the network is cut until all have noticed', async (crew) => {
    const haveNoticed = await crew.until(
      () => areApart(crew, network),
      noticeTimeoutMs,
      lookEveryMs,
    )
    const closesAt: ClosesAt = (a, b) => (network.areTogether(a, b) ? noCloses : whatACutCosts)
    const text = `not all noticed within ${noticeTimeoutMs} ms that the network is cut`
    return { closesAt, findings: haveNoticed ? [] : [{ text, ips: [] }] }
  })

/** The network is cut in two for so long that some may have noticed and others not. */
export const cutFor = (network: Namespaces, ms: number): Disturbance =>
  cut(network, `the network is cut for ${Math.round(ms)} ms`, async (crew) => {
    await crew.sleep(ms)
    return {
      closesAt: (a, b) =>
        network.areTogether(a, b)
          ? noCloses
          : { least: 0, most: 1, kinds: ['ping-timeout', 'ended', 'transport-error'] },
    }
  })

/** Cuts the trunk, does `meanwhile`, mends it, and lets everybody speak again on what is left. */
function cut(
  network: Namespaces,
  name: string,
  meanwhile: (
    crew: Crew,
  ) => Promise<{ readonly closesAt: ClosesAt; readonly findings?: readonly Finding[] }>,
): Disturbance {
  return {
    name,
    isInRace: false,
    run: async ({ crew }) => {
      await network.setTrunk('down')
      const after = await meanwhile(crew)
      await network.setTrunk('up')
      const healFromMs = sharedNowMs()
      await crew.say(`after: ${name}`)
      return { ...after, healFromMs, killed: [] }
    },
  }
}

/** Whether nobody has a peer in the other half. */
async function areApart(crew: Crew, network: Namespaces): Promise<boolean> {
  const reports = await crew.reports()
  return reports.every(({ ip, peers }) => peers.every((peer) => network.areTogether(ip, peer.ip)))
}
