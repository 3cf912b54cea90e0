import { link, mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { LoadedPeers, PeerStore, RegistrySnapshot } from '../contracts/peer-store.js'
import { HoldfastError } from '../errors.js'
import { crc32 } from './crc32.js'

/** A larger file is not one of ours: ten thousand peers need some two mebibytes. */
const maxFileBytes = 64 * 1024 * 1024

/** Files that are set aside are not counted further than this: the last one is overwritten. */
const maxSetAside = 9

type Read =
  | { readonly kind: 'missing' }
  | { readonly kind: 'whole'; readonly snapshot: unknown }
  | { readonly kind: 'damaged'; readonly why: string }

/**
 * Keeps a registry's knowledge in one file. After a crash at any moment the file holds what was saved
 * last or what was saved before, whole: it is written beside its place, brought to the disk, and
 * renamed. The one before stays as `<path>.previous`. A file that is torn, empty or not of this kind is
 * renamed to `<path>.damaged` and reported, and the previous one takes its place. One process at a time
 * may use a path.
 *
 * The file is a line with a checksum and then JSON; to start afresh, delete it. Throws TypeError for a
 * path that is no string.
 */
export function filePeerStore(path: string): PeerStore {
  if (typeof path !== 'string' || path === '') {
    throw new TypeError(`the path of a peer store must be a string, not ${JSON.stringify(path)}`)
  }
  const previous = `${path}.previous`
  return {
    async load(): Promise<LoadedPeers> {
      const current = await read(path)
      if (current.kind === 'whole') return { snapshot: current.snapshot }
      if (current.kind === 'missing') return { snapshot: undefined }
      const aside = await setAside(path)
      const older = await read(previous)
      if (older.kind === 'whole') await link(previous, path)
      const text = `${path} ${current.why}; it was moved to ${aside}`
      const damage = new HoldfastError('STORE_CORRUPT', text)
      return { snapshot: older.kind === 'whole' ? older.snapshot : undefined, damage }
    },

    async save(snapshot: RegistrySnapshot): Promise<void> {
      const written = `${path}.new`
      await mkdir(dirname(path), { recursive: true })
      await write(written, encode(snapshot))
      await keepAs(path, previous)
      await rename(written, path)
      await syncFolder(dirname(path))
    },
  }
}

function encode(snapshot: RegistrySnapshot): Buffer {
  const body = Buffer.from(`${JSON.stringify(snapshot)}\n`)
  return Buffer.concat([Buffer.from(headerOf(body)), body])
}

function headerOf(body: Buffer): string {
  return `holdfast-peers 1 ${crc32(body).toString(16).padStart(8, '0')} ${body.length}\n`
}

async function read(path: string): Promise<Read> {
  let bytes: Buffer
  try {
    if ((await stat(path)).size > maxFileBytes) return { kind: 'damaged', why: 'is too large' }
    bytes = await readFile(path)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return { kind: 'missing' }
    throw error
  }
  if (bytes.length === 0) return { kind: 'damaged', why: 'is empty' }
  const body = bytes.subarray(bytes.indexOf('\n') + 1)
  const header = bytes.toString('latin1', 0, bytes.length - body.length)
  if (!header.startsWith('holdfast-peers 1 ')) {
    return { kind: 'damaged', why: 'is no file of known peers' }
  }
  if (header !== headerOf(body)) return { kind: 'damaged', why: 'is torn: its checksum differs' }
  try {
    return { kind: 'whole', snapshot: JSON.parse(body.toString('utf8')) as unknown }
  } catch {
    return { kind: 'damaged', why: 'holds no JSON' }
  }
}

async function write(path: string, bytes: Buffer): Promise<void> {
  const file = await open(path, 'w')
  try {
    await file.writeFile(bytes)
    await file.sync()
  } finally {
    await file.close()
  }
}

/** A second name for the file, put in place at once: there is no moment without an older one. */
async function keepAs(path: string, previous: string): Promise<void> {
  const linked = `${previous}.new`
  try {
    await rm(linked, { force: true })
    await link(path, linked)
    await rename(linked, previous)
    // Where both were the same file already, renaming leaves them both.
    await rm(linked, { force: true })
  } catch {
    // There is none yet, or this file system has no links: then there is one generation.
  }
}

async function setAside(path: string): Promise<string> {
  for (let number = 1; ; number++) {
    const aside = number === 1 ? `${path}.damaged` : `${path}.damaged-${number}`
    if (number < maxSetAside && (await exists(aside))) continue
    await rename(path, aside)
    return aside
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path)
    return true
  } catch {
    return false
  }
}

/** A rename is on the disk when its folder is. Windows has no such thing. */
async function syncFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

function codeOf(error: unknown): unknown {
  return (error as { readonly code?: unknown } | undefined)?.code
}
