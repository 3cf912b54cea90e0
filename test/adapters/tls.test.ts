import net from 'node:net'
import tls from 'node:tls'
import { describe, expect, test } from 'vitest'
import {
  createNode,
  HoldfastError,
  type Authorize,
  type CloseReason,
  type Node,
  type NodeOptions,
} from 'holdfast'
import { tcpTransport } from 'holdfast/tcp'
import { fingerprintsOf, tlsTransport, type TlsTransportOptions } from 'holdfast/tls'
import { MemoryBlockStore } from 'holdfast'
import { testChain, testChainRules, transportSuite } from 'holdfast/testing'
import type { Connection, ListenOptions } from '../../src/contracts/transport.js'
import { never } from '../support/connections.js'
import { hasOpenssl, makeCertificate, type Credentials } from '../support/certificates.js'

const a = '127.0.0.1'
const b = '127.0.0.2'

/** Made once: keys cost time. Empty where there is no openssl, and all tests are skipped. */
const made = hasOpenssl() ? makeAll() : undefined

function makeAll() {
  const ca = makeCertificate({ name: 'ca', isCa: true })
  const otherCa = makeCertificate({ name: 'other', isCa: true })
  return {
    issuer: ca,
    ca: ca.cert,
    a: makeCertificate({ name: 'a', san: `IP:${a},DNS:mesh`, issuer: ca }),
    b: makeCertificate({ name: 'b', san: `IP:${b},DNS:mesh`, issuer: ca }),
    expired: makeCertificate({ issuer: ca, notAfter: '20200102000000Z' }),
    early: makeCertificate({ issuer: ca, notBefore: '20980101000000Z' }),
    stranger: makeCertificate({ issuer: otherCa }),
    self: makeCertificate(),
    otherSelf: makeCertificate({ san: `IP:${b}` }),
    oldSelf: makeCertificate({ notAfter: '20200102000000Z' }),
  }
}

const certificates = made as NonNullable<typeof made>
const pin = ({ cert }: Credentials): string => fingerprintsOf(cert).publicKey

interface Refusal {
  readonly error: Error
}

/** A listener, what it accepted and refused, and where it is. */
async function listening(
  options: Omit<TlsTransportOptions, 'host' | 'port'>,
  listen: ListenOptions = {},
) {
  const accepted: Connection[] = []
  const refused: Refusal[] = []
  const waiting: (() => void)[] = []
  const transport = tlsTransport({ host: a, port: 0, ...options })
  const listener = await transport.listen!(
    (connection) => {
      connection.open({ data: () => {}, drained: () => {}, closed: () => {} })
      accepted.push(connection)
      for (const wake of waiting.splice(0)) wake()
    },
    {
      ...listen,
      onRefused: (_, error) => {
        refused.push({ error })
        for (const wake of waiting.splice(0)) wake()
      },
    },
  )
  return {
    accepted,
    refused,
    address: listener.endpoints[0]!,
    until: async (condition: () => boolean) => {
      while (!condition()) await new Promise<void>((resolve) => void waiting.push(resolve))
    },
    close: async () => {
      for (const connection of accepted) connection.destroy()
      await listener.close()
    },
  }
}

const dialled = (options: TlsTransportOptions, address: { host: string; port: number }) =>
  tlsTransport(options)
    .dial(address, { signal: never })
    .then(
      (connection) => {
        connection.open({ data: () => {}, drained: () => {}, closed: () => {} })
        return connection
      },
      (error: unknown) => error as HoldfastError,
    )

describe.skipIf(made === undefined)('the contract of transports, over TLS', () => {
  transportSuite({
    test,
    factory: () => ({
      acceptor: tlsTransport({ host: a, port: 0, ...certificates.a, ca: certificates.ca }),
      dialler: tlsTransport({ host: b, port: 0, ...certificates.b, ca: certificates.ca }),
    }),
  })
})

