/** A timer that was set and has not fired. */
export interface Timer {
  /** Prevents the callback from running. Idempotent; does nothing once the timer has fired. */
  cancel(): void
}

/**
 * Time, handed in so that tests can run weeks in seconds.
 *
 * Everything that the library decides is decided on `now()`, which never goes backwards; `unixMs()`
 * is for records that outlive the process and for display only.
 */
export interface Clock {
  /** Milliseconds since an arbitrary origin. Monotonic: never less than it was before. */
  now(): number

  /** Milliseconds since the Unix epoch. May jump in either direction. */
  unixMs(): number

  /**
   * Runs `callback` once, at `now() + delayMs` or later, never from inside this call. Timers that are
   * due together run in the order in which they fall due, and in the order they were set where that is
   * equal. A delay of 0 runs after input and output that is already waiting has had its turn. Delays
   * are finite, at least 0, and may exceed 2^31 ms.
   */
  setTimer(delayMs: number, callback: () => void): Timer
}
