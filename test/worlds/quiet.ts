import type { SimulatedNetwork } from '../../src/testing/simulated-network.js'
import type { End, RunningMachine } from './machine.js'
import type { Machine, Topology } from './topology.js'

/** Finds the other end of an end, among all that run. */
function otherEnd(end: End, other: RunningMachine): End | undefined {
  return [...other.ends.values()].find(({ link }) => link === end.link)
}

/**
 * What is not yet as it must be in the end (G2, G4): every pair of which one can dial the other is
 * connected; of those that share an address, one; and every connection is there at both ends.
 */
export function unsettled(topology: Topology, running: readonly RunningMachine[]): string[] {
  const wrong: string[] = []
  for (const a of running) {
    for (const [ip, end] of a.ends) {
      const others = running.filter((other) => other !== a && otherEnd(end, other) !== undefined)
      if (others.length !== 1) wrong.push(`G2: ${a.host} alone holds #${end.link} to ${ip}`)
    }
    for (const b of running) {
      if (a.machine.index < b.machine.index && !areConnected(topology, running, a, b))
        wrong.push(`G4: ${a.host} and ${b.host} are not connected`)
    }
  }
  return wrong
}

function areConnected(
  topology: Topology,
  running: readonly RunningMachine[],
  a: RunningMachine,
  b: RunningMachine,
): boolean {
  const isLinked = (x: RunningMachine, y: RunningMachine): boolean =>
    [...x.ends.values()].some((end) => otherEnd(end, y) !== undefined)
  if (isLinked(a, b)) return true
  const [one, two] = [a.machine, b.machine]
  const like = [...topology.lookalikes(one, two), ...topology.lookalikes(two, one)]
  const isShared = like.length > 2
  if (!isShared) return !topology.canDial(one, two) && !topology.canDial(two, one)
  // One of those that share an address is connected, if any of them gets out.
  const outer = two.isBehindNat ? a : b
  const sharing = running.filter(({ machine }) => machine.isBehindNat)
  const getsOut = sharing.some(({ machine }) => topology.canDial(machine, outer.machine))
  return !getsOut || sharing.some((inner) => isLinked(inner, outer))
}

/** Everything that was sent on a connection that lives has arrived (G5). */
export function undelivered(running: readonly RunningMachine[]): string[] {
  return running.flatMap((a) =>
    [...a.ends.values()].flatMap((end) => {
      const other = running.map((b) => (b === a ? undefined : otherEnd(end, b))).find(Boolean)
      return other === undefined || other.received === end.sent
        ? []
        : [`G5: ${a.host} sent ${end.sent} on #${end.link}, ${other.received} arrived`]
    }),
  )
}

/**
 * Whether a machine is quiet in the end. It is not where it dials for ever what cannot be: a peer that
 * nobody reaches, an address that refuses it while another one of the same machine is connected, or one
 * that two machines share.
 */
export function canRest(topology: Topology, machine: Machine): boolean {
  const { machines } = topology
  if (machines.filter(({ isBehindNat }) => isBehindNat).length > 1) return false
  return machines.every((other) => {
    if (other === machine || topology.canDial(machine, other)) return true
    return topology.ipsOf(machine, other).length === 1 && topology.canDial(other, machine)
  })
}

/** Connections that are open and that nobody holds. */
export function unheld(network: SimulatedNetwork, running: readonly RunningMachine[]): string[] {
  const held = new Set(running.flatMap(({ ends }) => [...ends.values()].map(({ link }) => link)))
  return network
    .connections()
    .filter(({ id }) => !held.has(id))
    .map(
      ({ id, dialler, acceptor }) =>
        `#${id} of ${dialler.host} to ${acceptor.host} is open, and nobody holds it`,
    )
}
