import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { HoldfastError } from 'holdfast'
import { maxFileBytes, readBitcoinBlockFile } from '../../examples/demo/bitcoin-block-file.js'
import type { BitcoinBlockFile } from '../../examples/demo/bitcoin-block-file.js'
import { blockHash } from '../../examples/demo/bitcoin-block.js'
import { bitcoinChainRules, bitcoinMainnet } from '../../examples/demo/bitcoin-chain-rules.js'
import {
  block,
  blocksOnTop,
  coinbase,
  mainnetGenesis,
  record,
  regtest,
  regtestGenesis,
  uint32,
  witnessBlock,
} from './support/bitcoin-builder.js'

const genesis = regtestGenesis()
const chain = [genesis, ...blocksOnTop(regtest.genesisHash, 5)]
const fileOf = (blocks: readonly Uint8Array[]): Uint8Array =>
  Buffer.concat(blocks.map((one) => record(one)))

const xor = (bytes: Uint8Array, key: Uint8Array): Uint8Array =>
  bytes.map((byte, index) => byte ^ key[index % key.length]!)

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'holdfast-block-file-'))
})
afterEach(async () => {
  await rm(directory, { recursive: true })
})

const write = async (bytes: Uint8Array | string, name = 'blk00000.dat'): Promise<string> => {
  const path = join(directory, name)
  await writeFile(path, bytes)
  return path
}

const read = async (bytes: Uint8Array): Promise<BitcoinBlockFile> =>
  readBitcoinBlockFile(await write(bytes), regtest)

const refusal = async (path: string, network = regtest): Promise<string> => {
  const error: unknown = await readBitcoinBlockFile(path, network).catch(
    (reason: unknown) => reason,
  )
  if (!HoldfastError.is(error, 'FILE_INVALID')) throw new Error('not refused', { cause: error })
  expect(error.message.startsWith(directory)).toBe(true)
  return error.message.slice(directory.length + 1)
}

const refusalOf = async (bytes: Uint8Array | string): Promise<string> => refusal(await write(bytes))

const heights = ({ blocks }: BitcoinBlockFile): number[] => blocks.map(({ height }) => height)
const hashes = ({ blocks }: BitcoinBlockFile): string[] => blocks.map(({ hash }) => hash)
const nothingLeftOut = { duplicates: 0, stale: 0, unlinked: 0 }

describe('where a chain begins', () => {
  test('a file with the genesis block begins there, at height 0', async () => {
    const file = await read(fileOf(chain))
    expect(file).toMatchObject({
      anchor: { kind: 'hash', ref: { height: 0, hash: regtest.genesisHash } },
      hasTrueHeights: true,
      isObfuscated: false,
      leftOut: nothingLeftOut,
    })
    expect(heights(file)).toEqual([0, 1, 2, 3, 4, 5])
    expect(hashes(file)).toEqual(chain.map(blockHash))
    for (const [index, { payload }] of file.blocks.entries()) {
      expect(Buffer.compare(payload, chain[index]!)).toBe(0)
    }
  })

  test('a file with the child of genesis begins at height 1, with genesis as checkpoint', async () => {
    const file = await read(fileOf(chain.slice(1)))
    expect(file.anchor).toEqual({
      kind: 'checkpoint',
      ref: { height: 0, hash: regtest.genesisHash },
    })
    expect(file.hasTrueHeights).toBe(true)
    expect(heights(file)).toEqual([1, 2, 3, 4, 5])
  })

  test('a file from the middle begins at its first block, and does not pretend to know its height', async () => {
    const file = await read(fileOf(chain.slice(3)))
    expect(file.anchor).toEqual({
      kind: 'checkpoint',
      ref: { height: 0, hash: blockHash(chain[2]!) },
    })
    expect(file.hasTrueHeights).toBe(false)
    expect(heights(file)).toEqual([1, 2, 3])
  })

  test('what is read passes the rules, and each block links to the one before', async () => {
    const file = await read(fileOf([...chain, witnessBlock(blockHash(chain.at(-1)!)).bytes]))
    const rules = bitcoinChainRules(file.anchor, regtest)
    expect(file.blocks.length).toBe(7)
    for (const [index, one] of file.blocks.entries()) {
      expect(rules.checkIntegrity(one)).toEqual({ ok: true })
      expect(one.previousHash).toBe(file.blocks[index - 1]?.hash ?? '0'.repeat(64))
    }
  })

  test('the genesis block of main net alone is a chain', async () => {
    const path = await write(record(mainnetGenesis(), bitcoinMainnet.magic))
    const { blocks } = await readBitcoinBlockFile(path)
    expect(blocks).toMatchObject([{ height: 0, hash: bitcoinMainnet.genesisHash }])
  })
})

