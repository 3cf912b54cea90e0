import { headOf, isPing, message, withoutHead } from '../fifo.js'
import type { SlotState } from '../../../src/rules/election.js'
import * as at from '../layout.js'
import type { Model } from '../model.js'
import type { ReplayProcess } from './process.js'
import type { Replayer } from './replayer.js'
import { otherSide, type Item, type Side, type Wire } from './wire.js'

/**
 * What there is at one moment, in words that are the same for the model and for real nodes: each slot,
 * each end with its timers, what is in flight, and who holds whom.
 */
export type View = ReadonlyMap<string, string>

const sides = [0, 1] as const

/** `names` are the numbers of the model's connections in the story. */
export function viewOfModel(model: Model, names: readonly number[]): View {
  const view = new Map<string, string>()
  for (const [slot, { host, peerIp }] of model.world.slots.entries()) {
    if (model.world.hosts[host]!.isLiar === true) continue
    const { state } = model.table.view(model.w[slot]!)
    view.set(
      slotName(model, slot, peerIp),
      textOfSlot(
        state,
        (id) => names[id],
        (id) => id,
      ),
    )
  }
  for (let connection = 0; connection < model.connectionCount; connection++) {
    const ends = model.ends(connection)
    if (ends === 0) continue
    for (const side of sides) {
      const isLiar = model.isLiarAt[2 * connection + side]!
      const status = ['over', 'dialing', 'open'][at.statusOf(ends, side)]!
      const armed = at.timerKinds.filter((_, kind) => (ends & at.timerBit(side, kind)) !== 0)
      view.set(endName(names[connection]!, side), textOfEnd(status, isLiar ? [] : armed))
      view.set(
        linkName(names[connection]!, side),
        textOfLink(codesOf(model.link(connection, side))),
      )
    }
  }
  return view
}

export function viewOfNodes(replayer: Replayer): View {
  const { model } = replayer
  const view = new Map<string, string>()
  for (const [slot, { host, peerIp }] of model.world.slots.entries()) {
    const process = replayer.processes[host]
    if (process === undefined) continue
    const state = process.slotOf(peerIp)
    const wireOf = (id: number): number | undefined => wireById(replayer, host, id)?.number
    const text = textOfSlot(state, wireOf, (id) => replayer.instances.get(id) ?? id)
    view.set(slotName(model, slot, peerIp), text + contradiction(process, peerIp, state))
  }
  for (const [host, process] of replayer.processes.entries()) {
    for (const { host: target } of process?.dials ?? [])
      view.set(`a dial of ${model.world.hosts[host]!.name}`, `to ${target}: nobody asked for it`)
  }
  for (const wire of replayer.wires) {
    if (wire.isOver) continue
    for (const side of sides) {
      view.set(
        endName(wire.number, side),
        textOfEnd(wire.statusOf(side), armedAt(replayer, wire, side)),
      )
      view.set(
        linkName(wire.number, side),
        textOfLink(wire.inFlight[side].map((item) => codeOf(wire, side, item))),
      )
    }
  }
  return view
}

/** The lines in which two views differ. */
export function differences(model: View, nodes: View): string[] {
  const names = new Set([...model.keys(), ...nodes.keys()])
  return [...names].flatMap((name) => {
    const [expected, actual] = [model.get(name) ?? 'nothing', nodes.get(name) ?? 'nothing']
    return expected === actual ? [] : [`${name}: the model has ${expected}; the nodes ${actual}`]
  })
}

/** Numbers the pings that left, and forgets those of challenges that are over. */
export function numberPings(replayer: Replayer): void {
  const { slots, routes } = replayer.model.world
  for (const wire of replayer.wires) {
    const { from, to } = routes[wire.route]!
    for (const side of sides) {
      const end = wire.ends[side]
      if (end?.isOpen !== true) {
        if (end !== undefined && !end.isCrashed) end.pingNumbers.clear()
        continue
      }
      const sent = end.newPings.splice(0)
      const { incumbent, challenge } = replayer
        .processAt(wire, side)
        ?.slotOf(slots[side === 0 ? from : to]!.peerIp) ?? { incumbent: null, challenge: null }
      if (challenge === null || incumbent?.id !== end.id) end.pingNumbers.clear()
      else
        for (const [index, nonce] of sent.entries())
          end.pingNumbers.set(nonce, challenge.lastPing - sent.length + 1 + index)
    }
  }
}

const slotName = (model: Model, slot: number, peerIp: string): string =>
  `slot ${peerIp} of ${model.world.hosts[model.world.slots[slot]!.host]!.name}`
