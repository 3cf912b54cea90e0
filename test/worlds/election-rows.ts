import type { SlotEvent, SlotState } from '../../src/rules/election.js'
import { Slot, type SlotActions } from '../../src/slot.js'

/** The rows of the election's table, and what each of them may come to. */
export const electionRows = [
  'HELLO, slot taken: held, and the incumbent challenged',
  '… the incumbent answers: the held one is refused',
  '… the incumbent is silent: dropped',
  '… nothing is decided in time: the held one is refused',
  'HELLO, slot free: admitted',
  'arbiter: elects its own dial',
  'arbiter: waits for its own dial',
  'arbiter: the wait is over, elects another one',
  'arbiter: elects what came in',
  'READY of the arbiter: answered, established',
  'READY of the arbiter: remembered, another one is elected here',
  'READY of the arbiter: remembered, the candidate is held',
  'READY on the elected: established',
  'established: the own dial ends',
  'established: candidates of the same instance are refused',
  'established: a candidate of another instance is held',
  'the elected ends, and another one is elected or answered',
  'a candidate ends, and nothing else changes',
  'the incumbent ends, and the slot is free',
  'the incumbent ends, and who was held is admitted',
] as const
export type ElectionRow = (typeof electionRows)[number]

/** What one step of a slot showed. */
export interface SlotStep {
  readonly before: SlotState
  readonly event: SlotEvent
  readonly after: SlotState
  /** Connections on which it said READY, and those that it closed. */
  readonly readied: readonly number[]
  readonly closed: readonly number[]
}

/** The rows that a step belongs to. */
export function rowsOf(step: SlotStep): ElectionRow[] {
  return [...helloRows(step), ...arbiterRows(step), ...readyRows(step), ...endRows(step)]
}

type Candidate = SlotState['candidates'][number]
const find = (state: SlotState, id: number): Candidate | undefined =>
  state.candidates.find((candidate) => candidate.id === id)
const held = (state: SlotState): Candidate[] =>
  state.candidates.filter(({ stage }) => stage === 'held')

function helloRows({ before, event, after, closed }: SlotStep): ElectionRow[] {
  const rows: ElectionRow[] = []
  if (event.kind === 'helloAccepted' && find(after, event.id)?.stage === 'held')
    rows.push('HELLO, slot taken: held, and the incumbent challenged')
  if (event.kind === 'helloAccepted' && before.incumbent === null && !closed.includes(event.id))
    rows.push('HELLO, slot free: admitted')
  if (event.kind === 'challengeAnswered' && closed.length > 0)
    rows.push('… the incumbent answers: the held one is refused')
  if (event.kind === 'challengeExpired' && before.incumbent?.id !== after.incumbent?.id)
    rows.push('… the incumbent is silent: dropped')
  if (event.kind === 'heldExpired' && closed.length > 0)
    rows.push('… nothing is decided in time: the held one is refused')
  return rows
}

function arbiterRows({ before, event, after }: SlotStep): ElectionRow[] {
  const rows: ElectionRow[] = []
  if (before.hold === null && after.hold !== null) rows.push('arbiter: waits for its own dial')
  if (after.elected === null || after.elected === before.elected) return rows
  if (event.kind === 'holdExpired') rows.push('arbiter: the wait is over, elects another one')
  else if (find(after, after.elected)?.origin === 'dial') rows.push('arbiter: elects its own dial')
  else rows.push('arbiter: elects what came in')
  return rows
}

function readyRows({ before, event, after, closed }: SlotStep): ElectionRow[] {
  const rows: ElectionRow[] = []
  const isNew = after.incumbent !== null && after.incumbent.id !== before.incumbent?.id
  if (event.kind === 'readyReceived') {
    const candidate = find(before, event.id)
    if (after.incumbent?.id === event.id) {
      rows.push(
        before.elected === event.id
          ? 'READY on the elected: established'
          : 'READY of the arbiter: answered, established',
      )
    } else if (candidate?.stage === 'held') {
      rows.push('READY of the arbiter: remembered, the candidate is held')
    } else if (candidate !== undefined && before.elected !== null) {
      rows.push('READY of the arbiter: remembered, another one is elected here')
    }
  }
  if (!isNew) return rows
  const wasAdmissible = (id: number): boolean => find(before, id)?.stage === 'admitted'
  for (const candidate of before.candidates) {
    if (candidate.id === after.incumbent.id) continue
    if (candidate.stage === 'dialing' || candidate.stage === 'opening')
      rows.push('established: the own dial ends')
    else if (closed.includes(candidate.id) && wasAdmissible(candidate.id))
      rows.push('established: candidates of the same instance are refused')
    else if (find(after, candidate.id)?.stage === 'held')
      rows.push('established: a candidate of another instance is held')
  }
  return rows
}

function endRows({ before, event, after, readied }: SlotStep): ElectionRow[] {
  const isEnd =
    event.kind === 'closed' ||
    event.kind === 'handshakeExpired' ||
    event.kind === 'confirmExpired' ||
    event.kind === 'challengeExpired'
  if (!isEnd) return []
  if (before.incumbent !== null && after.incumbent?.id !== before.incumbent.id) {
    return held(before).length > 0
      ? ['the incumbent ends, and who was held is admitted']
      : ['the incumbent ends, and the slot is free']
  }
  if (find(before, event.id) === undefined) return []
  return before.elected === event.id && readied.length > 0
    ? ['the elected ends, and another one is elected or answered']
    : ['a candidate ends, and nothing else changes']
}

/** Tells of every step of every slot in this process, until the function that comes back is called. */
export function watchSteps(onStep: (step: SlotStep) => void): () => void {
  const original = Object.getOwnPropertyDescriptor(Slot.prototype, 'handle')!
  const handle = original.value as Slot['handle']
  Slot.prototype.handle = function (this: Slot, event, actions, limits) {
    const before = this.state
    const readied: number[] = []
    const closed: number[] = []
    const watched: SlotActions = {
      ...actions,
      sendReady: (id) => {
        readied.push(id)
        actions.sendReady(id)
      },
      close: (id, why) => {
        closed.push(id)
        actions.close(id, why)
      },
    }
    handle.call(this, event, watched, limits)
    onStep({ before, event, after: this.state, readied, closed })
  }
  return () => {
    Object.defineProperty(Slot.prototype, 'handle', original)
  }
}
