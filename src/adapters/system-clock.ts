import type { Clock, Timer } from '../contracts/clock.js'

/** The longest delay that setTimeout takes; longer ones are made of several. */
const maxTimeoutMs = 2 ** 31 - 1

/** The machine's monotonic clock and timers. Works in Node.js and in browsers. */
export class SystemClock implements Clock {
  now(): number {
    return performance.now()
  }

  unixMs(): number {
    return Date.now()
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    if (!(delayMs >= 0 && Number.isFinite(delayMs))) {
      throw new RangeError(`delayMs must be finite and at least 0, not ${delayMs}`)
    }
    return delayMs === 0 && typeof setImmediate === 'function'
      ? immediate(callback)
      : timeout(delayMs, callback)
  }
}

function immediate(callback: () => void): Timer {
  const handle = setImmediate(callback)
  return {
    cancel: () => {
      clearImmediate(handle)
    },
  }
}

function timeout(delayMs: number, callback: () => void): Timer {
  let remainingMs = delayMs
  let handle: ReturnType<typeof setTimeout>
  const arm = (): void => {
    const partMs = Math.min(remainingMs, maxTimeoutMs)
    remainingMs -= partMs
    handle = setTimeout(remainingMs > 0 ? arm : callback, partMs)
  }
  arm()
  return {
    cancel: () => {
      clearTimeout(handle)
    },
  }
}
