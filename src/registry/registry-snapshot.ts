import type { PeerRecord, RegistrySnapshot } from '../contracts/peer-store.js'
import { HoldfastError } from '../errors.js'
import type { Ban } from '../rules/bans.js'
import { evictionRank } from '../rules/known-peers.js'
import { tryParsePeerAddress, tryParsePeerIp, type PeerIp } from '../rules/peer-ip.js'
import { peerSources, type PeerEntry, type PeerSource } from './peer-entry.js'

export interface ReadPeer extends PeerRecord {
  readonly ip: PeerIp
  readonly source: PeerSource
}

/** What a snapshot says that makes sense; every time in it is in the past. */
export interface ReadSnapshot {
  readonly peers: readonly ReadPeer[]
  readonly bans: readonly { readonly ip: PeerIp; readonly ban: Ban }[]
  /** Entries that are not what they should be. */
  readonly damaged: number
}

/** Texts of others, failures and reasons, are cut to this length. */
const maxTextLength = 512

/** What is known, as plain data. A peer that is connected was last seen now. */
export function takeSnapshot(
  entries: Iterable<PeerEntry>,
  bans: ReadonlyMap<PeerIp, Ban>,
  nowUnixMs: number,
): RegistrySnapshot {
  return {
    version: 1,
    savedAtUnixMs: nowUnixMs,
    peers: Array.from(entries, (entry) => recordOf(entry, nowUnixMs)),
    bans: Array.from(bans, ([ip, ban]) => ({ ip, ...ban })),
  }
}

/**
 * Reads a snapshot that may have been anywhere in between. Throws HoldfastError SNAPSHOT_INVALID for
 * what is none, or one of another version; entries that make no sense are counted and left out.
 */
export function readSnapshot(value: unknown, nowUnixMs: number): ReadSnapshot {
  const snapshot = asObject(value)
  const { version, peers, bans } = snapshot ?? {}
  if (version !== 1 || !Array.isArray(peers) || !Array.isArray(bans)) {
    const what = typeof version === 'number' ? `of version ${version}` : 'not a snapshot'
    throw new HoldfastError('SNAPSHOT_INVALID', `not a registry's snapshot of version 1: ${what}`)
  }
  const readPeers = peers.map((peer: unknown) => readPeer(asObject(peer), nowUnixMs))
  const readBans = bans.map((ban: unknown) => readBan(asObject(ban)))
  const whole = readPeers.filter((peer) => peer !== undefined)
  const wholeBans = readBans.filter((ban) => ban !== undefined)
  const damaged = peers.length - whole.length + (bans.length - wholeBans.length)
  return { peers: whole, bans: wholeBans, damaged }
}

/** Whom to take first when there is not room for all: the last to make room. */
export function rankPeers(
  peers: readonly ReadPeer[],
  isBanned: (ip: PeerIp) => boolean,
): readonly ReadPeer[] {
  const ranked = peers.map((peer) => ({
    peer,
    rank: evictionRank({
      isKept: false,
      isOpen: false,
      isBanned: isBanned(peer.ip),
      isHearsay: peer.source === 'exchange' && peer.timesConnected === 0,
      timesConnected: peer.timesConnected,
      failures: 0,
      seenUnixMs: peer.lastSeenUnixMs ?? peer.firstSeenUnixMs,
    }),
  }))
  return ranked.sort((a, b) => b.rank - a.rank).map(({ peer }) => peer)
}

function recordOf(entry: PeerEntry, nowUnixMs: number): PeerRecord {
  const { host, configuredPort, toldPort, source, firstSeenUnixMs, lastFailure } = entry
  const lastSeenUnixMs = entry.isConnected ? nowUnixMs : entry.lastSeenUnixMs
  return {
    host,
    ...(configuredPort !== undefined && { port: configuredPort }),
    ...(toldPort !== undefined && { toldPort }),
    source,
    firstSeenUnixMs,
    ...(lastSeenUnixMs !== undefined && { lastSeenUnixMs }),
    timesConnected: entry.timesConnected,
    ...(lastFailure !== undefined && { lastFailure }),
  }
}

type Fields = Readonly<Record<string, unknown>>

function readPeer(fields: Fields | undefined, nowUnixMs: number): ReadPeer | undefined {
  const address = tryParsePeerAddress(fields?.['host'])
  const source = peerSources.find((known) => known === fields?.['source'])
  const firstSeenUnixMs = readTime(fields?.['firstSeenUnixMs'], nowUnixMs)
  const timesConnected = fields?.['timesConnected']
  if (fields === undefined || address === undefined || address.port !== undefined) return undefined
  if (source === undefined || firstSeenUnixMs === undefined) return undefined
  if (!isCount(timesConnected)) return undefined
  const { port, toldPort } = fields
  if (!isPortOrNone(port) || !isPortOrNone(toldPort)) return undefined
  const lastSeenUnixMs = readTime(fields['lastSeenUnixMs'], nowUnixMs)
  const failure = asObject(fields['lastFailure'])
  const atUnixMs = readTime(failure?.['atUnixMs'], nowUnixMs)
  const text = failure?.['text']
  return {
    ip: address.ip,
    host: address.host,
    ...(port !== undefined && { port }),
    ...(toldPort !== undefined && { toldPort }),
    // Whether it is kept is for the configuration to say.
    source: source === 'kept' ? 'added' : source,
    firstSeenUnixMs,
    ...(lastSeenUnixMs !== undefined && { lastSeenUnixMs }),
    timesConnected,
    ...(atUnixMs !== undefined &&
      typeof text === 'string' && {
        lastFailure: { text: text.slice(0, maxTextLength), atUnixMs },
      }),
  }
}

/** Its times are judged when it is taken: a ban keeps its length when the clock was wrong. */
function readBan(
  fields: Fields | undefined,
): { readonly ip: PeerIp; readonly ban: Ban } | undefined {
  const ip = tryParsePeerIp(fields?.['ip'])
  const reason = fields?.['reason']
  const sinceUnixMs = readTime(fields?.['sinceUnixMs'], Infinity)
  const untilUnixMs = readTime(fields?.['untilUnixMs'], Infinity)
  if (ip === undefined || typeof reason !== 'string') return undefined
  if (sinceUnixMs === undefined || untilUnixMs === undefined) return undefined
  const ban: Ban = { reason: reason.slice(0, maxTextLength), sinceUnixMs, untilUnixMs }
  return untilUnixMs > sinceUnixMs ? { ip, ban } : undefined
}

function asObject(value: unknown): Fields | undefined {
  return typeof value === 'object' && value !== null ? (value as Fields) : undefined
}

/** A time of the wall clock; one in the future is now. */
function readTime(value: unknown, nowUnixMs: number): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0
    ? Math.min(value, nowUnixMs)
    : undefined
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

function isPortOrNone(value: unknown): value is number | undefined {
  return value === undefined || (isCount(value) && value >= 1 && value <= 65_535)
}
