import { setTimeout as sleep } from 'node:timers/promises'
import type { SeededRandom } from 'holdfast/testing'
import { Attacker, frame, helloFrame, type IpRange, type State } from './attacker.js'

export interface AttackSetup {
  readonly port: number
  readonly dice: SeededRandom
  readonly ips: IpRange
  /** How long an attack that has no end of its own goes on. */
  readonly durationMs: number
  readonly connections: number
}

/** What an attack did, in one line. */
export type Attack = (setup: AttackSetup) => Promise<string>

const nothing = new Uint8Array(0)
const type = frame({ kind: 'type', number: 0, name: 'swallow' })
const askBlocks = (id: number): Buffer =>
  frame({ kind: 'getBlocks', id, from: 0, count: 400, maxBytes: 8_000_000 })

async function many(
  { port, dice, ips }: AttackSetup,
  count: number,
  state: State,
): Promise<Attacker[]> {
  const attackers: Attacker[] = []
  for (let begun = 0; begun < count; begun += 20) {
    const batch = Array.from({ length: Math.min(20, count - begun) }, () =>
      Attacker.in(state, { ip: ips.next(), port, dice }),
    )
    for (const attacker of await Promise.all(batch)) if (attacker) attackers.push(attacker)
  }
  return attackers
}

async function away(attackers: readonly Attacker[]): Promise<void> {
  for (const { socket } of attackers) socket.destroy()
  await Promise.all(attackers.map(({ closed }) => closed))
}

/** Sends `bytes` again and again from several established connections, as fast as these take it. */
const flood =
  (bytes: Buffer, before: Buffer = Buffer.alloc(0)): Attack =>
  async (setup) => {
    const attackers = await many(setup, 8, 'established')
    const batch = Buffer.concat(
      Array.from({ length: Math.ceil(32_768 / bytes.length) }, () => bytes),
    )
    for (const attacker of attackers) if (before.length > 0) attacker.send(before)
    const untilMs = performance.now() + setup.durationMs
    while (performance.now() < untilMs) {
      for (const attacker of attackers) {
        if (attacker.socket.writableLength < 65_536) attacker.send(batch)
      }
      await sleep(1)
    }
    const sentMb = attackers.reduce((sum, { socket }) => sum + socket.bytesWritten, 0) / 2 ** 20
    const cut = attackers.filter(({ isClosed }) => isClosed).length
    await away(attackers)
    return `${attackers.length} connections, ${sentMb.toFixed(1)} MiB taken, ${cut} closed by the victim`
  }

