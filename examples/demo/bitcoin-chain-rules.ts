import type { Block, ChainAnchor, ChainRules, Verdict } from 'holdfast'
import {
  BitcoinFormatError,
  blockHash,
  displayHash,
  doubleSha256,
  maxBlockBytes,
  minBlockBytes,
  parseBitcoinBlock,
} from './bitcoin-block.js'
import type { BitcoinBlock, BitcoinHeader, BitcoinTransaction } from './bitcoin-block.js'

/** What differs between Bitcoin's networks, as far as a block file shows it. */
export interface BitcoinNetwork {
  readonly chainId: string
  /** The four bytes before each block in a file. */
  readonly magic: Uint8Array
  /** In display order. */
  readonly genesisHash: string
  /** The easiest target that a header may name. */
  readonly maxTarget: bigint
  /** A block of this time or later that commits to witnesses must carry them. See `checkWitness`. */
  readonly witnessFromSeconds: number
}

export const bitcoinMainnet: BitcoinNetwork = {
  chainId: 'bitcoin-mainnet',
  magic: Uint8Array.of(0xf9, 0xbe, 0xb4, 0xd9),
  genesisHash: '000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f',
  maxTarget: (1n << 224n) - 1n,
  // Two hours, the most that a header may be ahead of its time, after block 481,824 activated BIP 141.
  witnessFromSeconds: 1_503_539_857 + 7_200,
}

const witnessCommitmentPrefix = Buffer.from('6a24aa21a9ed', 'hex')

/**
 * Bitcoin's rules as far as a run of blocks alone allows to check them: the hash is the double SHA-256
 * of the header, the header names the block below, has done the work that its bits ask for, and commits
 * to every byte of every transaction (Merkle root, witness commitment).
 *
 * Not checked, for it needs the coins or the headers before: what transactions spend, what the miner
 * earns, and whether the bits are those that the difficulty rule asks for. Whoever can mine at the lowest
 * difficulty can forge such a chain; a node that must not be fooled adds a recent checkpoint or `validate`.
 */
export function bitcoinChainRules(
  genesis: ChainAnchor,
  network: BitcoinNetwork = bitcoinMainnet,
): ChainRules {
  return {
    chainId: network.chainId,
    genesis,
    maxBlockBytes,
    checkIntegrity: (block) => checkBitcoinBlock(block, network),
  }
}

/** Whether a block is what its hash says. Bounded by the length of the payload. */
export function checkBitcoinBlock(
  { hash, previousHash, payload }: Block,
  network: BitcoinNetwork,
): Verdict {
  if (payload.length < minBlockBytes) return bad(`a block of ${payload.length} bytes`)
  if (blockHash(payload) !== hash) return bad('the hash is not that of the header')
  try {
    const block = parseBitcoinBlock(payload)
    if (displayHash(block.header.previousHash) !== previousHash) {
      return bad('the header names another previous hash')
    }
    return (
      checkProofOfWork(block.header, hash, network) ??
      checkMerkleRoot(block) ??
      checkWitness(block, network) ?? { ok: true }
    )
  } catch (error) {
    if (error instanceof BitcoinFormatError) return bad(error.message)
    throw error
  }
}

/** The number of hashes that it takes on average to get below the target (Bitcoin Core: GetBlockProof). */
export function workOf({ bits }: BitcoinHeader): bigint {
  const target = targetOfBits(bits)
  return target === undefined ? 0n : (1n << 256n) / (target + 1n)
}

/**
 * The target that compact bits stand for: a base-256 floating-point number with a sign bit. Undefined
 * when it is zero, negative or does not fit into 256 bits.
 */
export function targetOfBits(bits: number): bigint | undefined {
  const exponent = bits >>> 24
  const mantissa = bits & 0x7f_ffff
  const isNegative = (bits & 0x80_0000) !== 0
  if (isNegative && mantissa !== 0) return undefined
  const target =
    exponent <= 3
      ? BigInt(mantissa >>> (8 * (3 - exponent)))
      : BigInt(mantissa) << BigInt(8 * (exponent - 3))
  return target === 0n || target >= 1n << 256n ? undefined : target
}

