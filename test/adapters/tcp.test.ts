import net from 'node:net'
import { describe, expect, test } from 'vitest'
import { connectionFromSocket, tcpTransport } from 'holdfast/tcp'
import { transportSuite } from 'holdfast/testing'
import type { Connection, Endpoint, Listener, Transport } from '../../src/contracts/transport.js'
import { HoldfastError } from '../../src/errors.js'
import { never } from '../support/connections.js'

describe.each(await hosts())('between $acceptor and $dialler', ({ acceptor, dialler }) => {
  transportSuite({
    test,
    factory: () => ({
      acceptor: tcpTransport({ host: acceptor, port: 0 }),
      dialler: tcpTransport({ host: dialler, port: 0 }),
    }),
  })
})

describe('listening', () => {
  test('a port in use is LISTEN_FAILED, with its cause and a text that names both', async () => {
    const listener = await listen(tcpTransport({ host: '127.0.0.1', port: 0 }), () => undefined)
    const { port } = listener.endpoints[0]!
    const failure = await failureOf(listen(tcpTransport({ host: '127.0.0.1', port }), () => {}))
    expect(HoldfastError.is(failure, 'LISTEN_FAILED')).toBe(true)
    expect(failure.cause).toMatchObject({ code: 'EADDRINUSE' })
    expect(failure.message).toBe(
      `cannot listen on 127.0.0.1:${port}: the port is in use (EADDRINUSE)`,
    )
    await listener.close()
  })

  test('an address of another machine is LISTEN_FAILED', async () => {
    const failure = await failureOf(listen(tcpTransport({ host: '192.0.2.1', port: 0 }), () => {}))
    expect(HoldfastError.is(failure, 'LISTEN_FAILED')).toBe(true)
    expect(failure.message).toMatch(/192\.0\.2\.1:0: no such address on this machine/)
  })

  test('a port can be taken again as soon as its listener is closed', async () => {
    const first = await listen(tcpTransport({ host: '127.0.0.1', port: 0 }), () => {})
    const { port } = first.endpoints[0]!
    await first.close()
    const second = await listen(tcpTransport({ host: '127.0.0.1', port }), () => {})
    expect(second.endpoints).toEqual([{ host: '127.0.0.1', port }])
    await second.close()
  })

  test('a transport without a host, or with listen: false, has no method listen', () => {
    expect(tcpTransport()).not.toHaveProperty('listen')
    expect(tcpTransport({ host: '127.0.0.1', listen: false })).not.toHaveProperty('listen')
    expect(tcpTransport({ host: '127.0.0.1' })).toHaveProperty('listen')
  })

  test('several addresses are listened on, each named with its port', async () => {
    const hosts = ['127.0.0.1', '127.0.0.2']
    const transport = tcpTransport({ listen: hosts.map((host) => ({ host, port: 0 })) })
    const remotes: (string | undefined)[] = []
    const listener = await listen(transport, (connection) => {
      remotes.push(connection.local?.host)
      connection.destroy()
    })
    expect(listener.endpoints.map(({ host }) => host)).toEqual(hosts)
    for (const address of listener.endpoints) {
      const dialled = await tcpTransport().dial(address, { signal: never })
      await new Promise<void>((resolve) => {
        dialled.open({ data: () => {}, drained: () => {}, closed: () => resolve() })
      })
    }
    expect(remotes).toEqual(hosts)
    await listener.close()
  })

  test('of several addresses all are listened on or none, and the one that failed is named', async () => {
    const taken = await listen(tcpTransport({ host: '127.0.0.2', port: 0 }), () => {})
    const { port } = taken.endpoints[0]!
    const both = tcpTransport({ listen: [{ host: '127.0.0.1' }, { host: '127.0.0.2' }], port })
    const failure = await failureOf(listen(both, () => {}))
    expect(HoldfastError.is(failure, 'LISTEN_FAILED')).toBe(true)
    expect(failure.message).toBe(
      `cannot listen on 127.0.0.2:${port}: the port is in use (EADDRINUSE)`,
    )
    const first = await listen(tcpTransport({ host: '127.0.0.1', port }), () => {})
    await first.close()
    await taken.close()
  })

  test('every IPv4 and every IPv6 address go together, at one port', async (context) => {
    if (!(await canListen('::'))) context.skip()
    const free = await listen(tcpTransport({ host: '0.0.0.0', port: 0 }), () => {})
    const { port } = free.endpoints[0]!
    await free.close()
    const transport = tcpTransport({ listen: [{ host: '0.0.0.0' }, { host: '::' }], port })
    const listener = await listen(transport, (connection) => connection.destroy())
    expect(listener.endpoints).toEqual([
      { host: '0.0.0.0', port },
      { host: '::', port },
    ])
    await listener.close()
  })

  test('a port that is not permitted is LISTEN_FAILED, and says what it needs', async (context) => {
    const failure = await unprivileged(() =>
      listen(tcpTransport({ host: '127.0.0.1', port: 1 }), () => {}).then(
        (listener) => listener.close(),
        (error: unknown) => error as HoldfastError,
      ),
    )
    if (failure === undefined) context.skip()
    expect(failure).toMatchObject({ code: 'LISTEN_FAILED', cause: { code: 'EACCES' } })
    expect(failure!.message).toContain('not permitted; ports below 1024 need a privilege')
  })

  test('an IPv4 peer of a listener on :: goes by its IPv4 address', async (context) => {
    if (!(await canListen('::'))) context.skip()
    const { accepted, close } = await acceptOne(tcpTransport({ host: '::', port: 0 }), (port) =>
      tcpTransport().dial({ host: '127.0.0.1', port }, { signal: never }),
    )
    expect(accepted.remote.host).toBe('127.0.0.1')
    expect(accepted.local?.host).toBe('127.0.0.1')
    await close()
  })
})

