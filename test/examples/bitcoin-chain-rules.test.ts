import { fc, test } from '@fast-check/vitest'
import { describe, expect } from 'vitest'
import type { Block } from 'holdfast'
import {
  blockHash,
  displayHash,
  doubleSha256,
  parseBitcoinBlock,
} from '../../examples/demo/bitcoin-block.js'
import {
  bitcoinChainRules,
  bitcoinMainnet,
  checkBitcoinBlock,
  merkleRoot,
  targetOfBits,
  workOf,
} from '../../examples/demo/bitcoin-chain-rules.js'
import {
  block,
  blocksOnTop,
  coinbase,
  mainnetGenesis,
  regtest,
  regtestGenesis,
  transaction,
  uint32,
  witnessBlock,
} from './support/bitcoin-builder.js'

const asBlock = (payload: Uint8Array): Block => ({
  height: 1,
  hash: blockHash(payload),
  previousHash: displayHash(payload.subarray(4, 36)),
  payload,
})

const check = (payload: Uint8Array, network = regtest) =>
  checkBitcoinBlock(asBlock(payload), network)

const reasonOf = (payload: Uint8Array, network = regtest): string => {
  const verdict = check(payload, network)
  return verdict.ok ? 'ok' : verdict.reason
}

const parent = 'ab'.repeat(32)

const spending = (tag: number): Uint8Array =>
  transaction(
    [{ txid: Buffer.alloc(32, tag), script: Buffer.alloc(20, tag) }],
    [{ script: Buffer.alloc(25, tag) }],
  )

const withCoinbase = (...tags: number[]): Uint8Array[] => [coinbase(0), ...tags.map(spending)]

