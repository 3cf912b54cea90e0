import type { Connection, Endpoint, Transport } from '../contracts/transport.js'

/** Dials, but waits no longer than the signal: what comes after it is closed. Rejects with its reason. */
export async function dialUntil(
  transport: Transport,
  endpoint: Endpoint,
  signal: AbortSignal,
): Promise<Connection> {
  const dialing = transport.dial(endpoint, { signal })
  const aborted = new Promise<never>((_, reject) => {
    signal.addEventListener(
      'abort',
      () => {
        reject(signal.reason as Error)
      },
      { once: true },
    )
  })
  try {
    return await Promise.race([dialing, aborted])
  } catch (error) {
    if (signal.aborted) dialing.then(destroy, ignore)
    throw error
  }
}

function destroy(connection: Connection): void {
  connection.destroy()
}

/** The failure was reported when the signal aborted. */
function ignore(): void {
  return
}