describe('dialling', () => {
  test('dials come from the listening address of their own kind', async (context) => {
    if (!(await canListen('::1'))) context.skip()
    const addresses = [{ host: '::1' }, { host: '127.0.0.5' }]
    const dialler = tcpTransport({ listen: addresses, port: 0 })
    for (const [to, from] of [
      ['127.0.0.1', '127.0.0.5'],
      ['::1', '::1'],
    ] as const) {
      const { accepted, close } = await acceptOne(tcpTransport({ host: to, port: 0 }), (port) =>
        dialler.dial({ host: to, port }, { signal: never }),
      )
      expect(accepted.remote.host).toBe(from)
      await close()
    }
  })

  test('dials come from the listening host, where that is one address', async () => {
    const dialler = tcpTransport({ host: '127.0.0.3', port: 0 })
    const { accepted, close } = await acceptOne(
      tcpTransport({ host: '127.0.0.1', port: 0 }),
      (port) => dialler.dial({ host: '127.0.0.1', port }, { signal: never }),
    )
    expect(accepted.remote.host).toBe('127.0.0.3')
    await close()
  })

  test('dials come from localAddress, where that is given', async () => {
    const dialler = tcpTransport({ host: '0.0.0.0', localAddress: '127.0.0.4' })
    const { accepted, close } = await acceptOne(
      tcpTransport({ host: '127.0.0.1', port: 0 }),
      (port) => dialler.dial({ host: '127.0.0.1', port }, { signal: never }),
    )
    expect(accepted.remote.host).toBe('127.0.0.4')
    await close()
  })

  test('localAddress does not bind dials to addresses of the other kind', async (context) => {
    if (!(await canListen('::1'))) context.skip()
    const dialler = tcpTransport({ localAddress: '127.0.0.4' })
    const { accepted, close } = await acceptOne(tcpTransport({ host: '::1', port: 0 }), (port) =>
      dialler.dial({ host: '::1', port }, { signal: never }),
    )
    expect(accepted.remote.host).toBe('::1')
    await close()
  })

  test('a dial that is refused rejects with the error of the system', async () => {
    const listener = await listen(tcpTransport({ host: '127.0.0.1', port: 0 }), () => {})
    const [address] = listener.endpoints
    await listener.close()
    const dialled = tcpTransport().dial(address!, { signal: never })
    await expect(dialled).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  })

  test('a host that is no IP literal rejects with a TypeError that names it', async () => {
    for (const host of ['localhost', 'example.org', '', '127.1', '[::1]', '127.0.0.1:80']) {
      const dialled = tcpTransport().dial({ host, port: 80 }, { signal: never })
      await expect(dialled).rejects.toThrow(TypeError)
      await expect(dialled).rejects.toThrow(JSON.stringify(host))
    }
  })

  test('the default port is the listening port, or else 24100', () => {
    expect(tcpTransport().defaultPort).toBe(24_100)
    expect(tcpTransport({ host: '127.0.0.1', port: 0 }).defaultPort).toBe(24_100)
    expect(tcpTransport({ host: '127.0.0.1', port: 7_000 }).defaultPort).toBe(7_000)
    expect(tcpTransport({ port: 7_000, defaultPort: 8_000 }).defaultPort).toBe(8_000)
  })

  test('options outside their range are refused, and the value is named', () => {
    expect(() => tcpTransport({ host: 'localhost' })).toThrow(/"localhost"/)
    expect(() => tcpTransport({ localAddress: 'eth0' })).toThrow(/localAddress.*"eth0"/)
    expect(() => tcpTransport({ listen: [] })).toThrow(/listen must name 1 to 64 addresses, not 0/)
    expect(() => tcpTransport({ listen: [{ host: '127.0.0.1' }, { host: 'eth0' }] })).toThrow(
      /listen\[1\].host.*"eth0"/,
    )
    expect(() => tcpTransport({ listen: [{ host: '::1', port: -1 }] })).toThrow(
      /listen\[0\].port must be 0 to 65535, not -1/,
    )
    expect(() => tcpTransport({ host: '::1', listen: [{ host: '::1' }] })).toThrow(
      /host and a list in listen/,
    )
    expect(() => tcpTransport({ port: 65_536 })).toThrow(/port.*65536/)
    expect(() => tcpTransport({ port: 1.5 })).toThrow(RangeError)
    expect(() => tcpTransport({ defaultPort: -1 })).toThrow(/defaultPort.*-1/)
    expect(() => tcpTransport({ listen: true })).toThrow(TypeError)
  })
})

