import { describe, expect, test } from 'vitest'
import { memoryNetwork } from 'holdfast/memory'
import { SimulatedClock, transportSuite } from 'holdfast/testing'
import type {
  Connection,
  ConnectionHandlers,
  Listener,
  Transport,
} from '../../src/contracts/transport.js'

/** What is wrong with a transport, as a change to one that is right. */
interface Flaw {
  /** Breaks a connection; `handlers` is what its reader gave. */
  readonly connection?: (inner: Connection) => Partial<Connection>
  readonly handlers?: (
    handlers: ConnectionHandlers,
    inner: Connection,
  ) => Partial<ConnectionHandlers>
  readonly dial?: (inner: Transport) => Transport['dial']
  readonly listener?: (inner: Listener, accepted: readonly Connection[]) => Partial<Listener>
}

const flaws: readonly { readonly what: string; readonly flaw: Flaw; readonly found: RegExp }[] = [
  {
    what: 'loses a byte',
    flaw: { handlers: (h) => ({ data: (c) => h.data(c.length > 5 ? c.subarray(1) : c) }) },
    found: /all \d+ bytes that were written arrive/,
  },
  {
    what: 'delivers a byte twice',
    flaw: { handlers: (h) => ({ data: (c) => repeat(c.length === 17 ? 2 : 1, () => h.data(c)) }) },
    found: /exactly the bytes that were written arrive/,
  },
  {
    what: 'changes the order of chunks',
    flaw: { connection: (inner) => ({ write: (chunks) => inner.write([...chunks].reverse()) }) },
    found: /in order/,
  },
  {
    what: 'writes into chunks that it has delivered',
    flaw: { handlers: (h) => ({ data: reusingOneBuffer(h) }) },
    found: /chunks stay as they were delivered/,
  },
  {
    what: 'delivers an empty chunk',
    flaw: {
      handlers: (h) => ({ data: (c) => [new Uint8Array(), c].forEach((part) => h.data(part)) }),
    },
    found: /an empty chunk was delivered/,
  },
  {
    what: 'reports drained from inside write',
    flaw: { connection: reporting((h) => h.drained()) },
    found: /drained was called from inside write/,
  },
  {
    what: 'never reports drained',
    flaw: { handlers: () => ({ drained: () => {} }) },
    found: /drained is called once after write returned false/,
  },
  {
    what: 'reports drained twice',
    flaw: { handlers: (h) => ({ drained: () => repeat(2, () => h.drained()) }) },
    found: /drained is called once in each phase|no write had returned false/,
  },
  {
    what: 'never says that it has too much',
    flaw: { connection: (inner) => ({ write: (chunks) => (inner.write(chunks), true) }) },
    found: /write returns false at some point/,
  },
  {
    what: 'does not take what it has no room for',
    flaw: {
      connection: (inner) => ({
        write: (chunks) => (inner.bufferedBytes > 65_536 ? false : inner.write(chunks)),
      }),
    },
    found: /all \d+ bytes that were written arrive/,
  },
  {
    what: 'forgets what it has buffered',
    flaw: { connection: () => ({ bufferedBytes: 0 }) },
    found: /bufferedBytes counts what write took/,
  },
  {
    what: 'never forgets what it had buffered',
    flaw: { connection: () => ({ bufferedBytes: 1 }) },
    found: /bufferedBytes goes to 0/,
  },
  {
    what: 'does not pause',
    flaw: { connection: () => ({ pause: () => {} }) },
    found: /nothing is delivered while paused|delivered while paused/,
  },
  {
    what: 'does not resume',
    flaw: { connection: () => ({ resume: () => {} }) },
    found: /a paused reader that resumes gets everything/,
  },
  {
    what: 'drops what was written when it is closed',
    flaw: { connection: (inner) => ({ close: () => inner.destroy() }) },
    found: /closed\(undefined\), once, when an end closed in order/,
  },
  {
    what: 'sends what was written before it is destroyed',
    flaw: { connection: (inner) => ({ destroy: () => inner.close() }) },
    found: /destroy drops what was not sent|closed is called once a connection is over/,
  },
  {
    what: 'reports closed twice',
    flaw: { handlers: (h) => ({ closed: (error) => repeat(2, () => h.closed(error)) }) },
    found: /closed was called after closed|closed is called exactly once|closed\(undefined\), once/,
  },
  {
    what: 'never reports closed',
    flaw: { handlers: () => ({ closed: () => {} }) },
    found: /closed is called once a connection is over/,
  },
  {
    what: 'reports closed from inside destroy',
    flaw: { connection: reportingClosed },
    found: /closed was called from inside destroy/,
  },
  {
    what: 'takes an orderly end for an error',
    flaw: { handlers: (h) => ({ closed: () => h.closed(new Error('end of file')) }) },
    found: /closed\(undefined\), once, when an end closed in order/,
  },
  {
    what: 'throws when written to after the end',
    flaw: { connection: throwingAfterTheEnd },
    found: /write after end/,
  },
  {
    what: 'dials on although its signal has aborted',
    flaw: {
      dial:
        (inner) =>
        (address, { signal }) =>
          signal.aborted
            ? inner.dial(address, { signal: new AbortController().signal })
            : inner.dial(address, { signal }),
    },
    found: /the dial resolved|dial rejects with signal.reason/,
  },
  {
    what: 'rejects an aborted dial with an error of its own',
    flaw: {
      dial:
        (inner) =>
        (address, { signal }) =>
          inner.dial(address, { signal }).catch((cause: unknown) => {
            throw signal.aborted ? new Error('aborted', { cause }) : cause
          }),
    },
    found: /dial rejects with signal.reason/,
  },
  {
    what: 'leaves a connection behind when a dial is aborted',
    flaw: { dial: leavingItOpen },
    found: /leaves nothing open at the acceptor/,
  },
  {
    what: 'takes an abort after the dial for its end',
    flaw: {
      dial:
        (inner) =>
        async (address, { signal }) => {
          const connection = await inner.dial(address, { signal })
          signal.addEventListener('abort', () => connection.destroy())
          return connection
        },
    },
    found: /all \d+ bytes that were written arrive|the connection goes on/,
  },
  {
    what: 'dials any port',
    flaw: {
      dial: (inner) => (address, options) =>
        inner.dial({ ...address, port: address.port || 1 }, options),
    },
    found: /dial rejects port 0 with a RangeError/,
  },
  {
    what: 'ends accepted connections with their listener',
    flaw: {
      listener: (inner, accepted) => ({
        close: () => {
          for (const connection of accepted) connection.destroy()
          return inner.close()
        },
      }),
    },
    found: /all \d+ bytes that were written arrive/,
  },
  {
    what: 'goes on accepting when its listener is closed',
    flaw: { listener: () => ({ close: async () => {} }) },
    found: /a dial to nobody rejects|a dial rejects once the listener is closed/,
  },
  {
    what: 'hides the port that it was given',
    flaw: {
      listener: ({ endpoints }) => ({
        endpoints: endpoints.map(({ host }) => ({ host, port: 0 })),
      }),
    },
    found: /endpoints carry the ports that the system chose/,
  },
  {
    what: 'shows addresses that are not in canonical form',
    flaw: {
      connection: ({ remote }) => ({ remote: { ...remote, host: `::ffff:${remote.host}` } }),
    },
    found: /a host is an IP literal in canonical form/,
  },
]

