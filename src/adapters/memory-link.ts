import type { Clock } from '../contracts/clock.js'
import type { Connection, Endpoint } from '../contracts/transport.js'
import type { Cutting } from './memory-cutting.js'
import { MemoryEnd, type EndItem } from './memory-end.js'
import { otherSide } from './memory-policy.js'
import type { LinkEndView, LinkEvent, LinkSide, LinkView, NetworkPolicy } from './memory-policy.js'
import { MemoryWire } from './memory-wire.js'

export interface LinkEndOptions {
  readonly host: string
  readonly local: Endpoint
  readonly remote: Endpoint
  readonly clock: Clock
}

export interface MemoryLinkOptions {
  readonly id: number
  readonly dialler: LinkEndOptions
  readonly acceptor: LinkEndOptions
  readonly policy: NetworkPolicy
  readonly cutting: Cutting
  readonly maxInFlightBytes: number
  readonly highWaterBytes: number
  /** Who takes the connection when the dial arrives, if anybody listens there by then. */
  readonly listenerFor: (link: MemoryLink) => ((connection: Connection) => void) | undefined
  /** What becomes of the dial: called once, and not at all for a dial that was given up. */
  readonly answered: (result: Connection | 'refused' | Error) => void
  /** Neither end is left. */
  readonly over: (link: MemoryLink) => void
}

type DialItem =
  { readonly kind: 'dial' } | { readonly kind: 'accepted' } | { readonly kind: 'refused' }

/** A physical connection of a memory network from the dial to its end: two ends and a wire each way. */
export class MemoryLink implements LinkView {
  readonly id: number
  readonly #options: MemoryLinkOptions
  readonly #ends: Readonly<Record<LinkSide, MemoryEnd>>
  readonly #toAcceptor: MemoryWire<EndItem | DialItem>
  readonly #toDialler: MemoryWire<EndItem | DialItem>
  #state: 'dialling' | 'established' | 'over' = 'dialling'
  #isAnswered = false

  constructor(options: MemoryLinkOptions) {
    this.id = options.id
    this.#options = options
    this.#ends = { dialler: this.#createEnd('dialler'), acceptor: this.#createEnd('acceptor') }
    this.#toAcceptor = this.#createWire('dialler')
    this.#toDialler = this.#createWire('acceptor')
  }

  get dialler(): LinkEndView {
    return this.#view('dialler')
  }

  get acceptor(): LinkEndView {
    return this.#view('acceptor')
  }

  get isEstablished(): boolean {
    return this.#state === 'established'
  }

  dial(): void {
    this.#observe({ kind: 'dialled' })
    this.#toAcceptor.send({ kind: 'dial' }, 0)
  }

  /** The dialler wants it no more. */
  abortDial(): void {
    this.#ends.dialler.destroy()
  }

  /** Loses what is on its way to the end at `side`, and tells it of a reset, which arrives in time. */
  reset(side: LinkSide): void {
    const wire = side === 'dialler' ? this.#toDialler : this.#toAcceptor
    wire.clear()
    this.#send(otherSide(side), { kind: 'reset' }, 0)
  }

  /** One end's process is gone: `error` is what its own user is told. The other end hears nothing. */
  abandon(side: LinkSide, error: Error): void {
    this.#ends[side].finish(error)
  }

  /** What was held may pass again. */
  release(): void {
    this.#toAcceptor.release()
    this.#toDialler.release()
  }

  #createEnd(side: LinkSide): MemoryEnd {
    const { maxInFlightBytes, highWaterBytes, cutting } = this.#options
    return new MemoryEnd({
      ...this.#options[side],
      maxInFlightBytes,
      highWaterBytes,
      cutting,
      send: (item, bytes) => {
        this.#send(side, item, bytes)
      },
      ended: (error) => {
        this.#ended(side, error)
      },
    })
  }

  #createWire(from: LinkSide): MemoryWire<EndItem | DialItem> {
    const { policy } = this.#options
    const to = otherSide(from)
    const route = {
      clock: this.#options[to].clock,
      delayMs: (bytes: number) => policy.delayMs(this, from, bytes),
      // A dial is a handshake: it takes both directions, or nobody hears of it.
      passes: () =>
        policy.passes(this, from) && (this.#state !== 'dialling' || policy.passes(this, to)),
    }
    return new MemoryWire(route, {
      receive: (item) => {
        this.#receive(to, item)
      },
      received: () => {
        this.#ends[to].received()
      },
    })
  }

  #send(from: LinkSide, item: EndItem | DialItem, bytes: number): void {
    if (this.#state === 'over') return
    const wire = from === 'dialler' ? this.#toAcceptor : this.#toDialler
    wire.send(item, bytes)
  }

  #receive(at: LinkSide, item: EndItem | DialItem): void {
    switch (item.kind) {
      case 'dial':
        this.#accept()
        break
      case 'accepted':
        if (!this.#ends.dialler.isEnded) this.#answer(this.#ends.dialler)
        break
      case 'refused':
        this.#observe({ kind: 'refused' })
        this.#answer('refused')
        this.#ends.dialler.finish(undefined)
        break
      default:
        this.#ends[at].receive(item)
    }
  }

  #accept(): void {
    const onConnection = this.#options.listenerFor(this)
    if (onConnection === undefined) {
      this.#send('acceptor', { kind: 'refused' }, 0)
      return
    }
    this.#state = 'established'
    this.#observe({ kind: 'established' })
    this.#send('acceptor', { kind: 'accepted' }, 0)
    onConnection(this.#ends.acceptor)
  }

  #answer(result: Connection | 'refused' | Error): void {
    if (this.#isAnswered) return
    this.#isAnswered = true
    this.#options.answered(result)
  }

  #ended(side: LinkSide, error: Error | undefined): void {
    if (this.#state === 'established') this.#observe({ kind: 'ended', side, error })
    if (side === 'dialler' && error !== undefined) this.#answer(error)
    const { dialler, acceptor } = this.#ends
    if (dialler.isEnded && (acceptor.isEnded || this.#state === 'dialling')) this.#finish()
  }

  #finish(): void {
    if (this.#state === 'over') return
    this.#state = 'over'
    this.#toAcceptor.clear()
    this.#toDialler.clear()
    this.#options.over(this)
  }

  #observe(event: LinkEvent): void {
    this.#options.policy.observe(this, event)
  }

  #view(side: LinkSide): LinkEndView {
    const { host, local, remote } = this.#options[side]
    const isHandedOver = side === 'dialler' ? this.#isAnswered : this.isEstablished
    return { host, local, remote, isOpen: isHandedOver && !this.#ends[side].isEnded }
  }
}
