import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Orders, Request, Told } from './protocol.js'

/** Starting may be slow on a small machine, where all start at once. */
const readyTimeoutMs = 60_000
const answerTimeoutMs = 30_000

const program = fileURLToPath(new URL('./member.ts', import.meta.url))

interface Waiter {
  readonly resolve: (answer: never) => void
  readonly reject: (error: Error) => void
  readonly timer: NodeJS.Timeout
}

/** The process of one member, and the way to ask it for things. */
export class MemberProcess {
  readonly ip: string
  /** One connection to each peer, nothing on its way, and each was heard: as it last said. */
  isSettled = false
  /** Why it is gone, when nobody killed it. */
  failure: string | undefined
  readonly #child: ChildProcess
  readonly #exited: Promise<unknown>
  readonly #waiters = new Map<number, Waiter>()
  #lastId = 0
  #isKilled = false

  /**
   * Starts a process; `prefix` is the command that runs it elsewhere. What it prints goes to standard
   * error.
   */
  constructor(ip: string, prefix: readonly string[]) {
    this.ip = ip
    const words = [...prefix, process.execPath, '--import', 'tsx', program, ip]
    this.#child = spawn(words[0] ?? '', words.slice(1), {
      stdio: ['ignore', 2, 2, 'ipc'],
      // A Ctrl-C is for the campaign, which ends its members itself.
      detached: true,
    })
    this.#child.on('message', (told: Told) => this.#told(told))
    this.#child.on('error', (error) => this.#gone(error.message))
    this.#exited = new Promise((resolve) => this.#child.once('close', resolve))
    this.#child.on('close', (code, signal) => this.#gone(`exit ${code ?? 'by'} ${signal ?? ''}`))
  }

  /** Resolves when it takes orders. */
  async ready(signal: AbortSignal): Promise<void> {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(readyTimeoutMs)])
    const gone = this.#exited.then(() => {
      throw new Error(`${this.ip} did not start: ${this.failure ?? 'killed'}`)
    })
    await Promise.race([once(this.#child, 'message', { signal: limit }), gone])
  }

  /** Rejects when the process is gone, says no, or does not answer in time. */
  ask<Kind extends keyof Orders>(
    kind: Kind,
    order: Orders[Kind]['order'],
  ): Promise<Orders[Kind]['answer']> {
    this.#lastId += 1
    const request: Request = { id: this.#lastId, kind, order }
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#take(request.id)?.reject(new Error(`${this.ip}: no answer to ${kind}`))
      }, answerTimeoutMs)
      this.#waiters.set(request.id, { resolve, reject, timer })
      if (this.failure !== undefined || this.#isKilled || !this.#child.connected) {
        this.#take(request.id)?.reject(new Error(`${this.ip} is gone: ${this.failure ?? 'killed'}`))
      } else {
        this.#child.send(request)
      }
    })
  }

  /** SIGKILL: the process gets no chance to say anything. Resolves when it is gone. */
  async kill(): Promise<void> {
    this.#isKilled = true
    this.isSettled = false
    this.#child.kill('SIGKILL')
    if (this.#child.pid !== undefined) await this.#exited
  }

  #told(told: Told): void {
    switch (told.kind) {
      case 'ready':
        return
      case 'settled':
        this.isSettled = told.isSettled
        return
      case 'answer':
        this.#take(told.id)?.resolve(told.answer as never)
        return
      case 'failed':
        this.#take(told.id)?.reject(new Error(`${this.ip}: ${told.text}`))
        return
      default:
        told satisfies never
    }
  }

  #gone(why: string): void {
    this.isSettled = false
    if (!this.#isKilled) this.failure ??= why
    for (const id of [...this.#waiters.keys()]) {
      this.#take(id)?.reject(new Error(`${this.ip} is gone: ${why}`))
    }
  }

  #take(id: number): Waiter | undefined {
    const waiter = this.#waiters.get(id)
    this.#waiters.delete(id)
    clearTimeout(waiter?.timer)
    return waiter
  }
}
