import { open, readdir, rm, type FileHandle } from 'node:fs/promises'
import { dirname } from 'node:path'
import { claimFolder } from './folder-claim.js'
import { makeFolder } from './make-folder.js'

/**
 * What FlatFileBlockStore needs of a file system, so that a failing one can be put below it in tests.
 * Nothing that is written, made or removed is safe from a power cut before the `sync` or `syncFolder`
 * that follows it, and until then any part of it may be on the disk.
 */
export interface FileLayer {
  /** Makes the folder, durably, and those above it. */
  makeFolder(path: string): Promise<void>

  /** Takes the folder for this caller alone: STORE_LOCKED while another has it. Resolves with the release. */
  lock(folder: string): Promise<() => Promise<void>>

  list(folder: string): Promise<string[]>

  /** For reading and writing. ENOENT when an existing one is missing, EEXIST when a new one is there. */
  open(path: string, kind: 'existing' | 'new'): Promise<OpenFile>

  /** A file that is missing is removed already. */
  remove(path: string): Promise<void>

  /** Makes the names in the folder durable: files made there, and files removed. */
  syncFolder(folder: string): Promise<void>
}

/** Positions and sizes in bytes. */
export interface OpenFile {
  size(): Promise<number>

  /** Returns how many bytes were read, which may be fewer than there is room for; 0 at the end of the file. */
  read(into: Uint8Array, position: number): Promise<number>

  /** Returns how many bytes were written, which may be fewer than were given. */
  write(bytes: Uint8Array, position: number): Promise<number>

  truncate(size: number): Promise<void>

  /** Makes what was written and the size durable. */
  sync(): Promise<void>

  close(): Promise<void>
}

/** Up to `length` bytes: fewer only where the file ends. */
export async function readBytes(
  file: OpenFile,
  position: number,
  length: number,
): Promise<Uint8Array> {
  const bytes = new Uint8Array(length)
  let done = 0
  while (done < length) {
    const read = await file.read(bytes.subarray(done), position + done)
    if (read === 0) return bytes.subarray(0, done)
    done += read
  }
  return bytes
}

export async function writeBytes(
  file: OpenFile,
  position: number,
  bytes: Uint8Array,
): Promise<void> {
  let done = 0
  while (done < bytes.length) {
    const written = await file.write(bytes.subarray(done), position + done)
    if (written <= 0) throw new Error('the file system wrote nothing, and gave no error')
    done += written
  }
}

/** Writes what the file has from one position to another once more, and brings it to the disk. */
export async function writeAgain(file: OpenFile, from: number, to: number): Promise<void> {
  const stepBytes = 1024 * 1024
  for (let position = from; position < to; position += stepBytes) {
    const bytes = await readBytes(file, position, Math.min(stepBytes, to - position))
    await writeBytes(file, position, bytes)
  }
  await file.sync()
}

/** One call takes so much at most: the operating system has a limit of its own at 2 GiB. */
const maxCallBytes = 64 * 1024 * 1024

/** The file system of Node.js. */
export const nodeFiles: FileLayer = {
  async makeFolder(path) {
    for (const made of await makeFolder(path)) await syncFolder(dirname(made))
  },
  lock: claimFolder,
  list: (folder) => readdir(folder),
  async open(path, kind) {
    return new NodeFile(await open(path, kind === 'new' ? 'wx+' : 'r+'))
  },
  remove: (path) => rm(path, { force: true }),
  syncFolder,
}

class NodeFile implements OpenFile {
  readonly #handle: FileHandle

  constructor(handle: FileHandle) {
    this.#handle = handle
  }

  async size(): Promise<number> {
    return (await this.#handle.stat()).size
  }

  async read(into: Uint8Array, position: number): Promise<number> {
    const length = Math.min(into.length, maxCallBytes)
    return (await this.#handle.read(into, 0, length, position)).bytesRead
  }

  async write(bytes: Uint8Array, position: number): Promise<number> {
    const length = Math.min(bytes.length, maxCallBytes)
    return (await this.#handle.write(bytes, 0, length, position)).bytesWritten
  }

  truncate(size: number): Promise<void> {
    return this.#handle.truncate(size)
  }

  sync(): Promise<void> {
    return this.#handle.datasync()
  }

  close(): Promise<void> {
    return this.#handle.close()
  }
}

/** Windows has no such thing. */
async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