/** The Merkle root of some hashes; undefined when a level repeats a pair of equal hashes. */
export function merkleRoot(hashes: readonly Uint8Array[]): Uint8Array | undefined {
  let level = hashes
  while (level.length > 1) {
    const above: Uint8Array[] = []
    for (let index = 0; index < level.length; index += 2) {
      const left = level[index]!
      const right = level[index + 1]
      // An odd one is paired with itself, so a list that repeats its end has the same root
      // (CVE-2012-2459). No two transactions of a block are equal, so equal neighbours show it.
      if (right !== undefined && Buffer.compare(left, right) === 0) return undefined
      above.push(doubleSha256(left, right ?? left))
    }
    level = above
  }
  return level[0]
}

function checkProofOfWork(
  { bits }: BitcoinHeader,
  hash: string,
  { maxTarget }: BitcoinNetwork,
): Verdict | undefined {
  const target = targetOfBits(bits)
  const spelled = `0x${bits.toString(16).padStart(8, '0')}`
  if (target === undefined) return bad(`the bits ${spelled} are no target`)
  if (target > maxTarget) return bad(`the bits ${spelled} ask for less work than the network does`)
  if (BigInt(`0x${hash}`) > target)
    return bad(`the hash is above the target of its bits ${spelled}`)
  return undefined
}

function checkMerkleRoot({ header, transactions }: BitcoinBlock): Verdict | undefined {
  // An inner node of the tree has 64 bytes and could pose as a transaction, but not as the coinbase.
  const [coinbase, ...others] = transactions
  if (coinbase?.isCoinbase !== true) return bad('the first transaction is not the coinbase')
  if (others.some(({ isCoinbase }) => isCoinbase)) return bad('there is a second coinbase')
  const root = merkleRoot(transactions.map(({ txid }) => txid))
  if (root === undefined) return bad('the transactions repeat, which the Merkle root does not show')
  if (Buffer.compare(root, header.merkleRoot) !== 0) {
    return bad('the Merkle root is not that of the transactions')
  }
  return undefined
}

/**
 * The Merkle root does not cover witnesses; an output of the coinbase does (BIP 141). Without this
 * check two payloads would have one hash. Blocks mined before segregated witness was active may make
 * the commitment without carrying what it is opened with.
 */
function checkWitness(
  { header, transactions }: BitcoinBlock,
  { witnessFromSeconds }: BitcoinNetwork,
): Verdict | undefined {
  const coinbase = transactions[0]!
  const hasWitness = transactions.some((transaction) => transaction.hasWitness)
  const commitment = witnessCommitment(coinbase)
  if (commitment === undefined) {
    return hasWitness ? bad('there are witnesses that the coinbase does not commit to') : undefined
  }
  if (!hasWitness && header.timeSeconds < witnessFromSeconds) return undefined
  const [reserved, ...more] = coinbase.firstWitness
  if (reserved?.length !== 32 || more.length > 0) {
    return bad('the coinbase has no witness of 32 bytes that opens its commitment')
  }
  const wtxids = transactions.map(({ wtxid }, index) => (index === 0 ? new Uint8Array(32) : wtxid))
  const root = merkleRoot(wtxids)
  if (root === undefined || Buffer.compare(doubleSha256(root, reserved), commitment) !== 0) {
    return bad('the witnesses are not those that the coinbase commits to')
  }
  return undefined
}

/** When several outputs look like a commitment, the last one is it. */
const witnessCommitment = ({ outputScripts }: BitcoinTransaction): Uint8Array | undefined =>
  outputScripts
    .findLast(
      (script) => script.length >= 38 && witnessCommitmentPrefix.equals(script.subarray(0, 6)),
    )
    ?.subarray(6, 38)

const bad = (reason: string): Verdict => ({ ok: false, reason })