describe.skipIf(made === undefined)('who is let in', () => {
  test('both ends know the certificate of the other: its key, names and dates', async () => {
    const { ca } = certificates
    const listener = await listening({ ...certificates.a, ca })
    const connection = await dialled({ ...certificates.b, ca, localAddress: b }, listener.address)
    expect(connection).not.toBeInstanceOf(Error)
    await listener.until(() => listener.accepted.length > 0)
    const [accepted] = listener.accepted
    expect((connection as Connection).security).toMatchObject({
      protocol: 'TLSv1.3',
      publicKeyFingerprint: pin(certificates.a),
      certificateFingerprint: fingerprintsOf(certificates.a.cert).certificate,
      subject: 'CN=a',
      issuer: 'CN=ca',
      subjectAltName: `IP Address:${a}, DNS:mesh`,
      validToUnixMs: Date.UTC(2099, 0, 1),
    })
    expect(accepted!.security).toMatchObject({ publicKeyFingerprint: pin(certificates.b) })
    expect(accepted!.remote.host).toBe(b)
    ;(connection as Connection).destroy()
    await listener.close()
  })

  test('self-signed nodes that pin each other are, also with a certificate whose dates are over', async () => {
    const { oldSelf, otherSelf } = certificates
    for (const pins of [
      [pin(oldSelf), pin(otherSelf)],
      [oldSelf, otherSelf].map(({ cert }) => fingerprintsOf(cert).certificate.toUpperCase()),
      [oldSelf, otherSelf].map((each) => pin(each).replace(/..(?!$)/g, '$&:')),
      [oldSelf, otherSelf].map(
        (each) => `sha256/${Buffer.from(pin(each), 'hex').toString('base64')}`,
      ),
      { [a]: pin(oldSelf), [b]: [pin(otherSelf)] },
    ]) {
      const listener = await listening({ ...oldSelf, pins })
      const connection = await dialled({ ...otherSelf, pins, localAddress: b }, listener.address)
      expect(connection).not.toBeInstanceOf(Error)
      ;(connection as Connection).destroy()
      await listener.close()
    }
  })

  test('a name for the whole mesh is looked at by both ends', async () => {
    const { ca } = certificates
    const peerName = { dns: 'mesh' }
    const listener = await listening({ ...certificates.a, ca, peerName })
    const good = await dialled({ ...certificates.b, ca, peerName }, listener.address)
    expect(good).not.toBeInstanceOf(Error)
    ;(good as Connection).destroy()
    const other = { ...certificates.b, ca, peerName: { dns: 'another' } }
    expect(await dialled(other, listener.address)).toMatchObject({
      failure: { kind: 'wrong-name', by: 'us' },
    })
    await listener.close()
  })
})

