import { createHash, randomBytes, randomInt } from 'node:crypto'
import { open, readdir, readFile, rm } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { HoldfastError } from '../errors.js'

/** Two that come at the same moment both give way; then they try again, at moments of their own. */
const attempts = 4
const maxPauseMs = 30

/** Who made a claim, as its file's name says it. */
interface Claimant {
  readonly pid: string
  /** When the process began, in ticks since the machine did, so that its pid's next owner is another. */
  readonly began: string
  readonly boot: string
  readonly host: string
}

const claimName = /^lock-(\d+)-(\w+)-(\w+)-(\w+)-\w+$/

/**
 * Takes a folder for one user at a time, over all processes of the machine: STORE_LOCKED while a living
 * one has it. Resolves with the release. What a killed process left behind is found to be so, by its
 * pid and when it began, and removed.
 *
 * Each claim is a file whose name no other ever has. It is made before one looks for others, so of two
 * at least one sees the other; and nobody can remove the claim of one who lives. A claim from another
 * machine, or from another container, cannot be judged: it holds until its file is deleted.
 */
export async function claimFolder(folder: string): Promise<() => Promise<void>> {
  const self = await thisProcess()
  const { pid, began, boot, host } = self
  for (let attempt = 1; ; attempt++) {
    const token = randomBytes(6).toString('hex')
    const own = `lock-${pid}-${began}-${boot}-${host}-${token}`
    const release = (): Promise<void> => rm(join(folder, own), { force: true })
    await (await open(join(folder, own), 'wx')).close()
    let holder: string | undefined
    try {
      holder = await livingHolder(folder, own, self)
    } catch (error) {
      await release().catch(() => undefined)
      throw error
    }
    if (holder === undefined) return release
    await release()
    if (attempt === attempts) throw lockedError(join(folder, holder))
    await setTimeout(randomInt(1, maxPauseMs))
  }
}

/** The name of a claim that must be respected, if there is one. Those of the dead are removed. */
async function livingHolder(
  folder: string,
  own: string,
  self: Claimant,
): Promise<string | undefined> {
  for (const name of await readdir(folder)) {
    const claimant = claimantOf(name)
    if (claimant === undefined || name === own) continue
    if (await isAlive(claimant, self)) return name
    await rm(join(folder, name), { force: true })
  }
  return undefined
}

async function isAlive(claimant: Claimant, self: Claimant): Promise<boolean> {
  if (claimant.host !== self.host) return true
  if (claimant.boot !== self.boot) return false
  const pid = Number(claimant.pid)
  if (!isRunning(pid)) return false
  const began = await beginning(pid)
  return began === 'unknown' || began === claimant.began
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // Someone else's process lives too.
    return (error as { readonly code?: unknown }).code === 'EPERM'
  }
}

let known: Promise<Claimant> | undefined

function thisProcess(): Promise<Claimant> {
  known ??= Promise.all([beginning(process.pid), textOf('/proc/sys/kernel/random/boot_id')]).then(
    ([began, bootId]) => ({
      pid: String(process.pid),
      began,
      boot: digest(bootId ?? ''),
      host: digest(hostname()),
    }),
  )
  return known
}

/** 'gone' for one that has ended and only waits to be noticed; 'unknown' where there is no /proc. */
async function beginning(pid: number): Promise<string> {
  const stat = await textOf(`/proc/${pid}/stat`)
  if (stat === undefined) return 'unknown'
  // proc(5): the name, in brackets, may hold anything; the state is the first field after it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return fields[0] === 'Z' ? 'gone' : (fields[19] ?? 'unknown')
}

function claimantOf(name: string): Claimant | undefined {
  const [, pid, began, boot, host] = claimName.exec(name) ?? []
  if (pid === undefined || began === undefined) return undefined
  return boot === undefined || host === undefined ? undefined : { pid, began, boot, host }
}

const digest = (text: string): string =>
  createHash('sha256').update(text).digest('hex').slice(0, 12)

const textOf = (path: string): Promise<string | undefined> =>
  readFile(path, 'utf8').catch(() => undefined)

function lockedError(claim: string): HoldfastError {
  return new HoldfastError(
    'STORE_LOCKED',
    'the block store cannot be opened: another process, or another store of this one, has it open. ' +
      `If that process was on another machine and is gone, delete ${claim}`,
  )
}