export const attacks: Readonly<Record<string, Attack>> = {
  'connect and say nothing': async (setup) => {
    const attackers = await many(setup, 300, 'before HELLO')
    await sleep(setup.durationMs)
    const cut = attackers.filter(({ isClosed }) => isClosed).length
    await away(attackers)
    return `${attackers.length} connections, ${cut} closed by the victim`
  },
  'drip bytes': async (setup) => {
    const attackers = await many(setup, 40, 'before HELLO')
    const established = await many(setup, 10, 'established')
    const hello = helloFrame(setup.dice)
    const slow = frame({ kind: 'message', type: 0, bytes: new Uint8Array(1_000) })
    let dripped = 0
    for (const untilMs = performance.now() + setup.durationMs; performance.now() < untilMs;) {
      for (const attacker of attackers) {
        if (attacker.send(hello.subarray(attacker.sentBytes, attacker.sentBytes + 1))) dripped += 1
      }
      for (const attacker of established) {
        const at = attacker.sentBytes % slow.length
        if (attacker.send(slow.subarray(at, at + 1))) dripped += 1
      }
      await sleep(20)
    }
    await away([...attackers, ...established])
    return `${dripped} bytes, one at a time`
  },
  'reset at every byte of the handshake': async (setup) => {
    const stream = Buffer.concat([helloFrame(setup.dice), frame({ kind: 'ready' })])
    for (let length = 0; length <= stream.length; length += 1) {
      const attacker = await Attacker.open(setup.ips.next(), setup.port)
      if (attacker === undefined) continue
      attacker.send(stream.subarray(0, length))
      await sleep(1)
      attacker.socket.resetAndDestroy()
    }
    return `${stream.length + 1} resets`
  },
  'half-close at every byte of the handshake': async (setup) => {
    const stream = Buffer.concat([helloFrame(setup.dice), frame({ kind: 'ready' })])
    const attackers: Attacker[] = []
    for (let length = 0; length <= stream.length; length += 1) {
      const attacker = await Attacker.open(setup.ips.next(), setup.port)
      if (attacker === undefined) continue
      attacker.send(stream.subarray(0, length))
      attacker.socket.end()
      attackers.push(attacker)
    }
    await sleep(200)
    await away(attackers)
    return `${attackers.length} half-closes`
  },
  'open many connections': async (setup) => {
    const attackers: Attacker[] = []
    for (let begun = 0; begun < setup.connections; begun += 50) {
      const batch = Array.from({ length: Math.min(50, setup.connections - begun) }, () =>
        Attacker.open(setup.ips.next(), setup.port),
      )
      for (const attacker of await Promise.all(batch)) if (attacker) attackers.push(attacker)
    }
    const cut = attackers.filter(({ isClosed }) => isClosed).length
    await away(attackers)
    return `${attackers.length} connections, ${cut} closed by the victim`
  },
  'ask for everything and never read': async (setup) => {
    const attackers = await many(setup, 16, 'established')
    for (const attacker of attackers) {
      attacker.socket.pause()
      attacker.send(type)
      for (let id = 0; id < 1_000; id += 1) attacker.send(askBlocks(id))
    }
    await sleep(Math.max(3_500, setup.durationMs))
    const taken = attackers.filter(({ socket }) => socket.bytesWritten > 0).length
    await away(attackers)
    return `${taken} connections with 1,000 requests each`
  },
  'flood of pings': flood(frame({ kind: 'ping', nonce: 7n })),
  'flood of pongs': flood(frame({ kind: 'pong', nonce: 7n })),
  'flood of empty messages': flood(frame({ kind: 'message', type: 0, bytes: nothing }), type),
  'flood of large messages': flood(
    frame({ kind: 'message', type: 0, bytes: new Uint8Array(200_000) }),
    type,
  ),
  'flood of announcements': flood(
    frame({ kind: 'announce', tip: { height: 1_000_000, hash: 'ab'.repeat(32) } }),
  ),
  'flood of unknown kinds': flood(Buffer.from([0, 0, 0, 0, 0xee])),
  'requests without end': flood(
    frame({ kind: 'request', id: 1, type: 0, bytes: new Uint8Array(10) }),
    type,
  ),
  'requests of blocks without end': flood(
    Buffer.concat(Array.from({ length: 64 }, (_, id) => askBlocks(id))),
  ),
  'giant lengths': async (setup) => {
    const attackers = await many(setup, 40, 'established')
    for (const [index, attacker] of attackers.entries()) {
      const header = Buffer.from([0, 0, 0, 0, 0x21])
      header.writeUInt32BE(index % 2 === 0 ? 2 ** 32 - 1 : 8 * 1024 * 1024)
      attacker.send(header)
    }
    await sleep(500)
    const cut = attackers.filter(({ isClosed }) => isClosed).length
    await away(attackers)
    return `${attackers.length} headers, ${cut} closed by the victim`
  },
}

/** Violates the protocol again and again from the same IPs, until these are banned. */
export async function offend(setup: AttackSetup, ips: readonly string[]): Promise<number> {
  let violations = 0
  for (let round = 0; round < 8; round += 1) {
    for (const ip of ips) {
      const attacker = await Attacker.in('established', { ...setup, ip })
      if (attacker === undefined) continue
      violations += 1
      attacker.send(Buffer.from([0, 0, 0, 1, 0x30, 0xa5]))
      await attacker.wait('bye', 1_000)
      attacker.socket.destroy()
      await attacker.closed
    }
  }
  return violations
}
