import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'

/**
 * Makes a folder and those above it; one that is there is left as it is. Resolves with the folders that
 * were made, the highest first. Ends everywhere: with `recursive`, Node's own mkdir asks for ever where a
 * file system says that the parent is missing while it is there, as /proc does.
 */
export async function makeFolder(path: string): Promise<string[]> {
  const made = await tryMake(path)
  if (made !== 'no parent') return made
  const parent = dirname(path)
  const above = parent === path ? [] : await makeFolder(parent)
  const again = await tryMake(path)
  if (again !== 'no parent') return [...above, ...again]
  throw Object.assign(new Error(`no folder can be made at ${path}`), { code: 'ENOENT' })
}

async function tryMake(path: string): Promise<string[] | 'no parent'> {
  try {
    await mkdir(path)
    return [path]
  } catch (error) {
    switch ((error as { readonly code?: unknown }).code) {
      case 'ENOENT':
        return 'no parent'
      case 'EEXIST':
      case 'EISDIR':
        // What it is, if not a folder, is found out by who uses it.
        return []
      default:
        throw error
    }
  }
}
