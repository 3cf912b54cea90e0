import type { Authorize, AuthorizeAnswer, PendingConnection } from '../contracts/authorize.js'
import type { Clock, Timer } from '../contracts/clock.js'
import type { CloseReason } from '../contracts/close-reason.js'
import { HoldfastError } from '../errors.js'
import { describeReason } from '../rules/close-reasons.js'
import type { Arbiter } from '../rules/election.js'
import { clipUtf8 } from '../wire/binary.js'
import { maxByeTextBytes } from '../wire/messages.js'
import type { PeerConnection } from './peer-connection.js'

export interface AuthorizerOptions {
  /** Without it everybody is let in at once. */
  readonly authorize: Authorize | undefined
  readonly authorizeTimeoutMs: number
  readonly clock: Clock
  /** Runs an input of the node. */
  readonly run: (input: () => void) => void
  /** Runs users' code, when the inputs of this moment have run. */
  readonly report: (report: () => void) => void
  /** The application's function failed. */
  readonly onFailed: (error: unknown) => void
}

/** A connection for which the answer is awaited. */
interface Question {
  readonly connection: PeerConnection
  readonly arbiter: Arbiter
  readonly controller: AbortController
  readonly timer: Timer
  /** `isReady`: the peer has sent READY meanwhile. */
  readonly onAllowed: (isReady: boolean) => void
  isReady: boolean
}

const undecided: CloseReason = {
  kind: 'busy',
  by: 'us',
  text: 'this node could not decide whether to let the peer in',
}

/** Asks the application whether a peer may come in, and holds its connection back until the answer is there. */
export class Authorizer {
  readonly #options: AuthorizerOptions
  readonly #questions = new Map<PeerConnection, Question>()

  constructor(options: AuthorizerOptions) {
    this.#options = options
  }

  get isNeeded(): boolean {
    return this.#options.authorize !== undefined
  }

  /** Asks about a connection whose HELLO is valid. Without a function to ask, it is allowed at once. */
  ask(connection: PeerConnection, arbiter: Arbiter, onAllowed: Question['onAllowed']): void {
    const { authorize, authorizeTimeoutMs, clock, run, report } = this.#options
    if (authorize === undefined) {
      onAllowed(false)
      return
    }
    const timer = clock.setTimer(authorizeTimeoutMs, () => {
      const text = `authorize did not answer for ${connection.key} within ${authorizeTimeoutMs} ms`
      run(() => {
        this.#failed(question, new HoldfastError('AUTHORIZE_TIMEOUT', text))
      })
    })
    const controller = new AbortController()
    const question = { connection, arbiter, controller, timer, onAllowed, isReady: false }
    this.#questions.set(connection, question)
    report(() => {
      this.#put(question, authorize)
    })
  }

  /**
   * READY came. Returns whether it is remembered, because the answer is not there yet. Of a peer that has
   * nothing to answer it is a violation, now as later.
   */
  readyReceived(connection: PeerConnection): boolean {
    const question = this.#questions.get(connection)
    if (question === undefined) return false
    if (question.arbiter === 'us' || question.isReady) {
      const what = 'READY on a connection that was not elected'
      connection.closeFor({ kind: 'misbehaved', by: 'us', what })
    }
    question.isReady = true
    return true
  }

  /** The connection is over: no answer changes anything any more. */
  ended(connection: PeerConnection, reason: CloseReason): void {
    const question = this.#questions.get(connection)
    if (question === undefined || !this.#take(question)) return
    question.controller.abort(
      new HoldfastError('CONNECTION_CLOSED', describeReason(reason), { reason }),
    )
  }

  #put(question: Question, authorize: Authorize): void {
    const { connection, controller } = question
    const { run } = this.#options
    const decided = (verdict: Verdict): void => {
      run(() => {
        this.#decided(question, verdict)
      })
    }
    const failed = (error: unknown): void => {
      run(() => {
        this.#failed(question, error)
      })
    }
    try {
      const answer = authorize(connection.hello, pendingView(connection, controller.signal))
      if (isThenable(answer)) Promise.resolve(answer).then(readAnswer).then(decided, failed)
      else decided(readAnswer(answer))
    } catch (error) {
      failed(error)
    }
  }

  #decided(question: Question, verdict: Verdict): void {
    if (!this.#take(question)) return
    if (verdict.isAllowed) question.onAllowed(question.isReady)
    else question.connection.closeFor({ kind: 'refused', by: 'us', ...verdict.told })
  }

  #failed(question: Question, error: unknown): void {
    if (this.#questions.get(question.connection) !== question) return
    this.#options.onFailed(error)
    question.connection.closeFor(undecided)
  }

  /** Whether the question still stands; it is settled then. */
  #take(question: Question): boolean {
    if (this.#questions.get(question.connection) !== question) return false
    this.#questions.delete(question.connection)
    question.timer.cancel()
    return true
  }
}

type Verdict =
  | { readonly isAllowed: true }
  | { readonly isAllowed: false; readonly told: { readonly text?: string } }

/** Nothing but what is asked for counts as an answer: a mistake lets nobody in. */
function readAnswer(answer: AuthorizeAnswer): Verdict {
  if (answer === true || answer === undefined) return { isAllowed: true }
  if (answer === false) return { isAllowed: false, told: {} }
  const refuse = (answer as { readonly refuse?: unknown } | null)?.refuse
  if (typeof refuse !== 'string') {
    throw new TypeError('authorize must answer true, false, { refuse: string } or nothing')
  }
  const text = clipUtf8(refuse, maxByeTextBytes)
  return { isAllowed: false, told: text === '' ? {} : { text } }
}

function pendingView(connection: PeerConnection, signal: AbortSignal): PendingConnection {
  const { key, ip, direction, remote, local, security } = connection
  return { key, ip, direction, remote, local, security, signal }
}

function isThenable(value: unknown): value is PromiseLike<AuthorizeAnswer> {
  return typeof value === 'object' && value !== null && 'then' in value
}
