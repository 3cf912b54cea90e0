/**
 * Three nodes that trust nobody but each other: a mesh of self-signed nodes over TLS.
 *
 * Each node has a key of its own and a certificate that it signed itself; all know the fingerprints of
 * the three public keys, and nothing else. A stranger with a certificate of the same kind is refused,
 * and both ends say why. The certificates are made with `openssl` in a temporary directory; without
 * that command, or without the addresses 127.0.0.2 and so on (Linux has them), it says so and ends.
 *
 * Run it: npx tsx examples/tls-mesh.ts
 */
import { execFileSync } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createNode, HoldfastError, type Node } from 'holdfast'
import { fingerprintsOf, tlsTransport } from 'holdfast/tls'

interface Member {
  readonly host: string
  readonly cert: string
  readonly key: string
}

async function member(directory: string, name: string, host: string): Promise<Member> {
  const [cert, key] = [join(directory, `${name}.cert`), join(directory, `${name}.key`)]
  const kind = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  const files = ['-subj', `/CN=${name}`, '-days', '30', '-keyout', key, '-out', cert]
  execFileSync('openssl', ['req', ...kind, ...files], { stdio: 'ignore' })
  return { host, cert: await readFile(cert, 'utf8'), key: await readFile(key, 'utf8') }
}

function nodeOf({ host, cert, key }: Member, pins: readonly string[]): Node {
  const transport = tlsTransport({ host, port: 0, cert, key, pins })
  return createNode({ network: 'tls-mesh', transport })
}

const addressOf = ({ connections }: Node): string => {
  const [endpoint] = connections.endpoints
  if (endpoint === undefined) throw new Error('the node does not listen')
  return `${endpoint.host}:${endpoint.port}`
}

async function run(directory: string): Promise<void> {
  const members = await Promise.all(
    ['alice', 'bob', 'carol'].map((name, index) => member(directory, name, `127.0.0.${index + 1}`)),
  )
  const pins = members.map(({ cert }) => fingerprintsOf(cert).publicKey)
  const mesh = members.map((each) => nodeOf(each, pins))
  const stranger = nodeOf(await member(directory, 'mallory', '127.0.0.4'), pins)
  try {
    await Promise.all([...mesh, stranger].map((node) => node.start()))
    await Promise.all(
      mesh.flatMap((node) =>
        mesh
          .filter((other) => other !== node)
          .map((other) => node.connections.connect(addressOf(other))),
      ),
    )
    for (const [index, node] of mesh.entries()) {
      const peers = node.peers().map(({ ip, security }) => `${ip} (${security?.subject ?? '?'})`)
      console.log(`${members[index]?.host} is connected to ${peers.sort().join(' and ')}`)
    }
    const [alice] = mesh
    if (alice === undefined) return
    alice.connections.on('inboundRefused', ({ remote, reason }) => {
      console.log(`127.0.0.1 refused ${remote.host}: ${reason.text}`)
    })
    try {
      await stranger.connections.connect(addressOf(alice))
      throw new Error('a stranger was let in')
    } catch (error) {
      if (!HoldfastError.is(error, 'TLS_FAILED')) throw error
      console.log(`127.0.0.4 was told: ${error.failure?.kind} by the ${error.failure?.by}`)
    }
  } finally {
    await Promise.all([...mesh, stranger].map((node) => node.stop()))
  }
}

function hasOpenssl(): boolean {
  try {
    execFileSync('openssl', ['version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

if (!hasOpenssl()) console.log('skipped: there is no openssl command to make certificates with')
else if (process.platform !== 'linux') console.log('skipped: only Linux has 127.0.0.2 and so on')
else {
  const directory = await mkdtemp(join(tmpdir(), 'tls-mesh-'))
  try {
    await run(directory)
  } finally {
    await rm(directory, { recursive: true })
  }
}