describe('sockets', () => {
  test('a reset by the remote is closed with an error', async () => {
    const { socket, connection, close } = await rawPair()
    const closed = new Promise<Error | undefined>((resolve) => {
      connection.open({ data: () => {}, drained: () => {}, closed: resolve })
    })
    socket.resetAndDestroy()
    await expect(closed).resolves.toMatchObject({ code: 'ECONNRESET' })
    await close()
  })

  test('the end of a remote that keeps its other half open ends the connection', async () => {
    const { socket, connection, close } = await rawPair()
    const chunks: Uint8Array[] = []
    const closed = new Promise<Error | undefined>((resolve) => {
      connection.open({ data: (chunk) => chunks.push(chunk), drained: () => {}, closed: resolve })
    })
    socket.end('last words')
    await expect(closed).resolves.toBeUndefined()
    expect(Buffer.concat(chunks).toString()).toBe('last words')
    await close()
  })

  test('a remote that ends and reads nothing cannot hold the connection open', async () => {
    const { socket, connection, close } = await rawPair()
    socket.pause()
    const closed = new Promise<Error | undefined>((resolve) => {
      connection.open({ data: () => {}, drained: () => {}, closed: resolve })
    })
    while (connection.write([new Uint8Array(2 ** 20)]));
    socket.end()
    await expect(closed).resolves.toBeUndefined()
    expect(connection.bufferedBytes).toBe(0)
    await close()
  })

  test('a close goes through although the remote goes on sending', async () => {
    const { socket, connection, close } = await rawPair()
    const received = new Promise<Buffer>((resolve) => {
      const chunks: Buffer[] = []
      socket.on('data', (chunk) => chunks.push(chunk))
      socket.on('end', () => resolve(Buffer.concat(chunks)))
    })
    const piece = Buffer.alloc(65_536)
    const send = (): void => {
      if (socket.writable) socket.write(piece, send)
    }
    send()
    connection.open({ data: () => {}, drained: () => {}, closed: () => {} })
    connection.write([Buffer.from('BYE')])
    connection.close()
    await expect(received).resolves.toEqual(Buffer.from('BYE'))
    socket.destroy()
    await close()
  })

  test('many chunks of one write leave in one piece', async () => {
    const { socket, connection, close } = await rawPair()
    connection.open({ data: () => {}, drained: () => {}, closed: () => {} })
    const first = new Promise<Buffer>((resolve) => socket.once('data', resolve))
    connection.write(Array.from({ length: 900 }, (_, index) => new Uint8Array([index])))
    expect((await first).length).toBe(900)
    await close()
  })

  test('a socket of an own server becomes a connection, with canonical addresses', async () => {
    const server = net.createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as net.AddressInfo
    const accepted = new Promise<Connection>((resolve) => {
      server.once('connection', (socket) => {
        const connection = connectionFromSocket(socket)
        connection.open({ data: () => {}, drained: () => {}, closed: () => {} })
        resolve(connection)
      })
    })
    const dialled = await tcpTransport().dial({ host: '127.0.0.1', port }, { signal: never })
    dialled.open({ data: () => {}, drained: () => {}, closed: () => {} })
    expect((await accepted).remote).toEqual(dialled.local)
    expect((await accepted).local).toEqual({ host: '127.0.0.1', port })
    dialled.destroy()
    await new Promise((resolve) => server.close(resolve))
  })

  test('a socket that is not connected is refused', () => {
    expect(() => connectionFromSocket(new net.Socket())).toThrow(TypeError)
  })
})

