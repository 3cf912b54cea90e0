import { fork, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'

export const network = 'hostile'
export const victimIp = '127.0.0.1'
export const honestIps = ['127.0.0.11', '127.0.0.12', '127.0.0.13', '127.0.0.14']

/** What the victim saw of one inbound connection, by its remote end. */
export interface SeenConnection {
  /** Bytes that its frame reader got. */
  bytes: number
  /** How many it had got when the victim said its first word, and when it was established. */
  greetedAt: number | undefined
  establishedAt: number | undefined
}

export interface VictimReport {
  readonly rssMb: number
  readonly heapMb: number
  readonly peakRssMb: number
  readonly sockets: number
  readonly timers: number
  readonly peers: readonly string[]
  readonly handshaking: number
  readonly knownPeers: number
  readonly bans: readonly string[]
  readonly misbehaved: number
  readonly closes: Readonly<Record<string, number>>
  readonly honestCloses: readonly string[]
  readonly bugs: readonly string[]
  readonly seen: readonly (readonly [string, SeenConnection])[]
}

export interface HonestReport {
  readonly connected: number
  readonly closes: readonly string[]
  readonly roundTripsMs: readonly number[]
  readonly missed: number
  readonly answers: number
  readonly failures: readonly string[]
}

/** Questions to the processes of the campaign, and their answers. */
export interface Orders {
  readonly start: { readonly order: number; readonly answer: number }
  /** Reports, and begins to count anew. */
  readonly victim: {
    readonly order: { readonly isSettled: boolean }
    readonly answer: VictimReport
  }
  readonly honest: { readonly order: null; readonly answer: HonestReport }
  readonly stop: { readonly order: null; readonly answer: readonly string[] }
}

/** A child that answers orders one at a time, and ends with its parent. */
export class Child {
  readonly #process: ChildProcess
  readonly #name: string
  exit: string | undefined

  constructor(name: 'victim' | 'honest') {
    this.#name = name
    this.#process = fork(fileURLToPath(new URL(`./${name}.ts`, import.meta.url)), [], {
      execArgv: ['--import', 'tsx', '--expose-gc'],
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    this.#process.on('exit', (code, signal) => {
      this.exit = `${name} ended with ${signal ?? String(code)}`
    })
  }

  ask<Kind extends keyof Orders>(
    kind: Kind,
    order: Orders[Kind]['order'],
  ): Promise<Orders[Kind]['answer']> {
    return new Promise((resolve, reject) => {
      if (this.exit !== undefined) {
        reject(new Error(this.exit))
        return
      }
      const onExit = (): void => reject(new Error(`${this.#name} ended in the middle`))
      this.#process.once('exit', onExit)
      this.#process.once('message', (answer) => {
        this.#process.off('exit', onExit)
        resolve(answer as Orders[Kind]['answer'])
      })
      this.#process.send({ kind, order })
    })
  }

  end(): void {
    if (this.exit === undefined) this.#process.kill('SIGKILL')
  }
}

/** Answers the parent's orders; ends when the parent is gone. */
export function answerOrders(answers: {
  [Kind in keyof Orders]?: (order: Orders[Kind]['order']) => Promise<Orders[Kind]['answer']>
}): void {
  process.on('disconnect', () => process.exit(0))
  process.on('message', (message: { kind: keyof Orders; order: never }) => {
    const answer = answers[message.kind] as ((order: never) => Promise<unknown>) | undefined
    if (answer === undefined) throw new Error(`nobody answers '${message.kind}'`)
    void answer(message.order).then((told) => process.send?.(told))
  })
}