describe('transportSuite', () => {
  test('passes a transport without a flaw', async () => {
    expect(await failuresOf({})).toEqual([])
  })

  test.each(flaws)('finds a transport that $what', async ({ flaw, found }) => {
    const failures = await failuresOf(flaw, found)
    expect(failures.join('\n')).toMatch(found)
  })
})

/**
 * Runs the suite over a memory network with this flaw, as far as the first failure that is `found`. The
 * messages of the tests that failed.
 */
async function failuresOf(flaw: Flaw, found?: RegExp): Promise<string[]> {
  const failures: string[] = []
  const bodies: (() => Promise<void>)[] = []
  transportSuite({
    test: (_name, body) => bodies.push(body),
    factory: () => {
      const clock = new SimulatedClock()
      const network = memoryNetwork({ clock, latencyMs: 15 })
      return {
        acceptor: flawed(network.transport({ host: '10.0.0.2', port: 0 }), flaw),
        dialler: flawed(network.transport({ host: '10.0.0.1', port: 0 }), flaw),
        settle: () => clock.advance(10),
      }
    },
  })
  for (const body of bodies) {
    await body().catch((error: unknown) => failures.push(String(error)))
    if (found !== undefined && failures.some((text) => found.test(text))) break
  }
  return failures
}

function flawed(inner: Transport, flaw: Flaw): Transport {
  const dial = flaw.dial?.(inner) ?? ((address, options) => inner.dial(address, options))
  return {
    name: inner.name,
    defaultPort: inner.defaultPort,
    dial: async (address, options) => flawedConnection(await dial(address, options), flaw),
    listen: async (onConnection) => {
      const accepted: Connection[] = []
      const listener = await inner.listen?.((connection) => {
        accepted.push(connection)
        onConnection(flawedConnection(connection, flaw))
      })
      return overlay(listener!, flaw.listener?.(listener!, accepted) ?? {})
    },
  }
}

