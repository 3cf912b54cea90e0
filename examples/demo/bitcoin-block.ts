import { createHash } from 'node:crypto'

/** The first 80 bytes of a block. Hashes are 32 bytes in the order in which they are serialized. */
export interface BitcoinHeader {
  readonly previousHash: Uint8Array
  readonly merkleRoot: Uint8Array
  /** Seconds since the Unix epoch, as the miner says. */
  readonly timeSeconds: number
  /** The proof-of-work target in its compact form. */
  readonly bits: number
}

export interface BitcoinTransaction {
  /** Double SHA-256 of the transaction without its witness (BIP 141). */
  readonly txid: Uint8Array
  /** Double SHA-256 of all its bytes; equal to the txid where there is no witness. */
  readonly wtxid: Uint8Array
  readonly hasWitness: boolean
  /** Whether its only input spends nothing: it pays the miner. */
  readonly isCoinbase: boolean
  /** The witness stack of the first input. */
  readonly firstWitness: readonly Uint8Array[]
  /** The scripts of its outputs, in order. */
  readonly outputScripts: readonly Uint8Array[]
}

export interface BitcoinBlock {
  readonly header: BitcoinHeader
  /** At least one. */
  readonly transactions: readonly BitcoinTransaction[]
}

/** The bytes are no block: what was expected and what was found, at which byte of the block. */
export class BitcoinFormatError extends Error {
  override readonly name = 'BitcoinFormatError'

  constructor(
    readonly offset: number,
    what: string,
  ) {
    super(`at byte ${offset} of the block: ${what}`)
  }
}

export const headerBytes = 80

/** A header and a transaction count: no block is shorter. */
export const minBlockBytes = headerBytes + 1

/** The most bytes that a block of 4,000,000 weight units can have (BIP 141). */
export const maxBlockBytes = 4_000_000

const hashBytes = 32
const minInputBytes = 41
const minOutputBytes = 9
const minTransactionBytes = 4 + 1 + minInputBytes + 1 + minOutputBytes + 4

export const doubleSha256 = (...parts: readonly Uint8Array[]): Uint8Array => {
  const inner = createHash('sha256')
  for (const part of parts) inner.update(part)
  return createHash('sha256').update(inner.digest()).digest()
}

/** A hash as people write it: hexadecimal, the last byte first. */
export const displayHash = (hash: Uint8Array): string => Buffer.from(hash).reverse().toString('hex')

/** The name of a block: double SHA-256 of its header. The block must have at least 80 bytes. */
export const blockHash = (block: Uint8Array): string =>
  displayHash(doubleSha256(block.subarray(0, headerBytes)))

/**
 * Takes a serialized block apart, to its last byte. Throws BitcoinFormatError when it is cut short, has
 * bytes left over, or spells a number or a witness in a way that the hashes do not commit to.
 */
export function parseBitcoinBlock(bytes: Uint8Array): BitcoinBlock {
  const reader = new Reader(bytes)
  const header = readHeader(reader)
  const count = reader.count('transactions', minTransactionBytes)
  if (count === 0) throw new BitcoinFormatError(headerBytes, 'a block without transactions')
  const transactions = Array.from({ length: count }, () => readTransaction(reader))
  if (reader.left > 0) {
    throw new BitcoinFormatError(reader.offset, `${reader.left} bytes after the last transaction`)
  }
  return { header, transactions }
}

/** The header alone, for bytes of which only the first 80 are at hand. */
export const parseBitcoinHeader = (bytes: Uint8Array): BitcoinHeader =>
  readHeader(new Reader(bytes))

function readHeader(reader: Reader): BitcoinHeader {
  reader.take(4, 'the version')
  const previousHash = reader.take(hashBytes, 'the previous hash')
  const merkleRoot = reader.take(hashBytes, 'the Merkle root')
  const timeSeconds = reader.uint32('the time')
  const bits = reader.uint32('the bits')
  reader.take(4, 'the nonce')
  return { previousHash, merkleRoot, timeSeconds, bits }
}

