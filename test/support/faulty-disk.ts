import { basename, dirname } from 'node:path'
import type { FileLayer, OpenFile } from '../../src/adapters/flat-file-layer.js'
import { HoldfastError } from '../../src/errors.js'
import type { SeededRandom } from '../../src/testing/seeded-random.js'

const sectorBytes = 512

type Change =
  | { readonly kind: 'write'; readonly position: number; readonly bytes: Uint8Array }
  | { readonly kind: 'truncate'; readonly size: number }

/** A file as the programs see it, and as the disk has it. */
interface Inode {
  now: Uint8Array
  durable: Uint8Array
  /** What is not on the disk yet, in order. */
  unsynced: Change[]
}

interface NameChange {
  readonly path: string
  readonly inode: Inode | undefined
}

/** An operation that changes something, as a fault is told of it. */
export type Operation = 'write' | 'truncate' | 'sync' | 'make' | 'remove' | 'syncFolder'

/** What happens to an operation: nothing, an error of the system, or the end of the machine. */
export type Fault = 'EIO' | 'ENOSPC' | 'crash' | undefined

/**
 * A file system in memory with a page cache. What is not synced may be lost by `crash`, in sectors, in
 * any order: of writes, of truncations and of names alike. A sync that fails takes what it was to bring
 * to the disk for clean, as Linux does: it is never written again by itself.
 */
export class FaultyDisk implements FileLayer {
  #names = new Map<string, Inode>()
  #durableNames = new Map<string, Inode>()
  #unsyncedNames: NameChange[] = []
  #locks = new Set<string>()
  #isDown = false

  /** How many operations were asked for since the machine started. */
  operations = 0

  /** Decides about each operation, by its number from 0 on. */
  fault: (number: number, operation: Operation, name: string) => Fault = () => undefined

  /** Present: reads and writes stop short at random. */
  shortness: SeededRandom | undefined