describe('the order of blocks', () => {
  test('any order gives the same chain', async () => {
    const file = await read(fileOf([4, 1, 5, 0, 3, 2].map((index) => chain[index]!)))
    expect(hashes(file)).toEqual(chain.map(blockHash))
    expect(file.leftOut).toEqual(nothingLeftOut)
  })

  test('copies of a block count once', async () => {
    const file = await read(fileOf([...chain, chain[2]!, chain[2]!, chain[0]!]))
    expect(hashes(file)).toEqual(chain.map(blockHash))
    expect(file.leftOut).toEqual({ ...nothingLeftOut, duplicates: 3 })
  })

  test('of two branches the longer one is the chain', async () => {
    const branch = blocksOnTop(blockHash(chain[2]!), 4, 7)
    const file = await read(fileOf([...chain, ...branch]))
    expect(hashes(file)).toEqual([...chain.slice(0, 3), ...branch].map(blockHash))
    expect(file.leftOut).toEqual({ ...nothingLeftOut, stale: 3 })
  })

  test('of two branches of equal work the one whose tip came first is the chain', async () => {
    const branch = blocksOnTop(blockHash(chain[2]!), 3, 7)
    const file = await read(fileOf([...chain, ...branch]))
    expect(hashes(file)).toEqual(chain.map(blockHash))
  })

  test('work counts, not length', async () => {
    const parent = blockHash(chain[1]!)
    const hard = block({ previousHash: parent, transactions: [coinbase(99)], bits: 0x1f7fffff })
    const file = await read(fileOf([...chain, hard]))
    expect(hashes(file)).toEqual([chain[0]!, chain[1]!, hard].map(blockHash))
    expect(file.leftOut).toEqual({ ...nothingLeftOut, stale: 4 })
  })

  test('blocks that do not link to genesis are left out, even when they are more', async () => {
    const elsewhere = blocksOnTop('ab'.repeat(32), 9)
    const file = await read(fileOf([...elsewhere, ...chain]))
    expect(hashes(file)).toEqual(chain.map(blockHash))
    expect(file.leftOut).toEqual({ ...nothingLeftOut, unlinked: 9 })
  })

  test('a file from the middle with holes gives its longest run', async () => {
    const [short, long] = [blocksOnTop('ab'.repeat(32), 2), blocksOnTop('cd'.repeat(32), 3)]
    const file = await read(fileOf([...short, ...long]))
    expect(hashes(file)).toEqual(long.map(blockHash))
    expect(file).toMatchObject({
      hasTrueHeights: false,
      leftOut: { duplicates: 0, stale: 0, unlinked: 2 },
    })
  })

  test('two first blocks on one missing parent are branches of one chain', async () => {
    const parent = 'ab'.repeat(32)
    const [short, long] = [blocksOnTop(parent, 1, 1), blocksOnTop(parent, 2, 2)]
    const file = await read(fileOf([...short, ...long]))
    expect(hashes(file)).toEqual(long.map(blockHash))
    expect(file.leftOut).toEqual({ ...nothingLeftOut, stale: 1 })
  })
})

describe('padding', () => {
  const zeros = Buffer.alloc(1000)

  test.each([
    ['at the end', [fileOf(chain), zeros]],
    ['at the beginning', [zeros, fileOf(chain)]],
    ['in the middle', [fileOf(chain.slice(0, 2)), zeros, fileOf(chain.slice(2))]],
    ['of three bytes', [fileOf(chain.slice(0, 2)), Buffer.alloc(3), fileOf(chain.slice(2))]],
  ])('zeros %s are skipped', async (_, parts) => {
    expect(hashes(await read(Buffer.concat(parts)))).toEqual(chain.map(blockHash))
  })

  test('an empty file and one of zeros hold no block', async () => {
    expect(await refusalOf('')).toBe('blk00000.dat: holds no block: it is empty')
    expect(await refusalOf(zeros)).toBe('blk00000.dat: holds no block: all its 1000 bytes are zero')
  })
})