function readTransaction(reader: Reader): BitcoinTransaction {
  const start = reader.offset
  const version = reader.take(4, 'a transaction version')
  const hasWitness = skipWitnessMarker(reader)
  const bodyStart = reader.offset
  const inputCount = reader.count('inputs', minInputBytes)
  if (inputCount === 0) throw new BitcoinFormatError(bodyStart, 'a transaction without inputs')
  let spendsNothing = false
  for (let input = 0; input < inputCount; input++) {
    const outpoint = reader.take(36, 'the output that an input spends')
    spendsNothing ||= isNullOutpoint(outpoint)
    reader.variable('an input script')
    reader.take(4, 'an input sequence')
  }
  const outputScripts: Uint8Array[] = []
  for (let left = reader.count('outputs', minOutputBytes); left > 0; left--) {
    reader.take(8, 'an output amount')
    outputScripts.push(reader.variable('an output script'))
  }
  const body = reader.since(bodyStart)
  const witnesses = hasWitness ? readWitnesses(reader, inputCount) : []
  const lockTime = reader.take(4, 'a lock time')
  const txid = doubleSha256(version, body, lockTime)
  return {
    txid,
    wtxid: hasWitness ? doubleSha256(reader.since(start)) : txid,
    hasWitness,
    isCoinbase: inputCount === 1 && spendsNothing,
    firstWitness: witnesses[0] ?? [],
    outputScripts,
  }
}

/** BIP 144: where the input count stands, 0 means that a flag byte follows, and a witness later. */
function skipWitnessMarker(reader: Reader): boolean {
  if (reader.peek() !== 0) return false
  reader.take(1, 'the witness marker')
  const flag = reader.uint8('the witness flag')
  if (flag !== 1) {
    throw new BitcoinFormatError(reader.offset - 1, `a witness flag of ${flag} instead of 1`)
  }
  return true
}

function readWitnesses(reader: Reader, inputCount: number): Uint8Array[][] {
  const start = reader.offset
  const witnesses = Array.from({ length: inputCount }, () => {
    const items = reader.count('witness items', 1)
    return Array.from({ length: items }, () => reader.variable('a witness item'))
  })
  // It could be left out without changing the txid: two spellings of one transaction.
  if (witnesses.every((items) => items.length === 0)) {
    throw new BitcoinFormatError(start, 'a witness that is empty for every input')
  }
  return witnesses
}

const isNullOutpoint = (outpoint: Uint8Array): boolean =>
  outpoint.every((byte, index) => byte === (index < hashBytes ? 0x00 : 0xff))

/** Reads little-endian fields in order; whatever is asked for beyond the end is a format error. */
class Reader {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  offset = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  get left(): number {
    return this.#bytes.length - this.offset
  }

  peek(): number | undefined {
    return this.#bytes[this.offset]
  }

  since(start: number): Uint8Array {
    return this.#bytes.subarray(start, this.offset)
  }

  take(length: number, what: string): Uint8Array {
    if (length > this.left) {
      throw new BitcoinFormatError(
        this.offset,
        `${what} needs ${length} bytes, and ${this.left} are left`,
      )
    }
    this.offset += length
    return this.since(this.offset - length)
  }

  uint8(what: string): number {
    this.take(1, what)
    return this.#view.getUint8(this.offset - 1)
  }

  uint32(what: string): number {
    this.take(4, what)
    return this.#view.getUint32(this.offset - 4, true)
  }

  /** A number of things of at least `minBytes` each: more than can follow are refused before they are read. */
  count(what: string, minBytes: number): number {
    const start = this.offset
    const count = this.#compactSize(`the number of ${what}`)
    if (count * minBytes > this.left) {
      throw new BitcoinFormatError(
        start,
        `${count} ${what} cannot fit into the ${this.left} bytes left`,
      )
    }
    return count
  }

  variable(what: string): Uint8Array {
    return this.take(this.#compactSize(`the length of ${what}`), what)
  }

  /** Only the shortest form of a number is right: the count of a block's transactions is in no hash. */
  #compactSize(what: string): number {
    const start = this.offset
    const first = this.uint8(what)
    if (first < 0xfd) return first
    const width = first === 0xfd ? 2 : first === 0xfe ? 4 : 8
    this.take(width, what)
    const at = start + 1
    const value =
      width === 2
        ? this.#view.getUint16(at, true)
        : width === 4
          ? this.#view.getUint32(at, true)
          : Number(this.#view.getBigUint64(at, true))
    const least = width === 2 ? 0xfd : width === 4 ? 0x1_0000 : 0x1_0000_0000
    if (value < least) {
      throw new BitcoinFormatError(start, `${what} is ${value}, spelled longer than it needs`)
    }
    return value
  }
}
