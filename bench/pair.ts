import type { ContestantName } from './contestants/contestant.js'
import { WorkerProcess } from './worker-process.js'

/** A contestant's two processes. */
export interface Pair {
  readonly contestant: ContestantName
  readonly server: WorkerProcess
  readonly driver: WorkerProcess
  readonly address: string
}

/** A contestant, and the Node.js that it needs. */
export interface Entrant {
  readonly contestant: ContestantName
  readonly node: string
}

/** Runs `body` with the two processes of each entrant, and ends them. */
export async function withPairs<T>(
  entrants: readonly Entrant[],
  body: (pairs: readonly Pair[]) => Promise<T>,
): Promise<T> {
  const started: WorkerProcess[] = []
  const start = async ({ contestant, node }: Entrant): Promise<Pair> => {
    const server = new WorkerProcess(node)
    const driver = new WorkerProcess(node)
    started.push(server, driver)
    return { contestant, server, driver, address: await server.ask('serve', { contestant }) }
  }
  try {
    return await body(await Promise.all(entrants.map(start)))
  } finally {
    await Promise.all(started.map((worker) => worker.stop()))
  }
}
