import { lookup } from 'node:dns/promises'

/**
 * The addresses of a host name as the system knows them (hosts file, DNS), in the system's order. A
 * lookup cannot be stopped: when `signal` aborts, nobody waits for it any longer.
 */
export async function resolveHost(
  host: string,
  { signal }: { readonly signal: AbortSignal },
): Promise<readonly string[]> {
  signal.throwIfAborted()
  const aborted = new Promise<never>((_, reject) => {
    signal.addEventListener(
      'abort',
      () => {
        reject(signal.reason as Error)
      },
      { once: true },
    )
  })
  const found = await Promise.race([lookup(host, { all: true, verbatim: true }), aborted])
  return found.map(({ address }) => address)
}
