import type { SeededRandom } from 'holdfast/testing'
import { Attacker, frame, type IpRange, type State } from './attacker.js'
import type { CaseSource } from './cases.js'
import type { SeenConnection } from './protocol.js'

/** A case that was sent: where its first byte lay in the stream of its connection. */
interface Sent {
  readonly connection: string
  readonly from: number
  readonly origin: string
}

const ping = frame({ kind: 'ping', nonce: 0x5a5a5a5an })
const states: readonly State[] = ['before HELLO', 'in handshake', 'established']
const parallel = 48
/** Cases on one established connection, as long as the victim bears them. */
const maxCasesPerConnection = 30

/** Sends cases until `count` are sent, each from a fresh IP and in one of the three states. */
export class Fuzz {
  readonly sent: Sent[] = []
  refusedConnections = 0
  readonly #source: CaseSource
  readonly #dice: SeededRandom
  readonly #ips: IpRange
  readonly #port: number

  constructor(options: {
    readonly source: CaseSource
    readonly dice: SeededRandom
    readonly ips: IpRange
    readonly port: number
  }) {
    this.#source = options.source
    this.#dice = options.dice
    this.#ips = options.ips
    this.#port = options.port
  }

  async run(count: number): Promise<void> {
    const target = this.sent.length + count
    const worker = async (): Promise<void> => {
      for (let nth = this.#dice.integer(0, 99); this.sent.length < target; nth += 1) {
        const state = nth % 10 < 3 ? states[0]! : nth % 10 < 5 ? states[1]! : states[2]!
        const attacker = await Attacker.in(state, {
          ip: this.#ips.next(),
          port: this.#port,
          dice: this.#dice,
        })
        if (attacker === undefined) this.refusedConnections += 1
        else await this.#attack(attacker, state)
      }
    }
    await Promise.all(Array.from({ length: parallel }, worker))
  }

  async #attack(attacker: Attacker, state: State): Promise<void> {
    const cases = state === 'established' ? maxCasesPerConnection : 1
    for (let n = 0; n < cases && !attacker.isClosed; n += 1) {
      const { bytes, origin } = this.#source.next()
      this.sent.push({ connection: attacker.name, from: attacker.sentBytes, origin })
      attacker.send(bytes)
      if (state === 'established') {
        // A pong shows that the victim has read the case, and goes on.
        const ponged = attacker.wait('pong', 60)
        attacker.send(ping)
        if (!(await ponged)) break
      } else {
        await attacker.wait('bye', 10)
      }
    }
    attacker.socket.destroy()
    await attacker.closed
  }

  /** How many cases reached the frame reader, by the state of their connection, and by origin. */
  static reached(
    sent: readonly Sent[],
    seen: ReadonlyMap<string, SeenConnection>,
  ): { readonly byState: Map<State, number>; readonly byOrigin: Map<string, number> } {
    const byState = new Map<State, number>(states.map((state) => [state, 0]))
    const byOrigin = new Map<string, number>()
    for (const { connection, from, origin } of sent) {
      const facts = seen.get(connection)
      if (facts === undefined || facts.bytes <= from) continue
      const state = stateAt(facts, from)
      byState.set(state, (byState.get(state) ?? 0) + 1)
      byOrigin.set(origin, (byOrigin.get(origin) ?? 0) + 1)
    }
    return { byState, byOrigin }
  }
}

/** What the victim's connection was when the byte at `from` came. */
function stateAt(facts: SeenConnection, from: number): State {
  if (facts.establishedAt !== undefined && from >= facts.establishedAt) return 'established'
  if (facts.greetedAt !== undefined && from >= facts.greetedAt && facts.greetedAt > 0) {
    return 'in handshake'
  }
  return 'before HELLO'
}