describe.skipIf(made === undefined)('what is wrong is said at both ends', () => {
  const ca = made?.ca ?? ''
  const cases: readonly {
    readonly what: string
    readonly acceptor?: () => Partial<TlsTransportOptions>
    readonly dialler?: () => Partial<TlsTransportOptions>
    readonly kind: string
    readonly foundBy: 'dialler' | 'acceptor'
  }[] = [
    { what: 'an expired server', acceptor: () => certificates.expired, kind: 'expired', foundBy: 'dialler' },
    { what: 'an expired client', dialler: () => certificates.expired, kind: 'expired', foundBy: 'acceptor' },
    { what: 'a server whose time has not come', acceptor: () => certificates.early, kind: 'not-yet-valid', foundBy: 'dialler' },
    { what: 'a client of an unknown authority', dialler: () => certificates.stranger, kind: 'unknown-ca', foundBy: 'acceptor' },
    { what: 'a server of an unknown authority', acceptor: () => certificates.stranger, kind: 'unknown-ca', foundBy: 'dialler' },
    { what: 'a self-signed client', dialler: () => certificates.self, kind: 'unknown-ca', foundBy: 'acceptor' },
    { what: 'a server with the name of another', acceptor: () => certificates.b, kind: 'wrong-name', foundBy: 'dialler' },
    {
      what: 'a server that is not pinned',
      dialler: () => ({ pins: [pin(certificates.stranger)] }),
      kind: 'pin-mismatch',
      foundBy: 'dialler',
    },
    {
      what: 'a client that is pinned at another IP',
      acceptor: () => ({ pins: { '127.0.0.9': pin(certificates.b) } }),
      kind: 'pin-mismatch',
      foundBy: 'acceptor',
    },
  ] // prettier-ignore

  test.each(cases)('$what: $kind, found by the $foundBy', async (row) => {
    const listener = await listening({ ...certificates.a, ca, ...row.acceptor?.() })
    const options = { ...certificates.b, ca, localAddress: b, ...row.dialler?.() }
    const error = await dialled(options, listener.address)
    await listener.until(() => listener.refused.length > 0)
    const isDiallers = row.foundBy === 'dialler'
    expect(HoldfastError.is(error, 'TLS_FAILED')).toBe(true)
    expect(error).toMatchObject({ failure: { kind: row.kind, by: isDiallers ? 'us' : 'peer' } })
    expect(listener.refused).toHaveLength(1)
    expect(listener.refused[0]!.error).toMatchObject({
      code: 'TLS_FAILED',
      failure: { kind: row.kind, by: isDiallers ? 'peer' : 'us' },
    })
    expect(listener.accepted).toEqual([])
    await listener.close()
  })

  test('a client without a certificate', async () => {
    const listener = await listening({ ...certificates.a, ca })
    const socket = tls.connect({ ...listener.address, ca, ALPNProtocols: ['holdfast/1'], checkServerIdentity: () => undefined }) // prettier-ignore
    const verdict = new Promise<Buffer>((resolve) => socket.once('data', resolve))
    socket.on('error', () => undefined)
    await listener.until(() => listener.refused.length > 0)
    expect([...(await verdict)]).toEqual([1])
    expect(listener.refused[0]!.error).toMatchObject({
      failure: { kind: 'no-certificate', by: 'us' },
    })
    socket.destroy()
    await listener.close()
  })

  test('a client that speaks TLS 1.2 only', async () => {
    const listener = await listening({ ...certificates.a, ca })
    const socket = tls.connect({
      ...listener.address,
      ...certificates.b,
      ca,
      maxVersion: 'TLSv1.2',
    })
    const error = await new Promise<Error>((resolve) => socket.once('error', resolve))
    expect(error).toMatchObject({ code: expect.stringContaining('PROTOCOL_VERSION') as string })
    await listener.until(() => listener.refused.length > 0)
    expect(listener.refused[0]!.error).toMatchObject({ failure: { kind: 'wrong-version' } })
    await listener.close()
  })

  test('a server that speaks TLS 1.2 only, one of another protocol, and one that speaks no TLS', async () => {
    const servers = [
      [tls.createServer({ ...certificates.a, maxVersion: 'TLSv1.2' }), 'wrong-version'],
      [tls.createServer({ ...certificates.a, ALPNProtocols: ['h2'] }), 'wrong-protocol'],
      [tls.createServer({ ...certificates.a }), 'wrong-protocol'],
      [net.createServer((socket) => socket.end('220 mail.example.org ESMTP\r\n')), 'not-tls'],
      [net.createServer((socket) => socket.destroy()), 'interrupted'],
    ] as const
    for (const [server, kind] of servers) {
      server.on('connection', (socket: net.Socket) => void socket.on('error', () => undefined))
      await new Promise<void>((resolve) => void server.listen(0, a, resolve))
      const { port } = server.address() as net.AddressInfo
      const error = await dialled({ ...certificates.b, ca }, { host: a, port })
      expect(error).toMatchObject({ code: 'TLS_FAILED', failure: { kind, by: 'us' } })
      server.close()
    }
  })

  test('a server that says nothing is given up after handshakeTimeoutMs', async () => {
    const server = net.createServer()
    await new Promise<void>((resolve) => void server.listen(0, a, resolve))
    const { port } = server.address() as net.AddressInfo
    const options = { ...certificates.b, ca, handshakeTimeoutMs: 50 }
    const error = await dialled(options, { host: a, port })
    expect(error).toMatchObject({ code: 'TLS_FAILED', failure: { kind: 'timeout', by: 'us' } })
    server.close()
  })

  test('a client that speaks no TLS', async () => {
    const listener = await listening({ ...certificates.a, ca })
    const socket = net.connect(listener.address).on('error', () => undefined)
    socket.write('GET / HTTP/1.1\r\n\r\n')
    await listener.until(() => listener.refused.length > 0)
    expect(listener.refused[0]!.error).toMatchObject({ failure: { kind: 'not-tls', by: 'us' } })
    socket.destroy()
    await listener.close()
  })
})

