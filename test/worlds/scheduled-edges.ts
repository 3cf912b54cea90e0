import type fc from 'fast-check'
import type { Listener, Transport } from '../../src/contracts/transport.js'
import { SeededRandom } from '../../src/testing/seeded-random.js'
import type { Edges } from './world.js'

/** The longest that a promise is held back: dials come later than their own timeout, too. */
const maxHeldMs = 6_000

/**
 * Edges whose promises settle late and in any order, as the scheduler decides: a dial that has its
 * connection, a dial that failed, a listener that listens, one that is closed. For each that is held
 * back some time passes, and then any of those that are held goes on.
 */
export function scheduledEdges(scheduler: fc.Scheduler, seed: number): Edges {
  const dice = new SeededRandom(seed)
  return {
    wrap: (transport, { network: { clock } }) => {
      const late = async <Value>(promise: Promise<Value>, label: string): Promise<Value> => {
        const result = await promise.then(
          (value) => ({ value }),
          (error: unknown) => ({ error: error as Error }),
        )
        const isShort = dice.next() < 0.7
        clock.setTimer(dice.integer(0, isShort ? 100 : maxHeldMs), () => void scheduler.waitNext(1))
        await scheduler.schedule(Promise.resolve(), label)
        if ('error' in result) throw result.error
        return result.value
      }
      return lateTransport(transport, late)
    },
  }
}

function lateTransport(
  transport: Transport,
  late: <Value>(promise: Promise<Value>, label: string) => Promise<Value>,
): Transport {
  const { name, defaultPort } = transport
  const dial: Transport['dial'] = (address, options) =>
    late(transport.dial(address, options), `dial to ${address.host}`)
  if (transport.listen === undefined) return { name, defaultPort, dial }
  const listen = transport.listen.bind(transport)
  const lateListener = ({ endpoints, close }: Listener): Listener => ({
    endpoints,
    close: () => late(close(), 'closing of a listener'),
  })
  return {
    name,
    defaultPort,
    dial,
    listen: async (onConnection) => lateListener(await late(listen(onConnection), 'listening')),
  }
}