const endName = (connection: number, side: number): string =>
  `the ${side === 0 ? 'dialling' : 'accepting'} end of connection ${connection}`
const linkName = (connection: number, side: number): string =>
  `in flight on connection ${connection} from its ${side === 0 ? 'dialler' : 'acceptor'}`

function textOfSlot(
  { incumbent, elected, candidates, challenge, hold }: SlotState,
  numberOf: (id: number) => number | undefined,
  instanceOf: (id: string) => string,
): string {
  const name = (id: number): string => `#${numberOf(id) ?? '?'}`
  const texts = candidates.map((candidate) => {
    const { id, origin, stage } = candidate
    const start = `${name(id)} ${origin} ${stage}`
    if (candidate.stage !== 'held' && candidate.stage !== 'admitted') return start
    const { arbiter, instanceId, isReady, firstPing } = candidate
    return `${start} arbiter=${arbiter} of ${instanceOf(instanceId)}${isReady ? ' ready' : ''} from ping ${firstPing}`
  })
  return [
    `incumbent ${incumbent === null ? 'none' : `${name(incumbent.id)} of ${instanceOf(incumbent.instanceId)}`}`,
    `elected ${elected === null ? 'none' : name(elected)}`,
    `candidates [${texts.join(', ')}]`,
    `challenge ${challenge === null ? 'none' : `${challenge.lastPing} (${challenge.pingsInRound})`}`,
    `hold ${hold === null ? 'none' : `for ${name(hold.dialId)}${hold.isExpired ? ', expired' : ''}`}`,
  ].join('; ')
}

const textOfEnd = (status: string, timers: readonly string[]): string =>
  timers.length === 0 ? status : `${status}, timers: ${[...timers].sort().join(' ')}`

/** Pings and pongs that mean nothing any more count once. */
function textOfLink(codes: readonly number[]): string {
  const isStale = (code: number): boolean => code === message.ping || code === message.pong
  const texts = codes
    .filter((code, index) => !isStale(code) || codes[index - 1] !== code)
    .map(nameOf)
  return texts.length === 0 ? 'nothing' : texts.join(', ')
}

function codesOf(link: number): number[] {
  const codes: number[] = []
  for (let rest = link; rest !== 0; rest = withoutHead(rest)) codes.push(headOf(rest))
  return codes
}

function nameOf(kind: number): string {
  if (kind === message.hello || kind === message.helloOfLiar) return 'HELLO'
  if (kind === message.ready) return 'READY'
  if (kind === message.fin) return 'the end'
  const number = kind - (isPing(kind) ? message.ping : message.pong)
  return `${isPing(kind) ? 'PING' : 'PONG'} ${number === 0 ? 'of old' : number}`
}

/** The timers of the election that are set for an end. */
function armedAt(replayer: Replayer, wire: Wire, side: Side): string[] {
  const process = replayer.processAt(wire, side)
  const id = replayer.idAt(wire, side)
  if (process === undefined || wire.statusOf(side) === 'over') return []
  return at.timerKinds.filter((kind) => process.clock.isSet(`${kind} ${id}`))
}

function wireById(replayer: Replayer, host: number, id: number): Wire | undefined {
  const process = replayer.processes[host]
  return replayer.wires.find((wire) =>
    sides.some(
      (side) => replayer.isHeldBy(wire, side, process) && replayer.idAt(wire, side) === id,
    ),
  )
}

/** Whether what users see of a peer is not what its slot says. */
function contradiction(process: ReplayProcess, ip: string, { incumbent }: SlotState): string {
  const seen = process.connections.peer(ip)?.connectionId
  const told = process.history.get(ip) ?? []
  const isAlternating = told.every((change, index) =>
    index % 2 === 0 ? change > 0 : change === -told[index - 1]!,
  )
  if (seen !== incumbent?.id) return `; users see ${seen}`
  if (!isAlternating || (told.at(-1) ?? -1) > 0 !== (incumbent !== null))
    return `; services were told ${told.join(', ')}`
  return ''
}

function codeOf(wire: Wire, from: Side, item: Item): number {
  if (item.kind === 'end') return message.fin
  const { message: sent } = item
  switch (sent.kind) {
    case 'hello':
      return message.hello
    case 'ready':
      return message.ready
    case 'ping':
      return message.ping + (wire.ends[from]?.pingNumbers.get(sent.nonce) ?? 0)
    case 'pong':
      return message.pong + (wire.ends[otherSide(from)]?.pingNumbers.get(sent.nonce) ?? 0)
    default:
      throw new Error(`'${sent.kind}' is in flight`)
  }
}
