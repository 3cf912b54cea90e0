import { join } from 'node:path'
import { readBytes, type FileLayer, type OpenFile } from './flat-file-layer.js'

/** More files than this are not open at a time, but for those in use. */
const maxOpenFiles = 16

interface Handle {
  readonly file: Promise<OpenFile>
  users: number
  isRetired: boolean
}

/** The files of a folder by name, opened when they are wanted, and closed when others are wanted more. */
export class SegmentFiles {
  readonly #layer: FileLayer
  readonly #folder: string
  /** The one used last is the last. */
  readonly #handles = new Map<string, Handle>()

  constructor(layer: FileLayer, folder: string) {
    this.#layer = layer
    this.#folder = folder
  }

  async use<T>(name: string, body: (file: OpenFile) => Promise<T>): Promise<T> {
    const handle = this.#handleOf(name)
    handle.users++
    try {
      return await body(await handle.file)
    } finally {
      handle.users--
      this.#closeIfUnused(handle)
    }
  }

  read(name: string, position: number, length: number): Promise<Uint8Array> {
    return this.use(name, (file) => readBytes(file, position, length))
  }

  /** The new file is empty, and not durable before the folder is. */
  async make(name: string): Promise<void> {
    await (await this.#layer.open(join(this.#folder, name), 'new')).close()
  }

  async remove(name: string): Promise<void> {
    this.#retire(name)
    await this.#layer.remove(join(this.#folder, name))
  }

  list(): Promise<string[]> {
    return this.#layer.list(this.#folder)
  }

  syncFolder(): Promise<void> {
    return this.#layer.syncFolder(this.#folder)
  }

  /** Closes them all; those in use when they no longer are. */
  async close(): Promise<void> {
    const handles = [...this.#handles.values()]
    this.#handles.clear()
    for (const handle of handles) handle.isRetired = true
    const idle = handles.filter(({ users }) => users === 0)
    await Promise.all(
      idle.map(({ file }) => file.then((open) => open.close()).catch(() => undefined)),
    )
  }

  #handleOf(name: string): Handle {
    let handle = this.#handles.get(name)
    if (handle === undefined) {
      const file = this.#layer.open(join(this.#folder, name), 'existing')
      handle = { file, users: 0, isRetired: false }
      // One that cannot be opened is tried anew the next time.
      const opened = handle
      file.catch(() => {
        if (this.#handles.get(name) === opened) this.#handles.delete(name)
      })
    }
    this.#handles.delete(name)
    this.#handles.set(name, handle)
    this.#makeRoom()
    return handle
  }

  #makeRoom(): void {
    for (const [name, handle] of this.#handles) {
      if (this.#handles.size <= maxOpenFiles) return
      // The last one is being handed out.
      if (handle.users === 0 && name !== [...this.#handles.keys()].at(-1)) this.#retire(name)
    }
  }

  #retire(name: string): void {
    const handle = this.#handles.get(name)
    if (handle === undefined) return
    this.#handles.delete(name)
    handle.isRetired = true
    this.#closeIfUnused(handle)
  }

  #closeIfUnused(handle: Handle): void {
    if (!handle.isRetired || handle.users > 0) return
    // Nothing depends on it: what must be on the disk was brought there by `sync`.
    void handle.file.then((file) => file.close()).catch(() => undefined)
  }
}
