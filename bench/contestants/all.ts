import type { Contestant, ContestantName } from './contestant.js'

/** Loads the contestant alone: what the others need may not be installed. */
export async function contestant(name: ContestantName): Promise<Contestant> {
  switch (name) {
    case 'raw':
      return (await import('./raw.js')).raw
    case 'holdfast':
      return (await import('./holdfast.js')).holdfast
    case 'ws':
      return (await import('./ws.js')).ws
    case 'libp2p-noise':
      return (await import('./libp2p.js')).libp2p('noise')
    case 'libp2p-plaintext':
      return (await import('./libp2p.js')).libp2p('plaintext')
    case 'hyperdht':
      return (await import('./hyperdht.js')).hyperdht
  }
}
