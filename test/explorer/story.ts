import { headOf, isPing, isPong, message } from './fifo.js'
import * as at from './layout.js'
import { Model } from './model.js'
import { connectionOf, detailOf, kindOf, lies, sideOfDetail, timerOfDetail } from './moves.js'
import { play } from './play.js'
import { SlotTable, type StepElection } from './slot-table.js'
import type { World } from './world.js'

/** Tells a way through a world in words, one line per move, and what came of each. */
export function tell(
  world: World,
  moves: readonly number[],
  options: { readonly step?: StepElection } = {},
): string[] {
  const model = new Model(world, new SlotTable(options.step))
  /** Numbers of the connections in the story, by their numbers in the model. */
  const names: number[] = []
  let dials = 0
  const lines: string[] = []
  for (const move of moves) {
    if (kindOf(move) === 'dial') {
      const first = model.firstOfRoute[connectionOf(move)]!
      let connection = first
      while (model.ends(connection) !== 0) connection++
      names[connection] = ++dials
    }
    const before = incumbentsOf(model)
    const text = describe(model, move, names)
    play(model, move)
    const renames = [...model.renames]
    lines.push(text + outcome(model, before, renames, names))
    for (const rename of renames) names[rename & 15] = names[rename >> 4]!
  }
  return lines
}

function incumbentsOf(model: Model): number[] {
  return model.world.slots.map((_, slot) => model.table.view(model.w[slot]!).incumbent)
}

/** What changed for those who hear of connections. */
function outcome(model: Model, before: number[], renames: number[], names: number[]): string {
  const results: string[] = []
  for (const [slot, now] of incumbentsOf(model).entries()) {
    const rename = renames.find((pair) => (pair & 15) === now)
    const old = before[slot]!
    const same = rename === undefined ? now : rename >> 4
    if (same === old) continue
    const who = model.world.hosts[model.world.slots[slot]!.host]!.name
    if (old >= 0) results.push(`${who} has lost connection ${names[old]}`)
    if (now >= 0) results.push(`${who} has established connection ${names[same]}`)
  }
  return results.length === 0 ? '' : `: ${results.join(', ')}`
}

function describe(model: Model, move: number, names: readonly number[]): string {
  const connection = connectionOf(move)
  const detail = detailOf(move)
  const name = `connection ${names[connection]}`
  const host = (side: number): string =>
    model.world.hosts[model.hostAt[2 * connection + side]!]!.name
  const timer = `${at.timerKinds[timerOfDetail(detail)] ?? ''} timer of ${name}`
  const kind = kindOf(move)
  switch (kind) {
    case 'dial': {
      const { from, to } = model.world.routes[connection]!
      const dialer = model.world.hosts[model.world.slots[from]!.host]!.name
      const target = model.world.hosts[model.world.slots[to]!.host]!.name
      return `${dialer} dials ${target} (connection ${names[model.firstOfRoute[connection]! + widthUsed(model, connection)]})`
    }
    case 'connect':
      return `${name} reaches ${host(1)}, ${host(0)} sends HELLO`
    case 'dialFails':
      return `the dial of ${host(0)} (${name}) fails`
    case 'dialFailsEarly':
      return `FAULT: the dial of ${host(0)} (${name}) fails`
    case 'deliver':
      return `${messageName(headOf(model.link(connection, detail)))} of ${name} reaches ${host(1 - detail)}`
    case 'lose':
      return `a reset overtakes what ${host(detail)} had sent on ${name}`
    case 'timer':
      return `at ${host(sideOfDetail(detail))} the ${timer} ends`
    case 'early':
      return `FAULT: at ${host(sideOfDetail(detail))} the ${timer} ends too early`
    case 'pingTimeout':
      return `${host(detail)} gives up ${name}: its pings are not answered`
    case 'liarSays':
      return `the liar ${host(sideOfDetail(detail))} sends ${messageName(lies[timerOfDetail(detail)]!)} on ${name}`
    case 'crash':
      return `FAULT: ${model.world.hosts[detail]!.name} crashes and starts again, its connections are reset`
    case 'vanish':
      return `FAULT: ${model.world.hosts[detail]!.name} crashes and starts again, and no reset is sent`
    case 'reset':
      return `FAULT: ${name} is reset by the network`
    case 'hole':
      return `FAULT: ${name} becomes a black hole ${['', `towards ${host(1)}`, `towards ${host(0)}`, 'in both directions'][detail]}`
    default:
      return kind satisfies never
  }
}

function widthUsed(model: Model, route: number): number {
  let used = 0
  while (model.ends(model.firstOfRoute[route]! + used) !== 0) used++
  return used
}

function messageName(kind: number): string {
  if (kind === message.hello) return 'HELLO'
  if (kind === message.helloOfLiar) return 'a HELLO that names another address'
  if (kind === message.ready) return 'READY'
  if (kind === message.fin) return 'the end'
  if (isPing(kind)) return `PING ${kind - message.ping}`
  if (isPong(kind)) return `PONG ${kind - message.pong}`
  return 'nothing'
}