describe.skipIf(made === undefined)('sockets that are not connections yet', () => {
  const silent = (address: net.NetConnectOpts): net.Socket =>
    net.connect(address).on('error', () => undefined)

  test('are bounded in number: the oldest makes room', async () => {
    const { ca } = certificates
    const limits = { maxPendingHandshakes: 3, maxPendingHandshakesPerIp: 3 }
    const listener = await listening({ ...certificates.a, ca }, limits)
    const sockets: net.Socket[] = []
    const closed: number[] = []
    for (let index = 0; index < 10; index += 1) {
      const socket = silent(listener.address)
      socket.on('close', () => closed.push(index))
      await new Promise((resolve) => socket.once('connect', resolve))
      sockets.push(socket)
    }
    await listener.until(() => listener.refused.length >= 7)
    while (closed.length < 7) await new Promise((resolve) => setTimeout(resolve, 2))
    expect(closed.sort()).toEqual([0, 1, 2, 3, 4, 5, 6])
    const connection = await dialled({ ...certificates.b, ca, localAddress: b }, listener.address)
    expect(connection).not.toBeInstanceOf(Error)
    expect(listener.accepted).toHaveLength(1)
    for (const socket of sockets) socket.destroy()
    ;(connection as Connection).destroy()
    await listener.close()
  })

  test('are bounded in time, also one that goes silent after its TLS handshake', async () => {
    const { ca } = certificates
    const listener = await listening({ ...certificates.a, ca }, { handshakeTimeoutMs: 300 })
    const socket = silent(listener.address)
    const secured = tls.connect({ ...listener.address, ...certificates.b, ca, ALPNProtocols: ['holdfast/1'] }) // prettier-ignore
    secured.on('error', () => undefined)
    await listener.until(() => listener.refused.length >= 2)
    for (const { error } of listener.refused) {
      expect(error).toMatchObject({ code: 'TLS_FAILED', failure: { kind: 'timeout', by: 'us' } })
    }
    expect(listener.accepted).toEqual([])
    socket.destroy()
    secured.destroy()
    await listener.close()
  })

  test('end with their listener', async () => {
    const { ca } = certificates
    const listener = await listening({ ...certificates.a, ca })
    const socket = silent(listener.address)
    await new Promise((resolve) => socket.once('connect', resolve))
    const closed = new Promise((resolve) => socket.once('close', resolve))
    await new Promise((resolve) => setImmediate(resolve))
    await listener.close()
    await closed
  })
})

