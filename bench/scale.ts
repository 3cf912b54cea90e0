import { ConnectionManager, PeerRegistry, PingMonitor, type Transport } from 'holdfast'
import { SeededRandom, SimulatedClock } from 'holdfast/testing'
import type { ServicePeer } from '../src/contracts/peer-service.js'
import type { Effort } from './effort.js'
import type { Figure, Samples } from './samples.js'

/** What an event costs when there are many peers, in virtual time: it must not grow with their number. */
interface ScaleFigure extends Figure {
  /** Microseconds of an event among so many peers. */
  measure(peers: number, events: number): Promise<number>
}

const counts = [1_000, 10_000, 100_000] as const

export const scaleFigures: readonly ScaleFigure[] = [
  { name: 'scale: a newcomer in a full registry', unit: 'µs', better: 'less', measure: newcomers },
  { name: 'scale: a ping and its pong', unit: 'µs', better: 'less', measure: pings },
  { name: 'scale: a dial of a known peer', unit: 'µs', better: 'less', measure: dials },
]

export async function measureScale(
  effort: Effort,
  samples: Samples,
  isWanted: (figure: Figure) => boolean,
  measured: (figure: Figure) => void,
): Promise<void> {
  for (const figure of scaleFigures.filter(isWanted)) {
    const growth: Figure = { name: `${figure.name}, × at 1,000`, unit: '×', better: 'less' }
    // What is compiled late is compiled.
    await figure.measure(counts[0], effort.scaleEvents)
    for (let round = 0; round < effort.syncRounds; round += 1) {
      let first = Number.NaN
      for (const count of counts) {
        const taken = await figure.measure(count, effort.scaleEvents)
        const contestant = `${count.toLocaleString('en')} peers`
        samples.add(figure, contestant, taken)
        if (count === counts[0]) first = taken
        else samples.add(growth, contestant, taken / first)
      }
    }
    measured(figure)
    measured(growth)
  }
}

function microseconds(startedMs: number, events: number): number {
  return (1_000 * (performance.now() - startedMs)) / events
}

const addressOf = (n: number): string => `10.${(n >> 16) & 255}.${(n >> 8) & 255}.${n & 255}:24100`

async function newcomers(peers: number, events: number): Promise<number> {
  const clock = new SimulatedClock()
  const registry = new PeerRegistry({ clock, maxKnownPeers: peers })
  for (let n = 0; n < peers; n += 1) registry.add(addressOf(n))
  const startedMs = performance.now()
  for (let n = 0; n < events; n += 1) registry.add(addressOf(peers + n))
  return microseconds(startedMs, events)
}

async function pings(peers: number, events: number): Promise<number> {
  const clock = new SimulatedClock()
  const monitor = new PingMonitor({ clock, random: new SeededRandom(1) })
  const answerMs = 20
  let sent = 0n
  const peerAt = (): ServicePeer => {
    const peer = {
      lastReceivedAtMs: 0,
      readPausedMs: 0,
      ping: () => {
        const nonce = sent++
        const sentMs = clock.now()
        clock.setTimer(answerMs, () => {
          peer.lastReceivedAtMs = clock.now()
          const pong = { kind: 'pong', nonce, sentMs, roundTripMs: answerMs } as const
          monitor.peerMessage(peer, pong)
        })
        return nonce
      },
      // No more of it is asked for.
    } as Partial<ServicePeer> as ServicePeer & { lastReceivedAtMs: number }
    return peer
  }
  for (let n = 0; n < peers; n += 1) monitor.peerConnected(peerAt())
  // The first interval is that in which pings are spread.
  clock.advanceSync(30_000)
  const before = sent
  const startedMs = performance.now()
  while (sent - before < events) clock.advanceSync((30_000 * events) / peers / 10)
  return microseconds(startedMs, Number(sent - before))
}

/** Nobody listens anywhere, so that there is always somebody to dial. */
async function dials(peers: number, events: number): Promise<number> {
  const clock = new SimulatedClock()
  let dialled = 0
  const transport: Transport = {
    name: 'nobody',
    defaultPort: 24_100,
    dial: (address, { signal }) =>
      new Promise((_, reject) => {
        dialled += 1
        const timer = clock.setTimer(10, () => {
          const refusal = new Error(`${address.host} refused`)
          reject(Object.assign(refusal, { code: 'ECONNREFUSED' }))
        })
        signal.addEventListener('abort', () => {
          timer.cancel()
          reject(signal.reason as Error)
        })
      }),
  }
  const registry = new PeerRegistry({ clock, maxKnownPeers: peers })
  for (let n = 0; n < peers; n += 1) registry.add(addressOf(n))
  const random = new SeededRandom(1)
  const connections = new ConnectionManager({
    network: 'scale',
    registry,
    transport,
    clock,
    random,
    // Nobody is left alone, however often it is dialled in vain.
    maxDialFailures: Number.MAX_SAFE_INTEGER,
  })
  await connections.start()
  await clock.advance(10)
  const before = dialled
  const startedMs = performance.now()
  while (dialled - before < events) await clock.advance(10)
  const taken = microseconds(startedMs, dialled - before)
  const stopping = connections.stop()
  await clock.advance(5_000)
  await stopping
  return taken
}