describe('a Bitcoin block', () => {
  test('the genesis blocks of main net and regtest have their well-known hashes', () => {
    const genesis = mainnetGenesis()
    expect(genesis.length).toBe(285)
    expect(blockHash(genesis)).toBe(bitcoinMainnet.genesisHash)
    expect(check(genesis, bitcoinMainnet)).toEqual({ ok: true })
    expect(blockHash(regtestGenesis())).toBe(regtest.genesisHash)
    expect(check(regtestGenesis())).toEqual({ ok: true })
  })

  test('the coinbase of the genesis block has its well-known txid', () => {
    const [first] = parseBitcoinBlock(mainnetGenesis()).transactions
    expect(displayHash(first!.txid)).toBe(
      '4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b',
    )
    expect(first).toMatchObject({ isCoinbase: true, hasWitness: false, wtxid: first!.txid })
  })

  test.each([1, 2, 3, 4, 5, 7, 8])('one of %i transactions passes', (count) => {
    const tags = Array.from({ length: count - 1 }, (_, index) => index + 1)
    expect(reasonOf(block({ previousHash: parent, transactions: withCoinbase(...tags) }))).toBe(
      'ok',
    )
  })

  test('a number of transactions that needs three bytes is read', () => {
    const tags = Array.from({ length: 299 }, (_, index) => index)
    const transactions = [
      coinbase(0),
      ...tags.map((tag) =>
        transaction([{ txid: Buffer.alloc(32, 1), index: tag }], [{ script: Buffer.alloc(300) }]),
      ),
    ]
    expect(reasonOf(block({ previousHash: parent, transactions }))).toBe('ok')
  })

  test('the hash must be that of the header', () => {
    const [payload] = blocksOnTop(parent, 1)
    const rules = bitcoinChainRules({ kind: 'hash', ref: { height: 0, hash: parent } }, regtest)
    expect(rules.checkIntegrity(asBlock(payload!))).toEqual({ ok: true })
    expect(rules.checkIntegrity({ ...asBlock(payload!), hash: parent })).toEqual({
      ok: false,
      reason: 'the hash is not that of the header',
    })
  })

  test('the header must name the previous hash', () => {
    const [payload] = blocksOnTop(parent, 1)
    const linkedElsewhere = { ...asBlock(payload!), previousHash: 'cd'.repeat(32) }
    expect(checkBitcoinBlock(linkedElsewhere, regtest)).toEqual({
      ok: false,
      reason: 'the header names another previous hash',
    })
  })

  test('the Merkle root must be that of the transactions', () => {
    const transactions = withCoinbase(1, 2)
    const root = merkleRoot([...transactions].reverse().map((one) => doubleSha256(one)))!
    expect(reasonOf(block({ previousHash: parent, transactions, merkleRoot: root }))).toBe(
      'the Merkle root is not that of the transactions',
    )
  })

  test('transactions repeated at the end, which leave the Merkle root as it is, are found (CVE-2012-2459)', () => {
    const transactions = withCoinbase(1, 2)
    const sound = block({ previousHash: parent, transactions })
    const repeated = [...transactions, transactions[2]!]
    expect(merkleRoot(transactions.map((one) => doubleSha256(one)))).toBeDefined()
    const mutated = Buffer.concat([sound.subarray(0, 80), Uint8Array.of(4), ...repeated])
    expect(blockHash(mutated)).toBe(blockHash(sound))
    expect(reasonOf(mutated)).toContain('repeat')
  })

  test('a repeated pair, one level up the tree, is found too', () => {
    const transactions = withCoinbase(1, 2, 3, 4, 5)
    const sound = block({ previousHash: parent, transactions })
    const repeated = [...transactions, ...transactions.slice(4)]
    const mutated = Buffer.concat([sound.subarray(0, 80), Uint8Array.of(8), ...repeated])
    expect(reasonOf(mutated)).toContain('repeat')
  })

  test('the first transaction is the coinbase, and the only one', () => {
    const first = block({ previousHash: parent, transactions: [spending(1)] })
    expect(reasonOf(first)).toBe('the first transaction is not the coinbase')
    const second = block({ previousHash: parent, transactions: [coinbase(1), coinbase(2)] })
    expect(reasonOf(second)).toBe('there is a second coinbase')
  })

  test('a block without transactions is none', () => {
    const payload = block({ previousHash: parent, transactions: [], merkleRoot: Buffer.alloc(32) })
    expect(reasonOf(payload)).toBe('at byte 80 of the block: a block without transactions')
  })

  test('bytes after the last transaction are found', () => {
    const payload = Buffer.concat([blocksOnTop(parent, 1)[0]!, Uint8Array.of(0, 0)])
    expect(reasonOf(payload)).toMatch(/: 2 bytes after the last transaction$/)
  })

  test('a number spelled longer than it needs is found, for no hash shows it', () => {
    const payload = blocksOnTop(parent, 1)[0]!
    const longer = Buffer.concat([
      payload.subarray(0, 80),
      Uint8Array.of(0xfd, 1, 0),
      payload.subarray(81),
    ])
    expect(blockHash(longer)).toBe(blockHash(payload))
    expect(reasonOf(longer)).toMatch(/is 1, spelled longer than it needs$/)
  })

  test.each([
    ['fe', Uint8Array.of(0xfe, 0xff, 0xff, 0xff, 0xff)],
    ['ff', Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)],
  ])('a count of transactions that cannot be (%s) is refused before any is read', (_, count) => {
    const payload = blocksOnTop(parent, 1)[0]!
    const bomb = Buffer.concat([payload.subarray(0, 80), count, payload.subarray(81)])
    expect(reasonOf(bomb)).toContain('cannot fit')
  })

  test('one that ends early is refused, wherever it ends', () => {
    const { bytes } = witnessBlock(parent)
    for (let length = 0; length < bytes.length; length++) {
      const cut = { ...asBlock(bytes), payload: bytes.subarray(0, length) }
      expect(checkBitcoinBlock(cut, regtest).ok).toBe(false)
    }
  })
})

