import type { Connection, ConnectionHandlers } from '../../contracts/transport.js'
import { patternBytes } from './pattern.js'

/** What a test wants to do when something arrives, beyond recording it. */
export type ProbeReactions = Partial<ConnectionHandlers>

/**
 * The reader and writer of one end: records what it is told, and every breach of the contract that
 * shows from here.
 */
export class Probe {
  readonly connection: Connection
  readonly chunks: Uint8Array[] = []
  readonly closes: (Error | undefined)[] = []
  readonly breaches: string[] = []
  receivedBytes = 0
  writtenBytes = 0
  drainedCount = 0
  reactions: ProbeReactions = {}
  /** The method of the connection that is running. */
  #inside: string | undefined
  #state: 'unopened' | 'reading' | 'paused' | 'closing' | 'destroyed' = 'unopened'
  #owesDrained = false

  constructor(connection: Connection) {
    this.connection = connection
  }

  get isClosed(): boolean {
    return this.closes.length > 0
  }

  open(): this {
    this.#calling('open', () => {
      this.connection.open({
        data: (chunk) => {
          this.#data(chunk)
        },
        drained: () => {
          this.#drained()
        },
        closed: (error) => {
          this.#closed(error)
        },
      })
    })
    this.#state = 'reading'
    return this
  }

  /** Writes the next bytes of the pattern, in chunks of these sizes. */
  write(...sizes: readonly number[]): boolean {
    const chunks = sizes.map((size) => {
      const chunk = patternBytes(this.writtenBytes, size)
      this.writtenBytes += size
      return chunk
    })
    return this.writeRaw(chunks)
  }

  writeRaw(chunks: readonly Uint8Array[]): boolean {
    const isBelow = this.#calling('write', () => this.connection.write(chunks))
    if (!isBelow && (this.#state === 'reading' || this.#state === 'paused'))
      this.#owesDrained = true
    return isBelow
  }

  pause(): void {
    if (this.#state === 'reading') this.#state = 'paused'
    this.#calling('pause', () => {
      this.connection.pause()
    })
  }

  resume(): void {
    if (this.#state === 'paused') this.#state = 'reading'
    this.#calling('resume', () => {
      this.connection.resume()
    })
  }

  close(): void {
    if (this.#state !== 'destroyed') this.#state = 'closing'
    this.#calling('close', () => {
      this.connection.close()
    })
  }

  destroy(): void {
    this.#state = 'destroyed'
    this.#calling('destroy', () => {
      this.connection.destroy()
    })
  }

  #data(chunk: Uint8Array): void {
    this.#check('data')
    if (this.#state !== 'reading') this.#breach(`data was delivered while ${this.#state}`)
    if (chunk.length === 0) this.#breach('an empty chunk was delivered')
    this.receivedBytes += chunk.length
    this.chunks.push(chunk)
    this.reactions.data?.(chunk)
  }

  #drained(): void {
    this.#check('drained')
    if (!this.#owesDrained) this.#breach('drained was called although no write had returned false')
    if (this.#state === 'closing' || this.#state === 'destroyed') {
      this.#breach(`drained was called after ${this.#state}`)
    }
    this.#owesDrained = false
    this.drainedCount += 1
    this.reactions.drained?.()
  }

  #closed(error: Error | undefined): void {
    this.#check('closed')
    this.closes.push(error)
    this.reactions.closed?.(error)
  }

  #check(handler: string): void {
    if (this.#inside !== undefined) {
      this.#breach(`${handler} was called from inside ${this.#inside}, before it returned`)
    }
    if (this.#state === 'unopened') this.#breach(`${handler} was called before open`)
    if (this.isClosed) this.#breach(`${handler} was called after closed`)
  }

  #calling<Result>(method: string, body: () => Result): Result {
    const outer = this.#inside
    this.#inside = method
    try {
      return body()
    } catch (error) {
      this.#breach(`${method} threw ${String(error)}`)
      throw error
    } finally {
      this.#inside = outer
    }
  }

  #breach(text: string): void {
    this.breaches.push(text)
  }
}
