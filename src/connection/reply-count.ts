/**
 * Replies that the peer asked for and that have not left yet. A peer that asks for more and more and
 * reads none of it is found out by this number, whatever the replies weigh.
 */
export class ReplyCount {
  readonly #max: number
  readonly #onTooMany: () => void
  #count = 0

  constructor(max: number, onTooMany: () => void) {
    this.#max = max
    this.#onTooMany = onTooMany
  }

  /** The peer asked for something. False when that was one too many. */
  add(): boolean {
    this.#count += 1
    if (this.#count <= this.#max) return true
    this.#onTooMany()
    return false
  }

  /** A reply was handed to the transport, or will never be. */
  readonly sent = (): void => {
    this.#count -= 1
  }
}
