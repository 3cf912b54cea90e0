import { oneWayMark, requestMark, type Link } from './contestants/contestant.js'

/** The clock is looked at after so many messages, or bytes: it costs more than a small message does. */
const messagesPerLook = 32
const bytesPerLook = 64 * 1024

/** Sends for so long, waits until all has arrived, and tells how many did. */
export async function flood(
  link: Link,
  { messageBytes, ms }: { readonly messageBytes: number; readonly ms: number },
): Promise<{ readonly messages: number; readonly seconds: number }> {
  const bytes = new Uint8Array(messageBytes).fill(oneWayMark)
  const startedMs = performance.now()
  const perLook = Math.max(1, Math.min(messagesPerLook, Math.floor(bytesPerLook / messageBytes)))
  let sent = 0
  for (let isOver = false; !isOver;) {
    for (let index = 0; index < perLook; index += 1) {
      sent += 1
      if (!link.send(bytes)) await link.drained()
    }
    isOver = performance.now() - startedMs >= ms
  }
  await ask(link, new Uint8Array(1).fill(requestMark))
  return { messages: sent, seconds: (performance.now() - startedMs) / 1_000 }
}

export async function roundTrips(
  link: Link,
  { messageBytes, ms }: { readonly messageBytes: number; readonly ms: number },
): Promise<number> {
  const bytes = new Uint8Array(messageBytes).fill(requestMark)
  const times: number[] = []
  const endMs = performance.now() + ms
  for (let startedMs = performance.now(); startedMs < endMs;) {
    await ask(link, bytes)
    const nowMs = performance.now()
    times.push(nowMs - startedMs)
    startedMs = nowMs
  }
  return times.sort((a, b) => a - b)[times.length >> 1] ?? Number.NaN
}

export function inFlight(
  link: Link,
  order: { readonly messageBytes: number; readonly inFlight: number; readonly ms: number },
): Promise<number> {
  const bytes = new Uint8Array(order.messageBytes).fill(requestMark)
  const startedMs = performance.now()
  let isOver = false
  let answers = 0
  let open = order.inFlight
  return new Promise((resolve) => {
    const answered = (): void => {
      answers += 1
      if (answers % messagesPerLook === 0) isOver ||= performance.now() - startedMs >= order.ms
      if (!isOver) {
        link.request(bytes, answered)
        return
      }
      open -= 1
      if (open === 0) resolve((answers * 1_000) / (performance.now() - startedMs))
    }
    for (let index = 0; index < order.inFlight; index += 1) link.request(bytes, answered)
  })
}

function ask(link: Link, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve) => {
    link.request(bytes, resolve)
  })
}
