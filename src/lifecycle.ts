/**
 * Starts and stops of one object, one after the other in the order of the calls: the last call decides
 * what it ends as, at whatever moment the others were made.
 */
export class Lifecycle {
  #last: Promise<unknown> = Promise.resolve()

  run(action: () => Promise<void>): Promise<void> {
    const turn = this.#last.then(action)
    this.#last = turn.catch(() => undefined)
    return turn
  }
}
