import { blockHash, displayHash, doubleSha256 } from '../../../examples/demo/bitcoin-block.js'
import { merkleRoot, targetOfBits } from '../../../examples/demo/bitcoin-chain-rules.js'
import type { BitcoinNetwork } from '../../../examples/demo/bitcoin-chain-rules.js'

/** A network that blocks are mined for in a few tries. Its parameters are those of Bitcoin's regtest. */
export const regtest: BitcoinNetwork = {
  chainId: 'bitcoin-regtest',
  magic: Uint8Array.of(0xfa, 0xbf, 0xb5, 0xda),
  genesisHash: '0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206',
  maxTarget: (1n << 255n) - 1n,
  witnessFromSeconds: 0,
}

export const easiestBits = 0x207fffff

export const uint32 = (value: number): Uint8Array => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value >>> 0)
  return bytes
}

export const compactSize = (value: number): Uint8Array => {
  if (value < 0xfd) return Uint8Array.of(value)
  const bytes = Buffer.from([0xfd, 0, 0])
  bytes.writeUInt16LE(value, 1)
  return bytes
}

export const fromDisplay = (hash: string): Uint8Array => Buffer.from(hash, 'hex').reverse()

const variable = (bytes: Uint8Array): Uint8Array =>
  Buffer.concat([compactSize(bytes.length), bytes])

export interface InputParts {
  readonly txid?: Uint8Array
  readonly index?: number
  readonly script?: Uint8Array
  readonly witness?: readonly Uint8Array[]
}

export interface OutputParts {
  readonly amount?: bigint
  readonly script: Uint8Array
}

/** A serialized transaction; with its witness when an input has one. */
export function transaction(
  inputs: readonly InputParts[],
  outputs: readonly OutputParts[],
  options: { readonly version?: number; readonly withoutWitness?: boolean } = {},
): Uint8Array {
  const hasWitness =
    options.withoutWitness !== true && inputs.some(({ witness }) => witness !== undefined)
  return Buffer.concat([
    uint32(options.version ?? 1),
    hasWitness ? Uint8Array.of(0, 1) : Uint8Array.of(),
    compactSize(inputs.length),
    ...inputs.flatMap(({ txid = new Uint8Array(32), index = 0, script = new Uint8Array() }) => [
      txid,
      uint32(index),
      variable(script),
      uint32(0xffffffff),
    ]),
    compactSize(outputs.length),
    ...outputs.flatMap(({ amount = 5_000_000_000n, script }) => [
      Buffer.from(new BigUint64Array([amount]).buffer),
      variable(script),
    ]),
    ...(hasWitness
      ? inputs.flatMap(({ witness = [] }) => [
          compactSize(witness.length),
          ...witness.map(variable),
        ])
      : []),
    uint32(0),
  ])
}

/** The transaction that pays the miner; `tag` makes it different from others. */
export const coinbase = (
  tag: number | Uint8Array,
  outputs: readonly OutputParts[] = [{ script: Uint8Array.of(0x51) }],
  witness?: readonly Uint8Array[],
): Uint8Array =>
  transaction(
    [
      {
        index: 0xffffffff,
        script: typeof tag === 'number' ? uint32(tag) : tag,
        ...(witness === undefined ? {} : { witness }),
      },
    ],
    outputs,
  )

export interface BlockParts {
  /** In display order. */
  readonly previousHash: string
  /** Each as it stands in the block, and with it what its txid is taken of. Default: the same. */
  readonly transactions: readonly Uint8Array[]
  readonly stripped?: readonly Uint8Array[]
  readonly merkleRoot?: Uint8Array
  readonly timeSeconds?: number
  readonly bits?: number
  readonly version?: number
  /** Default: the first that does the work. */
  readonly nonce?: number
}

/** A serialized block. */
export function block(parts: BlockParts): Uint8Array {
  const { transactions, stripped = transactions, bits = easiestBits } = parts
  const root = parts.merkleRoot ?? merkleRoot(stripped.map((one) => doubleSha256(one)))
  const bytes = Buffer.concat([
    uint32(parts.version ?? 1),
    fromDisplay(parts.previousHash),
    root!,
    uint32(parts.timeSeconds ?? 1_600_000_000),
    uint32(bits),
    uint32(parts.nonce ?? 0),
    compactSize(transactions.length),
    ...transactions,
  ])
  if (parts.nonce === undefined) mine(bytes, bits)
  return bytes
}

