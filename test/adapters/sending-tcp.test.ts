import { expect, test } from 'vitest'
import { createNode } from 'holdfast'
import { tcpTransport } from 'holdfast/tcp'

test('a sender that fills its queue in one turn goes on as soon as the system took it, and all arrives', async () => {
  const node = (host: string) =>
    createNode({
      network: 'sending',
      transport: tcpTransport({ host, port: 0 }),
      maxMessagesPerSecond: 1e9,
      maxBytesPerSecond: 1e12,
      // Only this would end the wait, were it nobody else.
      slowPeerMs: 1e6,
    })
  await using receiver = node('127.0.0.2')
  await using sender = node('127.0.0.3')
  let received = 0
  receiver.connections.handle('m', () => void (received += 1))
  receiver.connections.handle('q', () => Uint8Array.of(1))
  await Promise.all([receiver.start(), sender.start()])
  const { port } = receiver.connections.endpoints[0]!
  const peer = await sender.connections.connect(`127.0.0.2:${port}`)
  let sent = 0
  for (const messageBytes of [1, 64, 1_024, 20_000, 1_000_000]) {
    const bytes = new Uint8Array(messageBytes)
    for (let times = 0; times < 3; times += 1) {
      do sent += 1
      while (peer.send('m', bytes))
      await peer.drained()
    }
  }
  await peer.request('q', Uint8Array.of(1))
  expect(received).toBe(sent)
})
