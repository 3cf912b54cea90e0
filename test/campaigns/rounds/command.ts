import { spawn } from 'node:child_process'

const timeoutMs = 10_000

/**
 * Runs a program to its end and resolves with what it printed; rejects with what it complained about.
 * A Ctrl-C does not reach it, so that it can be used for cleaning up.
 */
export function command(program: string, ...args: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    })
    const limit = setTimeout(() => child.kill('SIGKILL'), timeoutMs)
    let [printed, complaint] = ['', '']
    child.stdout.on('data', (chunk: Buffer) => (printed += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (complaint += chunk.toString()))
    child.on('error', (cause) => {
      clearTimeout(limit)
      reject(new Error(`${program} does not start: ${cause.message}`, { cause }))
    })
    child.on('close', (code) => {
      clearTimeout(limit)
      if (code === 0) resolve(printed)
      else reject(new Error(`${program} ${args.join(' ')}: ${complaint.trim() || `exit ${code}`}`))
    })
  })
}
