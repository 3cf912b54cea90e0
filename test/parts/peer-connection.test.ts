import { expect, test } from 'vitest'
import { defaultConnectionLimits } from '../../src/connection/connection-options.js'
import type { ConnectionOwner } from '../../src/connection/connection-owner.js'
import { PeerConnection } from '../../src/connection/peer-connection.js'
import type { Connection, ConnectionHandlers } from '../../src/contracts/transport.js'
import { tryParsePeerIp } from '../../src/rules/peer-ip.js'
import { SeededRandom } from '../../src/testing/seeded-random.js'
import { SimulatedClock } from '../../src/testing/simulated-clock.js'
import { encodeMessage } from '../../src/wire/message-codec.js'

const ignore = (): void => undefined

/** A transport's end from which the system takes at once whatever is written. */
class EagerConnection implements Connection {
  readonly local = undefined
  readonly remote = { host: '10.0.0.9', port: 24_100 }
  readonly bufferedBytes = 0
  handlers: ConnectionHandlers | undefined
  bytesWritten = 0
  pause = ignore
  resume = ignore
  close = ignore
  destroy = ignore

  open(handlers: ConnectionHandlers): void {
    this.handlers = handlers
  }

  write(chunks: readonly Uint8Array[]): boolean {
    this.bytesWritten += chunks.reduce((sum, { length }) => sum + length, 0)
    return true
  }
}

const owner: ConnectionOwner = {
  run: (input) => {
    input()
  },
  helloReceived: ignore,
  readyReceived: ignore,
  pongReceived: ignore,
  serviceReceived: ignore,
  appReceived: ignore,
  drained: ignore,
  ended: ignore,
  released: ignore,
}

test('a sender above high water goes on at once when the system took all of it, which no event tells', async () => {
  const transport = new EagerConnection()
  const ip = tryParsePeerIp('10.0.0.9')
  if (ip === undefined) throw new Error('no IP')
  const clock = new SimulatedClock()
  const connection = new PeerConnection(transport, {
    id: 1,
    direction: 'outbound',
    ip,
    owner,
    clock,
    random: new SeededRandom(1),
    limits: defaultConnectionLimits,
  })
  connection.open()
  const hello = {
    version: 1,
    network: 'n',
    instanceId: '00'.repeat(16),
    yourIp: undefined,
    listeningPort: undefined,
    agent: '',
    maxFrameBytes: 1_000_000,
    appData: new Uint8Array(0),
  }
  for (const part of encodeMessage({ kind: 'hello', hello, nonce: '00'.repeat(8) }).parts) {
    transport.handlers?.data(part)
  }
  connection.establish()
  const bytes = new Uint8Array(500_000)
  let sent = 0
  do sent += bytes.length
  while (connection.send('m', bytes))
  expect(sent).toBeGreaterThan(defaultConnectionLimits.sendHighWaterBytes)
  await connection.drained()
  expect(transport.bytesWritten).toBeGreaterThan(sent)
  expect(connection.send('m', bytes)).toBe(true)
})
