import { fork, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Answer, OrderName, Orders, Request } from './protocol.js'

/** The program of a worker lies beside that of the orchestrator. */
const program = fileURLToPath(new URL('./worker.js', import.meta.url))

/** No single order takes longer; one that does hangs. */
const maxOrderMs = 120_000

/** A process that serves or drives. Whoever starts it stops it. */
export class WorkerProcess {
  readonly #child: ChildProcess
  readonly #waiting = new Map<
    number,
    { readonly resolve: (value: unknown) => void; readonly reject: (error: Error) => void }
  >()
  #lastId = 0

  /** `node`: the program that runs it, where that is not the one that runs this. */
  constructor(node: string, execArgv: readonly string[] = []) {
    this.#child = fork(program, [], {
      execPath: node,
      execArgv: ['--expose-gc', ...execArgv],
      serialization: 'advanced',
    })
    this.#child.on('message', (answer: Answer) => {
      const waiter = this.#waiting.get(answer.id)
      this.#waiting.delete(answer.id)
      if ('error' in answer) waiter?.reject(new Error(answer.error))
      else waiter?.resolve(answer.value)
    })
    this.#child.on('exit', (code, signal) => {
      for (const { reject } of this.#waiting.values()) {
        reject(new Error(`a worker ended: ${signal ?? code ?? 'no code'}`))
      }
      this.#waiting.clear()
    })
  }

  async ask<Name extends OrderName>(
    name: Name,
    order: Orders[Name]['order'],
  ): Promise<Orders[Name]['answer']> {
    this.#lastId += 1
    const request: Request<Name> = { id: this.#lastId, name, order }
    let timer: NodeJS.Timeout | undefined
    try {
      return await new Promise<Orders[Name]['answer']>((resolve, reject) => {
        timer = setTimeout(() => {
          reject(new Error(`'${name}' took longer than ${maxOrderMs} ms`))
        }, maxOrderMs)
        this.#waiting.set(request.id, {
          resolve: (value) => {
            resolve(value as Orders[Name]['answer'])
          },
          reject,
        })
        this.#child.send(request)
      })
    } finally {
      clearTimeout(timer)
    }
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const ended = new Promise((resolve) => this.#child.once('exit', resolve))
    this.#child.kill('SIGKILL')
    await ended
  }
}
