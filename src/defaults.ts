import { SystemClock } from './adapters/system-clock.js'
import { SystemRandom } from './adapters/system-random.js'
import type { Clock } from './contracts/clock.js'
import type { Random } from './contracts/random.js'

/** The clock that every part uses unless it is given another. */
export const systemClock: Clock = new SystemClock()

/** The dice that every part uses unless it is given others. */
export const systemRandom: Random = new SystemRandom()