function flawedConnection(inner: Connection, flaw: Flaw): Connection {
  const withHandlers = overlay(inner, {
    open: (handlers) => {
      inner.open(overlay(handlers, flaw.handlers?.(handlers, inner) ?? {}))
    },
  })
  return overlay(withHandlers, flaw.connection?.(withHandlers) ?? {})
}

/** `inner` with the members of `changes` in place of its own. */
function overlay<Target extends object>(inner: Target, changes: Partial<Target>): Target {
  return new Proxy(inner, {
    get: (target, key) => {
      const source: object = key in changes ? changes : target
      const value: unknown = Reflect.get(source, key, source)
      return typeof value === 'function' ? (value.bind(source) as unknown) : value
    },
  })
}

function repeat(times: number, body: () => void): void {
  for (let count = 0; count < times; count++) body()
}

function reusingOneBuffer(handlers: ConnectionHandlers): ConnectionHandlers['data'] {
  const buffer = new Uint8Array(2 ** 16)
  return (chunk) => {
    buffer.set(chunk)
    handlers.data(buffer.subarray(0, chunk.length))
  }
}

/** Calls a handler whenever `write` returns false, before it returns. */
function reporting(report: (handlers: ConnectionHandlers) => void) {
  return (inner: Connection): Partial<Connection> => {
    let reader: ConnectionHandlers | undefined
    return {
      open: (handlers) => {
        reader = handlers
        inner.open(handlers)
      },
      write: (chunks) => {
        const isBelow = inner.write(chunks)
        if (!isBelow && reader !== undefined) report(reader)
        return isBelow
      },
    }
  }
}

function reportingClosed(inner: Connection): Partial<Connection> {
  let reader: ConnectionHandlers | undefined
  return {
    open: (handlers) => {
      reader = handlers
      inner.open({ ...handlers, closed: () => {} })
    },
    destroy: () => {
      inner.destroy()
      reader?.closed(undefined)
      reader = undefined
    },
  }
}

function throwingAfterTheEnd(inner: Connection): Partial<Connection> {
  let isClosed = false
  return {
    close: () => {
      isClosed = true
      inner.close()
    },
    write: (chunks) => {
      if (isClosed) throw new Error('write after end')
      return inner.write(chunks)
    },
  }
}

function leavingItOpen(inner: Transport): Transport['dial'] {
  return (address, { signal }) =>
    new Promise((resolve, reject) => {
      signal.throwIfAborted()
      signal.addEventListener('abort', () => reject(signal.reason))
      inner.dial(address, { signal: new AbortController().signal }).then(resolve, reject)
    })
}