describe('a file that is cut short', () => {
  const bytes = fileOf(chain)
  const lastAt = bytes.length - chain[5]!.length - 8

  test.each([
    ['the magic before a block', lastAt + 1, lastAt, 4, 1],
    ['the magic before a block', lastAt + 3, lastAt, 4, 3],
    ['the length of a block', lastAt + 4, lastAt + 4, 4, 0],
    ['the length of a block', lastAt + 7, lastAt + 4, 4, 3],
    ['a block', lastAt + 8, lastAt + 8, chain[5]!.length, 0],
    ['a block', bytes.length - 1, lastAt + 8, chain[5]!.length, chain[5]!.length - 1],
  ])('inside %s (%i bytes left)', async (what, length, at, expected, found) => {
    expect(await refusalOf(bytes.subarray(0, length))).toBe(
      `blk00000.dat: the file ends inside ${what}: at byte ${at}, ${expected} bytes were expected, and ${found} are there`,
    )
  })

  test('at whatever byte it ends, it is refused unless it ends between two blocks', async () => {
    const ends = new Set(chain.map((_, index) => fileOf(chain.slice(0, index + 1)).length))
    const path = await write(bytes)
    for (let length = bytes.length - 1; length > 0; length -= 1) {
      await truncate(path, length)
      const whole = await readBitcoinBlockFile(path, regtest).catch((error: unknown) => {
        if (HoldfastError.is(error, 'FILE_INVALID')) return undefined
        throw error
      })
      expect(whole !== undefined).toBe(ends.has(length))
    }
  })

  test('a block of which the end was never written, only zeros, is found', async () => {
    const torn = Buffer.from(bytes).fill(0, bytes.length - 20)
    expect(await refusalOf(torn)).toContain(
      `blk00000.dat: the block of ${chain[5]!.length} bytes at byte ${lastAt + 8}: `,
    )
  })
})

describe('a file of something else', () => {
  test('says what it found, and that obfuscation is possible', async () => {
    expect(await refusalOf('%PDF-1.7 and so on')).toBe(
      'blk00000.dat: at byte 0 stands 25 50 44 46 ("%PDF"), where the magic fa bf b5 da of a block ' +
        'of bitcoin-regtest should be. If Bitcoin Core 28 or later wrote it, it may be obfuscated: ' +
        'then xor.dat must lie beside it.',
    )
  })

  test('names the network when it is another one of Bitcoin', async () => {
    expect(await refusal(await write(fileOf(chain)), bitcoinMainnet)).toBe(
      'blk00000.dat: at byte 0 stands fa bf b5 da, with which blocks of regtest begin, where the ' +
        'magic f9 be b4 d9 of a block of bitcoin-mainnet should be',
    )
  })

  test('foreign bytes after a block are found where they are', async () => {
    const [first] = chain
    const message = await refusalOf(Buffer.concat([record(first!), Buffer.from('junk')]))
    expect(message).toMatch(
      new RegExp(
        `at byte ${first!.length + 8} stands 6a 75 6e 6b \\("junk"\\), where .* should be$`,
      ),
    )
  })

  test.each([0, 80, 4_000_001, 0xffff_ffff])('a length of %i bytes is no block', async (length) => {
    const bytes = Buffer.concat([regtest.magic, uint32(length), Buffer.alloc(100)])
    expect(await refusalOf(bytes)).toBe(
      `blk00000.dat: at byte 4 a block says that it has ${length} bytes; blocks have 81 to 4000000`,
    )
  })

  test('a damaged block is named with its place', async () => {
    const bytes = Buffer.from(fileOf(chain))
    bytes[bytes.length - 1]! ^= 1
    const at = bytes.length - chain[5]!.length
    expect(await refusalOf(bytes)).toBe(
      `blk00000.dat: the block of ${chain[5]!.length} bytes at byte ${at}: the Merkle root is not that of the transactions`,
    )
  })

  test('what cannot be read is named', async () => {
    expect(await refusal(join(directory, 'none.dat'))).toBe('none.dat: cannot be read (ENOENT)')
    await mkdir(join(directory, 'folder'))
    expect(await refusal(join(directory, 'folder'))).toBe('folder: is not a file')
  })

  test('a file that is larger than any is refused before it is read', async () => {
    const path = await write('')
    await truncate(path, maxFileBytes + 1)
    expect(await refusal(path)).toContain(`has ${maxFileBytes + 1} bytes`)
  })
})

