import type { SimulatedNetwork } from '../../src/testing/simulated-network.js'
import type { LocalIp, MachineIndex, WorldScript } from './script.js'

/** IPv4 and IPv6 of many widths: neither the order of the list nor that of the texts is theirs. */
const firstAddresses = [
  '10.0.0.9',
  '9.255.255.255',
  '10.0.0.10',
  '100.0.0.1',
  '2001:db8::a',
  '2.0.0.1',
  '2001:db8::9',
  '50.28.104.50',
]
const secondAddresses = {
  v4: [
    '10.0.0.8',
    '165.84.215.117',
    '11.0.0.1',
    '1.0.0.3',
    '99.0.0.1',
    '3.0.0.3',
    '10.0.1.0',
    '8.8.0.8',
  ],
  v6: [
    '2001:db8::1:9',
    '2001:db8::2',
    '2001:db8::ff',
    '2001:db8::3',
    '2001:db8::4',
    '2001:db8:1::',
    '2001:db8::b',
    '2001:db8::5',
  ],
}
const publicIp = '77.0.0.7'
const firstPort = 24_100

const isV6 = (ip: string): boolean => ip.includes(':')

export interface Machine {
  readonly index: MachineIndex
  /** Its name in the simulated network. */
  readonly host: string
  readonly port: number
  readonly localIp: string | undefined
  /** At which IPs others take it for a peer, who are not behind its NAT. */
  readonly outerIps: readonly string[]
  readonly isBehindNat: boolean
}

/** Who is where in a world, at which addresses machines know each other, and who can reach whom. */
export class Topology {
  readonly machines: readonly Machine[]
  readonly #script: WorldScript

  constructor(script: WorldScript) {
    this.#script = script
    this.machines = script.machines.map((machine, index) => {
      const host = firstAddresses[index]!
      const isBehindNat = index < script.nat.size
      const second = isBehindNat ? undefined : secondAddress(host, index, machine.second)
      const outerIps = isBehindNat ? [publicIp] : second === undefined ? [host] : [host, second]
      const port = isBehindNat ? firstPort + index : firstPort
      const localIp = ownView(machine.localIp, outerIps[0]!)
      return { index, host, port, localIp, outerIps, isBehindNat }
    })
  }

  /** Tells the network who has which addresses, and whose dials never get through. */
  build(network: SimulatedNetwork): void {
    const { nat, oneWay } = this.#script
    const inside = this.machines.filter(({ isBehindNat }) => isBehindNat)
    if (inside.length > 0) {
      network.nat({
        publicIp,
        hosts: inside.map(({ host }) => host),
        forward: inside
          .filter((machine) => this.#isForwarded(machine))
          .map(({ host, port }) => ({ port, to: host })),
      })
    }
    for (const { host, outerIps } of this.machines) {
      const second = outerIps[1]
      if (second === undefined) continue
      const dialsFrom = (to: string): boolean =>
        isV6(second) !== isV6(host) && isV6(to) === isV6(second)
      network.extraAddress({ host, ip: second, dialsFrom })
    }
    for (const { from, to } of oneWay) {
      network.faults.refuseDials({ from: this.machines[from]!.host, to: this.machines[to]!.host })
    }
    if (nat.size === 2) network.timeline.note(`${publicIp} is shared by two`)
  }

  /** Where `from` dials `to`. */
  addresses(from: Machine, to: Machine): string[] {
    const ips = this.ipsOf(from, to)
    return ips.map((ip) => (isV6(ip) ? `[${ip}]:${to.port}` : `${ip}:${to.port}`))
  }

  /** The peers as which `from` may know `to`. */
  ipsOf(from: Machine, to: Machine): readonly string[] {
    const isInside = from.isBehindNat && to.isBehindNat
    return isInside && !this.#script.nat.isHairpin ? [to.host] : to.outerIps
  }

  /** Whether a dial from one to the other gets through when nothing is broken. */
  canDial(from: Machine, to: Machine): boolean {
    const isRefused = this.#script.oneWay.some(
      (pair) => pair.from === from.index && pair.to === to.index,
    )
    if (isRefused) return false
    const isInside = from.isBehindNat && to.isBehindNat
    if (!to.isBehindNat || (isInside && !this.#script.nat.isHairpin)) return true
    return this.#isForwarded(to)
  }

  /** All machines that `from` takes for the same peer as `to`; that one alone, but for a shared address. */
  lookalikes(from: Machine, to: Machine): Machine[] {
    if (!to.isBehindNat || from.isBehindNat) return [to]
    return this.machines.filter(({ isBehindNat }) => isBehindNat)
  }

  #isForwarded({ index }: Machine): boolean {
    const { forwarded } = this.#script.nat
    return forwarded === 'all' || (forwarded === 'first' && index === 0)
  }
}

function secondAddress(
  host: string,
  index: number,
  kind: 'none' | 'other-family' | 'same-family',
): string | undefined {
  if (kind === 'none') return undefined
  const wantsV6 = isV6(host) === (kind === 'same-family')
  return (wantsV6 ? secondAddresses.v6 : secondAddresses.v4)[index]
}

function ownView(localIp: LocalIp, right: string): string | undefined {
  switch (localIp) {
    case 'right':
      return right
    case 'unknown':
      return undefined
    case 'wrong':
      return '203.0.113.77'
    case 'unspecified':
      return isV6(right) ? '::' : '0.0.0.0'
    case 'loopback':
      return '127.0.0.1'
    case 'private':
      return '192.168.1.7'
  }
}