describe.skipIf(made === undefined)('nodes over TLS', () => {
  const node = (host: string, options: Partial<NodeOptions> = {}, own?: Credentials): Node => {
    const credentials = own ?? (host === a ? certificates.a : certificates.b)
    const transport = tlsTransport({ host, port: 0, ...credentials, ca: certificates.ca })
    return createNode({ network: 'tls', transport, ...options })
  }
  const addressOf = ({ connections }: Node): string => {
    const [{ host, port }] = connections.endpoints as [{ host: string; port: number }]
    return `${host}:${port}`
  }

  test('dial each other at once, keep one connection, ping, and bring a chain up to date', async () => {
    const chain = testChain({ length: 200 })
    const rules = testChainRules(chain)
    const full = new MemoryBlockStore()
    await full.open()
    await full.append(chain.blocks, { expectTip: null })
    const left = node(a, { chain: { rules, store: full } })
    const right = node(b, { chain: { rules, store: new MemoryBlockStore() } })
    try {
      await Promise.all([left.start(), right.start()])
      const [peer, back] = await Promise.all([
        left.connections.connect(addressOf(right)),
        right.connections.connect(addressOf(left)),
      ])
      expect(peer.remote.port).toBe(back.local!.port)
      expect(peer.security!.publicKeyFingerprint).toBe(pin(certificates.b))
      expect(back.security!.publicKeyFingerprint).toBe(pin(certificates.a))
      await right.sync!.waitForSynced()
      expect(right.sync!.progress.height).toBe(chain.blocks.at(-1)!.height)
      expect([left.peers().length, right.peers().length]).toEqual([1, 1])
      expect(await left.pings.ping(peer)).toBeGreaterThan(0)
    } finally {
      await Promise.all([left.stop(), right.stop()])
    }
  })

  test('let in by the application whom it knows by certificate, and tell the others why not', async () => {
    const members = new Map([[pin(certificates.b), 'b']])
    const authorize: Authorize = async (_, { security }) =>
      members.has(security!.publicKeyFingerprint) || { refuse: `${security!.subject} is no member` }
    const left = node(a, { authorize })
    const right = node(b)
    const other = node(
      b,
      {},
      makeCertificate({ name: 'mallory', san: `IP:${b}`, issuer: certificates.issuer }),
    )
    try {
      await Promise.all([left.start(), right.start(), other.start()])
      const error = await other.connections.connect(addressOf(left)).catch((e: unknown) => e)
      expect(error).toMatchObject({
        code: 'CONNECT_FAILED',
        reason: { kind: 'refused', by: 'peer', text: 'CN=mallory is no member' },
      })
      expect(left.peers()).toEqual([])
      const peer = await right.connections.connect(addressOf(left))
      expect(peer.security!.publicKeyFingerprint).toBe(pin(certificates.a))
    } finally {
      await Promise.all([left.stop(), right.stop(), other.stop()])
    }
  })

  test('say at both ends why a peer was not let in', async () => {
    const left = node(a)
    const right = node(b, {}, certificates.stranger)
    const refused = new Promise<CloseReason>((resolve) => {
      left.connections.on('inboundRefused', ({ reason }) => resolve(reason))
    })
    try {
      await Promise.all([left.start(), right.start()])
      const error = await right.connections.connect(addressOf(left)).catch((e: unknown) => e)
      expect(error).toMatchObject({
        code: 'TLS_FAILED',
        failure: { kind: 'unknown-ca', by: 'peer' },
      })
      expect(await refused).toMatchObject({
        kind: 'transport-error',
        by: 'us',
        error: { failure: { kind: 'unknown-ca', by: 'us' } },
      })
    } finally {
      await Promise.all([left.stop(), right.stop()])
    }
  })

  test('and nodes without TLS do not get together, and each says so', async () => {
    const left = node(a)
    const right = createNode({ network: 'tls', transport: tcpTransport({ host: b, port: 0 }) })
    try {
      await Promise.all([left.start(), right.start()])
      const outwards = await left.connections.connect(addressOf(right)).catch((e: unknown) => e)
      expect(outwards).toMatchObject({ code: 'TLS_FAILED', failure: { kind: 'not-tls' } })
      const refused = new Promise<CloseReason>((resolve) => {
        left.connections.on('inboundRefused', ({ reason }) => resolve(reason))
      })
      await expect(right.connections.connect(addressOf(left))).rejects.toMatchObject({
        code: 'CONNECT_FAILED',
      })
      expect(await refused).toMatchObject({ error: { failure: { kind: 'not-tls' } } })
    } finally {
      await Promise.all([left.stop(), right.stop()])
    }
  })
})

describe.skipIf(made === undefined)('the options', () => {
  test.each([
    [() => ({ ...certificates.a }), 'tlsTransport needs ca or pins'],
    [() => ({ ...certificates.a, pins: ['ab'] }), 'pins: "ab" is not a SHA-256 fingerprint'],
    [
      () => ({ ...certificates.a, pins: { host: pin(certificates.a) } }),
      'pins: "host" is not an IP',
    ],
    [
      () => ({ cert: certificates.a.cert, key: certificates.b.key, pins: [] }),
      'cert and key a pair',
    ],
    [() => ({ cert: 'none', key: 'none', pins: [] }), 'must be PEM'],
    [() => ({ cert: 1 as never, key: 'none', pins: [] }), 'cert must be PEM text or bytes'],
    [() => ({ ...certificates.a, pins: [], host: 'localhost' }), '"localhost"'],
  ] as readonly (readonly [() => TlsTransportOptions, string])[])(
    'refuse what is wrong, and name it: %#',
    (options, text) => {
      expect(() => tlsTransport(options())).toThrow(TypeError)
      expect(() => tlsTransport(options())).toThrow(text)
    },
  )
})