describe('an obfuscated file', () => {
  const key = Uint8Array.of(0x12, 0x00, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf1)

  test('is read with the key in xor.dat', async () => {
    await write(key, 'xor.dat')
    const file = await read(xor(fileOf(chain), key))
    expect(file.isObfuscated).toBe(true)
    expect(hashes(file)).toEqual(chain.map(blockHash))
  })

  test('has padding that no key was put on', async () => {
    await write(key, 'xor.dat')
    const half = fileOf(chain.slice(0, 3))
    const whole = xor(Buffer.concat([half, Buffer.alloc(77), fileOf(chain.slice(3))]), key)
    whole.fill(0, half.length, half.length + 77)
    const file = await read(Buffer.concat([whole, Buffer.alloc(1000)]))
    expect(hashes(file)).toEqual(chain.map(blockHash))
  })

  test('is read although its magic begins with zeros under the key', async () => {
    const unlucky = Uint8Array.of(...regtest.magic.subarray(0, 2), 1, 2, 3, 4, 5, 6)
    await write(unlucky, 'xor.dat')
    expect(hashes(await read(xor(fileOf(chain), unlucky)))).toEqual(chain.map(blockHash))
  })

  test('is refused without its key, naming the possibility', async () => {
    expect(await refusalOf(xor(fileOf(chain), key))).toContain('xor.dat must lie beside it')
  })

  test('is refused with another key', async () => {
    await write(Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8), 'xor.dat')
    expect(await refusalOf(xor(fileOf(chain), key))).toMatch(
      /^blk00000.dat: at byte 0 stands e8 bf e3 a2, where .* The key of the xor.dat beside it does not help.$/,
    )
  })

  test('a plain file beside a key is read as it is', async () => {
    await write(key, 'xor.dat')
    const file = await read(fileOf(chain))
    expect(file.isObfuscated).toBe(false)
    expect(hashes(file)).toEqual(chain.map(blockHash))
  })

  test('a key of zeros is none', async () => {
    await write(new Uint8Array(8), 'xor.dat')
    expect((await read(fileOf(chain))).isObfuscated).toBe(false)
    expect(await refusalOf('junk')).toContain('it may be obfuscated')
  })

  test('a key of another length is refused', async () => {
    await write(key.subarray(1), 'xor.dat')
    expect(await refusalOf(fileOf(chain))).toBe('xor.dat: a key has 8 bytes, and this one has 7')
  })

  test('cut short, it says so with the same offsets', async () => {
    await write(key, 'xor.dat')
    const bytes = xor(record(genesis), key)
    expect(await refusalOf(bytes.subarray(0, 200))).toBe(
      `blk00000.dat: the file ends inside a block: at byte 8, ${genesis.length} bytes were expected, and 192 are there`,
    )
  })
})

// Real blocks are not part of this project: the test runs where they lie beside it.
const realBlocks = fileURLToPath(
  new URL('../../../shared/data/bitcoin-blocks-1-256.dat', import.meta.url),
)

describe.skipIf(!existsSync(realBlocks))(
  'the first real blocks, where bitcoin-blocks-1-256.dat is at hand (skipped elsewhere)',
  () => {
    test('all 255 are one chain on top of the genesis block', async () => {
      const file = await readBitcoinBlockFile(realBlocks)
      expect(file).toMatchObject({
        anchor: { kind: 'checkpoint', ref: { height: 0, hash: bitcoinMainnet.genesisHash } },
        hasTrueHeights: true,
        leftOut: nothingLeftOut,
      })
      expect(heights(file)).toEqual(Array.from({ length: 255 }, (_, index) => index + 1))
      // Block 170 holds the first payment from one person to another.
      expect(hashes(file)[169]).toBe(
        '00000000d1145790a8694403d4063f323d499e655c83426834d4ce2f8dd4a2ee',
      )
    })
  },
)
