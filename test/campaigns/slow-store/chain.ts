import type { TestChainOptions } from 'holdfast/testing'

export const network = 'slow-store'
export const blockBytes = 20_000

export const chainOptions = (blocks: number): TestChainOptions => ({ length: blocks, blockBytes })
