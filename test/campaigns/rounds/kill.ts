import type { SeededRandom } from 'holdfast/testing'
import { noCloses, type AllowedCloses } from './judge.js'
import { sharedNowMs } from './protocol.js'
import type { Disturbance } from './round.js'

/** How far into the race the kill may fall: from before the first HELLO to after the last READY. */
const maxIntoRaceMs = 150

const onceForTheKilled: AllowedCloses = {
  least: 1,
  most: 1,
  kinds: ['ended', 'transport-error'],
}

/**
 * Kills the process of one member with SIGKILL and starts it again on the same port. The `ordinal`-th
 * kill of a campaign says how: in the middle of a race or after it, and whether the new process dials
 * the others or is only found by their own redials.
 */
export function killOne(ordinal: number, ips: readonly string[], dice: SeededRandom): Disturbance {
  const isInRace = ordinal % 2 === 1
  const dialsItself = Math.floor(ordinal / 2) % 2 === ordinal % 2
  const victim = dice.pick(ips)
  const intoRaceMs = dice.next() * maxIntoRaceMs
  const when = isInRace ? `${intoRaceMs.toFixed(0)} ms into the race` : 'after the race'
  const who = dialsItself ? 'dials all' : 'dials nobody'
  return {
    name: `${victim} is killed ${when}; the new process ${who}`,
    isInRace,
    run: async ({ crew, raceAtMs }) => {
      if (isInRace) await crew.sleep(Math.max(0, raceAtMs + intoRaceMs - sharedNowMs()))
      await crew.kill(victim)
      await crew.restart(victim)
      const healFromMs = sharedNowMs()
      if (dialsItself) await crew.raceOf(victim)
      return {
        healFromMs,
        killed: [victim],
        // In the race it may be killed before it was connected to anyone.
        closesAt: (_, peerIp) =>
          peerIp === victim ? { ...onceForTheKilled, least: isInRace ? 0 : 1 } : noCloses,
      }
    },
  }
}