  /** The power goes and comes back. What was not synced is lost or not, by the dice; null loses it all. */
  crash(random: SeededRandom | null): void {
    const survives = (): boolean => random !== null && random.next() < 0.5
    for (const { path, inode } of this.#unsyncedNames) {
      if (survives()) setName(this.#durableNames, path, inode)
    }
    this.#unsyncedNames = []
    this.#names = new Map(this.#durableNames)
    for (const inode of new Set(this.#names.values())) {
      for (const change of inode.unsynced) {
        for (const part of sectorsOf(change)) {
          if (survives()) inode.durable = changed(inode.durable, part)
        }
      }
      inode.unsynced = []
      inode.now = inode.durable
    }
    this.kill()
  }

  /** The process ends and another begins: the page cache stays, locks do not. */
  kill(): void {
    this.#locks.clear()
    this.#isDown = false
    this.operations = 0
    this.fault = () => undefined
  }

  /** The files by their names, for looking into them and for damaging them. */
  contents(): Map<string, Uint8Array> {
    return new Map(Array.from(this.#names, ([path, { now }]) => [basename(path), now]))
  }

  /** Puts a file there, as if it always had been. */
  put(path: string, bytes: Uint8Array): void {
    const inode = { now: bytes, durable: bytes, unsynced: [] }
    this.#names.set(path, inode)
    this.#durableNames.set(path, inode)
  }

  async makeFolder(): Promise<void> {
    this.#requireUp()
  }

  async lock(folder: string): Promise<() => Promise<void>> {
    if (this.#locks.has(folder)) throw new HoldfastError('STORE_LOCKED', 'it is open already')
    this.#locks.add(folder)
    return async () => {
      this.#locks.delete(folder)
    }
  }

  async list(folder: string): Promise<string[]> {
    this.#requireUp()
    return [...this.#names.keys()]
      .filter((path) => dirname(path) === folder)
      .map((p) => basename(p))
  }

  async open(path: string, kind: 'existing' | 'new'): Promise<OpenFile> {
    this.#requireUp()
    let inode = this.#names.get(path)
    if (kind === 'existing') {
      if (inode === undefined) throw systemError('ENOENT')
    } else {
      if (inode !== undefined) throw systemError('EEXIST')
      this.#begin('make', path)
      inode = { now: new Uint8Array(0), durable: new Uint8Array(0), unsynced: [] }
      this.#rename(path, inode)
    }
    return this.#fileOn(path, inode)
  }

  async remove(path: string): Promise<void> {
    this.#requireUp()
    if (!this.#names.has(path)) return
    this.#begin('remove', path)
    this.#rename(path, undefined)
  }

  async syncFolder(folder: string): Promise<void> {
    this.#begin('syncFolder', folder)
    for (const { path, inode } of this.#unsyncedNames) setName(this.#durableNames, path, inode)
    this.#unsyncedNames = []
  }

  #fileOn(path: string, inode: Inode): OpenFile {
    const apply = (change: Change): void => {
      inode.now = changed(inode.now, change)
      inode.unsynced.push(change)
    }
    const some = (length: number): number =>
      this.shortness === undefined || length < 2 ? length : this.shortness.integer(1, length)
    return {
      size: async () => {
        this.#requireUp()
        return inode.now.length
      },
      read: async (into, position) => {
        this.#requireUp()
        const length = Math.min(some(into.length), Math.max(0, inode.now.length - position))
        into.set(inode.now.subarray(position, position + length))
        return length
      },
      write: async (bytes, position) => {
        const write = (length: number): void =>
          apply({ kind: 'write', position, bytes: bytes.slice(0, length) })
        const length = some(bytes.length)
        // A disk that fills up takes a part; a machine that stops has done so in the middle.
        this.#begin('write', path, () => write(bytes.length >> 1))
        write(length)
        return length
      },
      truncate: async (size) => {
        this.#begin('truncate', path)
        apply({ kind: 'truncate', size })
      },
      sync: async () => {
        this.#begin('sync', path, () => {
          if (!this.#isDown) inode.unsynced = []
        })
        for (const change of inode.unsynced) inode.durable = changed(inode.durable, change)
        inode.unsynced = []
      },
      close: async () => undefined,
    }
  }

  /** Counts the operation, and throws what the fault says, after `partly` was done. */
  #begin(operation: Operation, path: string, partly?: () => void): void {
    this.#requireUp()
    const fault = this.fault(this.operations++, operation, basename(path))
    if (fault === undefined) return
    if (fault === 'crash') this.#isDown = true
    partly?.()
    throw systemError(fault)
  }

  #requireUp(): void {
    if (this.#isDown) throw systemError('crash')
  }

  #rename(path: string, inode: Inode | undefined): void {
    setName(this.#names, path, inode)
    this.#unsyncedNames.push({ path, inode })
  }
}

function setName(names: Map<string, Inode>, path: string, inode: Inode | undefined): void {
  if (inode === undefined) names.delete(path)
  else names.set(path, inode)
}

function changed(content: Uint8Array, change: Change): Uint8Array {
  if (change.kind === 'truncate') {
    const cut = new Uint8Array(change.size)
    cut.set(content.subarray(0, change.size))
    return cut
  }
  const { position, bytes } = change
  const next = new Uint8Array(Math.max(content.length, position + bytes.length))
  next.set(content)
  next.set(bytes, position)
  return next
}

/** A write as the pieces that reach the disk one by one. */
function sectorsOf(change: Change): Change[] {
  if (change.kind === 'truncate') return [change]
  const parts: Change[] = []
  for (let start = 0; start < change.bytes.length;) {
    const position = change.position + start
    const end = Math.min(change.bytes.length, start + sectorBytes - (position % sectorBytes))
    parts.push({ kind: 'write', position, bytes: change.bytes.subarray(start, end) })
    start = end
  }
  return parts
}

const systemError = (code: string): Error =>
  Object.assign(new Error(`${code}, as the test wanted it`), { code })
