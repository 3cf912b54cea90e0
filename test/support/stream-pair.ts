import { Duplex } from 'node:stream'

/** Half of a pair of streams that hand bytes to a waiting reader before `write` returns. */
class Half extends Duplex {
  other: Half | undefined
  #taken: (() => void) | undefined

  override _read(): void {
    const taken = this.#taken
    this.#taken = undefined
    taken?.()
  }

  override _write(chunk: Uint8Array, _encoding: string, done: (error?: Error) => void): void {
    if (this.other === undefined || this.other.destroyed) done(new Error('nobody is left'))
    else this.other.#take(chunk, done)
  }

  override _final(done: () => void): void {
    this.other?.push(null)
    done()
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    if (this.other?.readableEnded === false) this.other.push(null)
    done(error)
  }

  #take(chunk: Uint8Array, done: () => void): void {
    const isHungry = this.push(Buffer.from(chunk))
    if (isHungry) done()
    else this.#taken = done
  }
}

/** Two streams, each the other end of the other. */
export function streamPair(): [Duplex, Duplex] {
  const [a, b] = [new Half(), new Half()]
  a.other = b
  b.other = a
  return [a, b]
}
