import { readFile, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { HoldfastError } from 'holdfast'
import { bestChain } from './best-chain.js'
import type { BestChain, LooseBlock } from './best-chain.js'
import {
  blockHash,
  displayHash,
  maxBlockBytes,
  minBlockBytes,
  parseBitcoinHeader,
} from './bitcoin-block.js'
import { bitcoinMainnet, checkBitcoinBlock, workOf } from './bitcoin-chain-rules.js'
import type { BitcoinNetwork } from './bitcoin-chain-rules.js'

export interface BitcoinBlockFile extends BestChain {
  readonly fileBytes: number
  /** Whether it had to be read with the key in `xor.dat`. */
  readonly isObfuscated: boolean
}

/** Bitcoin Core begins a new file at 128 MiB. The whole file is held in memory. */
export const maxFileBytes = 256 * 1024 * 1024

const magicBytes = 4
const lengthBytes = 4
const recordHeaderBytes = magicBytes + lengthBytes
const keyBytes = 8
const noKey = new Uint8Array(keyBytes)

const magicsOfOtherNetworks = new Map([
  ['f9 be b4 d9', 'main net'],
  ['0b 11 09 07', 'testnet3'],
  ['1c 16 3f 28', 'testnet4'],
  ['0a 03 cf 40', 'signet'],
  ['fa bf b5 da', 'regtest'],
])

/**
 * Reads a block file of Bitcoin Core (`blk*.dat`): records of magic, little-endian length and block.
 *
 * Every block is checked, so the chain that it resolves with is sound; otherwise it rejects with
 * HoldfastError FILE_INVALID, which says what is wrong at which byte. The payloads are windows into the
 * file's bytes in memory: not to be written into.
 *
 * Blocks may lie in any order, on branches, with zeros between and after them (see `bestChain`): a file
 * from the middle of Bitcoin Core's directory begins nowhere in particular and has holes, for blocks are
 * written as they arrive. Since version 28 the files are obfuscated with the key in `xor.dat` beside
 * them; it is used when the file does not begin with a block without it.
 */
export async function readBitcoinBlockFile(
  path: string,
  network: BitcoinNetwork = bitcoinMainnet,
): Promise<BitcoinBlockFile> {
  const bytes = await readWhole(path)
  const key = await readKeyBeside(path)
  const plain: BlockFile = { path, bytes, key: noKey, network }
  if (key === undefined) return readChain(plain, obfuscationHint)
  if (beginsWithMagic(plain)) return readChain(plain, '')

  const obfuscated: BlockFile = { ...plain, key }
  applyKey(obfuscated)
  if (beginsWithMagic(obfuscated)) return { ...readChain(obfuscated, ''), isObfuscated: true }
  applyKey(obfuscated)
  return readChain(plain, 'The key of the xor.dat beside it does not help.')
}

const obfuscationHint =
  'If Bitcoin Core 28 or later wrote it, it may be obfuscated: then xor.dat must lie beside it.'

/** The bytes of a file, those of `key` already taken off. */
interface BlockFile {
  readonly path: string
  readonly bytes: Uint8Array
  readonly key: Uint8Array
  readonly network: BitcoinNetwork
}

function readChain(file: BlockFile, hint: string): BitcoinBlockFile {
  const blocks: LooseBlock[] = []
  let offset = afterPadding(file, 0)
  while (offset < file.bytes.length) {
    expectMagic(file, offset, blocks.length === 0 ? hint : '')
    const payload = readPayload(file, offset)
    blocks.push(readBlock(file, offset + recordHeaderBytes, payload))
    offset = afterPadding(file, offset + recordHeaderBytes + payload.length)
  }
  if (blocks.length === 0) {
    const what = offset === 0 ? 'it is empty' : `all its ${offset} bytes are zero`
    throw invalid(file.path, `holds no block: ${what}`)
  }
  const chain = bestChain(blocks, file.network.genesisHash)
  return { ...chain, fileBytes: file.bytes.length, isObfuscated: false }
}

function expectMagic({ path, bytes, network }: BlockFile, offset: number, hint: string): void {
  const found = bytes.subarray(offset, offset + magicBytes)
  if (sameBytes(found, network.magic)) return
  if (sameBytes(found, network.magic.subarray(0, found.length))) {
    throw truncated(path, offset, 'the magic before a block', magicBytes, found.length)
  }
  const other = magicsOfOtherNetworks.get(hex(found))
  const said = other === undefined ? quoted(found) : `, with which blocks of ${other} begin`
  const expected = `where the magic ${hex(network.magic)} of a block of ${network.chainId} should be`
  const stands = `at byte ${offset} stands ${hex(found)}${said}, ${expected}`
  throw invalid(path, other === undefined && hint !== '' ? `${stands}. ${hint}` : stands)
}

function readPayload({ path, bytes }: BlockFile, offset: number): Uint8Array {
  const lengthAt = offset + magicBytes
  const start = offset + recordHeaderBytes
  if (bytes.length < start) {
    throw truncated(path, lengthAt, 'the length of a block', lengthBytes, bytes.length - lengthAt)
  }
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(lengthAt, true)
  if (length < minBlockBytes || length > maxBlockBytes) {
    throw invalid(
      path,
      `at byte ${lengthAt} a block says that it has ${length} bytes; blocks have ${minBlockBytes} to ${maxBlockBytes}`,
    )
  }
  if (bytes.length < start + length) {
    throw truncated(path, start, 'a block', length, bytes.length - start)
  }
  return bytes.subarray(start, start + length)
}

function readBlock({ path, network }: BlockFile, offset: number, payload: Uint8Array): LooseBlock {
  const header = parseBitcoinHeader(payload)
  const hash = blockHash(payload)
  const previousHash = displayHash(header.previousHash)
  const verdict = checkBitcoinBlock({ height: 0, hash, previousHash, payload }, network)
  if (!verdict.ok) {
    throw invalid(path, `the block of ${payload.length} bytes at byte ${offset}: ${verdict.reason}`)
  }
  return { hash, previousHash, payload, work: workOf(header) }
}

/** Bitcoin Core makes files larger in advance, with zeros that no key was put on. */
function afterPadding(file: BlockFile, from: number): number {
  const { bytes, key } = file
  let offset = from
  // The first byte of an obfuscated magic can be zero too.
  while (
    offset < bytes.length &&
    bytes[offset] === key[offset % keyBytes] &&
    !hasMagicAt(file, offset)
  ) {
    offset++
  }
  return offset
}

const beginsWithMagic = (file: BlockFile): boolean => hasMagicAt(file, afterPadding(file, 0))

const hasMagicAt = ({ bytes, network }: BlockFile, offset: number): boolean =>
  sameBytes(bytes.subarray(offset, offset + magicBytes), network.magic)

/** Puts the key on, or takes it off: the same. */
function applyKey({ bytes, key }: BlockFile): void {
  for (let offset = 0; offset < bytes.length; offset++) bytes[offset]! ^= key[offset % keyBytes]!
}

/** The key that Bitcoin Core keeps beside its block files; undefined when there is none, or it is zero. */
async function readKeyBeside(path: string): Promise<Uint8Array | undefined> {
  const keyPath = join(dirname(path), 'xor.dat')
  let key: Uint8Array
  try {
    key = await readFile(keyPath)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw invalid(keyPath, `cannot be read (${codeOf(error)})`, error)
  }
  if (key.length !== keyBytes) {
    throw invalid(keyPath, `a key has ${keyBytes} bytes, and this one has ${key.length}`)
  }
  return sameBytes(key, noKey) ? undefined : key
}

async function readWhole(path: string): Promise<Uint8Array> {
  try {
    const { size, isFile } = await stat(path).then((s) => ({ size: s.size, isFile: s.isFile() }))
    if (!isFile) throw invalid(path, 'is not a file')
    if (size > maxFileBytes) {
      throw invalid(path, `has ${size} bytes; more than ${maxFileBytes} are not read`)
    }
    return await readFile(path)
  } catch (error) {
    if (HoldfastError.is(error)) throw error
    throw invalid(path, `cannot be read (${codeOf(error)})`, error)
  }
}

const truncated = (path: string, at: number, what: string, expected: number, found: number) =>
  invalid(
    path,
    `the file ends inside ${what}: at byte ${at}, ${expected} bytes were expected, and ${found} are there`,
  )

const invalid = (path: string, what: string, cause?: unknown): HoldfastError =>
  new HoldfastError('FILE_INVALID', `${path}: ${what}`, { cause })

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : String(error)

const sameBytes = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0

const hex = (bytes: Uint8Array): string => [...bytes].map(twoDigits).join(' ')

const twoDigits = (byte: number): string => byte.toString(16).padStart(2, '0')

/** What people would read, where there is something to read. */
const quoted = (bytes: Uint8Array): string =>
  bytes.every((byte) => byte >= 0x20 && byte < 0x7f) ? ` ("${String.fromCharCode(...bytes)}")` : ''