describe('the proof of work', () => {
  test.each([
    ['main net at its easiest', 0x1d00ffff, 0xffffn << 208n],
    ['regtest', 0x207fffff, 0x7fffffn << 232n],
    ['a small exponent', 0x03123456, 0x123456n],
    ['a smaller one', 0x02123456, 0x1234n],
    ['one byte', 0x01120000, 0x12n],
    ['no mantissa', 0x04000000, undefined],
    ['a mantissa shifted out', 0x01003456, undefined],
    ['zero', 0, undefined],
    ['negative', 0x04923456, undefined],
    ['negative zero', 0x01800000, undefined],
    ['the largest that fits', 0x2200007f, 0x7fn << 248n],
    ['256 bits and more', 0x22000100, undefined],
    ['an exponent far beyond', 0xff123456, undefined],
  ])('compact bits: %s', (_, bits, target) => {
    expect(targetOfBits(bits)).toBe(target)
  })

  test('work is the number of hashes it takes', () => {
    expect(workOf(parseBitcoinBlock(mainnetGenesis()).header)).toBe(0x1_0001_0001n)
  })

  test('a hash above the target is refused', () => {
    const transactions = [coinbase(1)]
    const payloads = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map((nonce) =>
      block({ previousHash: parent, transactions, bits: 0x1f00ffff, nonce }),
    )
    for (const payload of payloads) expect(reasonOf(payload)).toContain('above the target')
  })

  test.each([
    ['easier than the network allows', 0x2100ffff, 'ask for less work'],
    ['negative', 0x1e923456, 'are no target'],
    ['zero', 0, 'are no target'],
    ['too large', 0xff00ffff, 'are no target'],
  ])('bits that are %s are refused', (_, bits, reason) => {
    const payload = block({ previousHash: parent, transactions: [coinbase(1)], bits, nonce: 0 })
    expect(reasonOf(payload)).toContain(reason)
  })

  test('what regtest allows is not enough for main net', () => {
    expect(reasonOf(blocksOnTop(parent, 1)[0]!, bitcoinMainnet)).toContain('ask for less work')
  })
})

describe('a block with witnesses', () => {
  const made = witnessBlock(parent)

  test('passes, and its txid leaves the witness out', () => {
    expect(reasonOf(made.bytes)).toBe('ok')
    const [, spend] = parseBitcoinBlock(made.bytes).transactions
    expect(spend).toMatchObject({ hasWitness: true, isCoinbase: false })
    expect(displayHash(spend!.txid)).toBe(displayHash(doubleSha256(made.strippedSpend)))
    expect(displayHash(spend!.wtxid)).toBe(displayHash(doubleSha256(made.spend)))
    expect(spend!.firstWitness.map(({ length }) => length)).toEqual([71, 33])
  })

  test('the example of BIP 143 has its txid', () => {
    // The signed native P2WPKH transaction of the BIP.
    const signed = Buffer.from(
      '01000000000102fff7f7881a8099afa6940d42d1e7f6362bec38171ea3edf433541db4e4ad969f00000000' +
        '494830450221008b9d1dc26ba6a9cb62127b02742fa9d754cd3bebf337f7a55d114c8e5cdd30be022040529b' +
        '194ba3f9281a99f2b1c0a19c0489bc22ede944ccf4ecbab4cc618ef3ed01eeffffffef51e1b804cc89d182d2' +
        '79655c3aa89e815b1b309fe287d9b2b55d57b90ec68a0100000000ffffffff02202cb206000000001976a914' +
        '8280b37df378db99f66f85c95a783a76ac7a6d5988ac9093510d000000001976a9143bde42dbee7e4dbe6a21' +
        'b2d50ce2f0167faa815988ac000247304402203609e17b84f6a7d30c80bfa610b5b4542f32a8a0d5447a12fb' +
        '1366d7f01cc44a0220573a954c4518331561406f90300e8f3358f51928d43c212a8caed02de67eebee012102' +
        '5476c2e83188368da1ff3e292e7acafcdb3566bb0ad253f62fc70f07aeee635711000000',
      'hex',
    )
    const payload = Buffer.concat([mainnetGenesis().subarray(0, 80), Uint8Array.of(1), signed])
    const [only] = parseBitcoinBlock(payload).transactions
    expect(displayHash(only!.txid)).toBe(
      'e8151a2af31c368a35053ddd4bdb285a8595c769a3ad83e0fa02314a602d4609',
    )
    expect(displayHash(only!.wtxid)).toBe(
      'c36c38370907df2324d9ce9d149d191192f338b37665a82e78e76a12c909b762',
    )
  })

  test('a changed witness is found, though no txid changes', () => {
    const changed = Buffer.from(made.bytes)
    const at = changed.indexOf(Buffer.alloc(71, 0x30))
    changed[at + 5]! ^= 1
    expect(reasonOf(changed)).toBe('the witnesses are not those that the coinbase commits to')
  })

  test('the block without its witnesses is refused, though its hash is the same', () => {
    const stripped = stripWitnesses(made.bytes)
    expect(blockHash(stripped)).toBe(blockHash(made.bytes))
    expect(reasonOf(stripped)).toBe(
      'the coinbase has no witness of 32 bytes that opens its commitment',
    )
    const beforeActivation = { ...regtest, witnessFromSeconds: 2_000_000_000 }
    expect(reasonOf(stripped, beforeActivation)).toBe('ok')
  })

  test('witnesses that nothing commits to are refused', () => {
    const pays = [{ script: Uint8Array.of(0x51) }]
    const payload = block({
      previousHash: parent,
      transactions: [coinbase(1, pays, [Buffer.alloc(32)]), made.spend],
      stripped: [coinbase(1, pays), made.strippedSpend],
    })
    expect(reasonOf(payload)).toBe('there are witnesses that the coinbase does not commit to')
  })

  test('a witness that is empty for every input is another spelling, and refused', () => {
    const plain = spending(1)
    const [version, body, lockTime] = [plain.subarray(0, 4), plain.subarray(4, -4), uint32(0)]
    const spelled = Buffer.concat([version, Uint8Array.of(0, 1), body, Uint8Array.of(0), lockTime])
    const payload = block({
      previousHash: parent,
      transactions: [coinbase(1), spelled],
      stripped: [coinbase(1), plain],
    })
    expect(reasonOf(payload)).toMatch(/a witness that is empty for every input$/)
  })

  test('a witness flag other than 1 is refused', () => {
    const changed = Buffer.from(made.bytes)
    changed[80 + 1 + 4 + 1] = 3
    expect(reasonOf(changed)).toMatch(/a witness flag of 3 instead of 1$/)
  })
})