async function hosts(): Promise<{ acceptor: string; dialler: string }[]> {
  const pairs = [{ acceptor: '127.0.0.1', dialler: '127.0.0.2' }]
  if (await canListen('::1')) pairs.push({ acceptor: '::1', dialler: '::1' })
  return pairs
}

function canListen(host: string): Promise<boolean> {
  return listen(tcpTransport({ host, port: 0 }), () => {}).then(
    async (listener) => {
      await listener.close()
      return true
    },
    () => false,
  )
}

async function listen(
  transport: Transport,
  onConnection: (connection: Connection) => void,
): Promise<Listener> {
  const listener = await transport.listen?.(onConnection)
  expect(listener).toBeDefined()
  return listener!
}

async function failureOf(promise: Promise<unknown>): Promise<Error> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(Error)
  return error as Error
}

async function acceptOne(
  acceptor: Transport,
  dial: (port: number) => Promise<Connection>,
): Promise<{ accepted: Endpoints; close: () => Promise<void> }> {
  let accept: (connection: Connection) => void
  const handedOver = new Promise<Connection>((resolve) => {
    accept = resolve
  })
  const listener = await listen(acceptor, (connection) => {
    connection.open({ data: () => {}, drained: () => {}, closed: () => {} })
    accept(connection)
  })
  const dialled = await dial(listener.endpoints[0]!.port)
  const accepted = await handedOver
  return {
    accepted,
    close: async () => {
      dialled.destroy()
      accepted.destroy()
      await listener.close()
    },
  }
}

interface Endpoints {
  readonly local: Endpoint | undefined
  readonly remote: Endpoint
}

/** A plain socket that leaves everything to the test, and the connection at its other end. */
async function rawPair(): Promise<{
  socket: net.Socket
  connection: Connection
  close: () => Promise<void>
}> {
  const server = net.createServer({ allowHalfOpen: true })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as net.AddressInfo
  const accepted = new Promise<net.Socket>((resolve) => server.once('connection', resolve))
  const connection = await tcpTransport().dial({ host: '127.0.0.1', port }, { signal: never })
  const socket = await accepted
  socket.on('error', () => {})
  return {
    socket,
    connection,
    close: async () => {
      socket.destroy()
      connection.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** As root nothing is forbidden: does `work` as nobody then. */
async function unprivileged<Result>(work: () => Promise<Result>): Promise<Result> {
  const isRoot = process.geteuid?.() === 0
  if (isRoot) process.seteuid?.(65_534)
  try {
    return await work()
  } finally {
    if (isRoot) process.seteuid?.(0)
  }
}