/** `length` blocks on top of `previousHash`, lowest first. */
export function blocksOnTop(previousHash: string, length: number, tag = 0): Uint8Array[] {
  const blocks: Uint8Array[] = []
  for (let index = 0; index < length; index++) {
    const made = block({ previousHash, transactions: [coinbase(tag * 1000 + index)] })
    blocks.push(made)
    previousHash = blockHash(made)
  }
  return blocks
}

/** A record of a block file. */
export const record = (bytes: Uint8Array, magic = regtest.magic): Uint8Array =>
  Buffer.concat([magic, uint32(bytes.length), bytes])

/** The one block that main net and regtest begin with, but for its time, bits and nonce. */
export function genesisBlock(header: {
  readonly timeSeconds: number
  readonly bits: number
  readonly nonce: number
}): Uint8Array {
  const headline = 'The Times 03/Jan/2009 Chancellor on brink of second bailout for banks'
  const publicKey =
    '04678afdb0fe5548271967f1a67130b7105cd6a828e03909a67962e0ea1f61deb6' +
    '49f6bc3f4cef38c4f35504e51ec112de5c384df7ba0b8d578a4c702b6bf11d5f'
  const script = Buffer.concat([
    Buffer.from('04ffff001d010445', 'hex'),
    Buffer.from(headline, 'latin1'),
  ])
  const output = { script: Buffer.from(`41${publicKey}ac`, 'hex') }
  return block({
    previousHash: '0'.repeat(64),
    transactions: [coinbase(script, [output])],
    ...header,
  })
}

export const mainnetGenesis = (): Uint8Array =>
  genesisBlock({ timeSeconds: 1_231_006_505, bits: 0x1d00ffff, nonce: 2_083_236_893 })

export const regtestGenesis = (): Uint8Array =>
  genesisBlock({ timeSeconds: 1_296_688_602, bits: 0x207fffff, nonce: 2 })

export interface WitnessBlock {
  readonly bytes: Uint8Array
  /** The spending transaction as it stands in the block, and without its witness. */
  readonly spend: Uint8Array
  readonly strippedSpend: Uint8Array
  readonly previousHash: string
}

/** A block whose second transaction carries a witness that the coinbase commits to (BIP 141). */
export function witnessBlock(previousHash: string): WitnessBlock {
  const inputs: InputParts[] = [
    { txid: Buffer.alloc(32, 7), witness: [Buffer.alloc(71, 0x30), Buffer.alloc(33, 2)] },
    { txid: Buffer.alloc(32, 8), index: 3, script: Buffer.from([0x51]) },
  ]
  const outputs: OutputParts[] = [{ amount: 1234n, script: Buffer.alloc(22, 9) }]
  const spend = transaction(inputs, outputs, { version: 2 })
  const strippedSpend = transaction(inputs, outputs, { version: 2, withoutWitness: true })
  const reserved = Buffer.alloc(32, 0xab)
  const witnessRoot = doubleSha256(new Uint8Array(32), doubleSha256(spend))
  const commitment = Buffer.concat([
    Buffer.from('6a24aa21a9ed', 'hex'),
    doubleSha256(witnessRoot, reserved),
  ])
  const pays = [{ script: Uint8Array.of(0x51) }, { amount: 0n, script: commitment }]
  const bytes = block({
    previousHash,
    transactions: [coinbase(77, pays, [reserved]), spend],
    stripped: [coinbase(77, pays), strippedSpend],
  })
  return { bytes, spend, strippedSpend, previousHash }
}

function mine(bytes: Buffer, bits: number): void {
  const target = targetOfBits(bits)
  for (let nonce = 0; nonce < 10_000; nonce++) {
    bytes.writeUInt32LE(nonce, 76)
    const hash = BigInt(`0x${displayHash(doubleSha256(bytes.subarray(0, 80)))}`)
    if (target === undefined || hash <= target) return
  }
  throw new Error(`no nonce does the work for ${bits}`)
}