describe('damage', () => {
  const samples = [
    mainnetGenesis(),
    witnessBlock(parent).bytes,
    block({ previousHash: parent, transactions: withCoinbase(1, 2, 3, 4, 5) }),
  ]

  test.prop([fc.nat(), fc.nat({ max: samples.length - 1 })], { numRuns: 2_000 })(
    'one flipped bit anywhere in a block is found',
    (position, sample) => {
      const sound = asBlock(samples[sample]!)
      const network = sample === 0 ? bitcoinMainnet : regtest
      const payload = Buffer.from(sound.payload)
      const bit = position % (payload.length * 8)
      payload[bit >> 3]! ^= 1 << (bit & 7)
      expect(checkBitcoinBlock({ ...sound, payload }, network).ok).toBe(false)
      expect(checkBitcoinBlock(sound, network).ok).toBe(true)
    },
  )

  test.prop([fc.nat(), fc.nat({ max: samples.length - 1 }), fc.uint8Array({ maxLength: 80 })])(
    'whatever bytes are put in the middle, the check gives a verdict and never throws',
    (position, sample, inserted) => {
      const sound = samples[sample]!
      const at = position % sound.length
      const mixed = Buffer.concat([sound.subarray(0, at), inserted, sound.subarray(at + 3)])
      expect(typeof check(mixed).ok).toBe('boolean')
    },
  )
})

/** Puts the transactions of a block made by `witnessBlock` back without their witnesses. */
function stripWitnesses(bytes: Uint8Array): Uint8Array {
  const { strippedSpend } = witnessBlock(parent)
  const { transactions } = parseBitcoinBlock(bytes)
  const pays = transactions[0]!.outputScripts.map((script, index) => ({
    script,
    ...(index === 0 ? {} : { amount: 0n }),
  }))
  return Buffer.concat([bytes.subarray(0, 80), Uint8Array.of(2), coinbase(77, pays), strippedSpend])
}
