export { createNode, Node } from './node.js'
export type { ChainOptions, NodeEvents, NodeOptions, NodeStatus } from './node.js'

export { PeerRegistry } from './peer-registry.js'
export type {
  Ban,
  PeerFailure,
  PeerFilter,
  PeerIdentity,
  PeerInfo,
  PeerRegistryOptions,
  PeerSource,
  RestoreResult,
} from './peer-registry.js'

export { PeerExchange } from './peer-exchange.js'
export type { PeerExchangeEvents, PeerExchangeOptions } from './peer-exchange.js'
export { defaultPeerExchangeLimits } from './rules/peer-exchange.js'
export type { PeerExchangeLimits } from './rules/peer-exchange.js'

export { PeerMemory } from './peer-memory.js'
export type { PeerMemoryEvents, PeerMemoryOptions } from './peer-memory.js'

export { AccessLists } from './access-lists.js'
export { ConnectionManager } from './connection-manager.js'
export type { ConnectionEvents, ConnectionStatus, RunState } from './connection-manager.js'
export { defaultConnectionLimits } from './connection/connection-options.js'
export type {
  ConnectionManagerLimits,
  ConnectionManagerOptions,
} from './connection/connection-options.js'
export type { MisbehavedEvent } from './connection/conduct.js'
export type { HandlerResult, MessageHandler } from './connection/app-handlers.js'

export { defaultPingLimits, PingMonitor } from './ping-monitor.js'
export type { PingEvents, PingMonitorOptions, PingStats } from './ping-monitor.js'
export type { PingLimits } from './rules/ping-schedule.js'

export { SyncCoordinator } from './sync-coordinator.js'
export type {
  Bottleneck,
  StallReason,
  SyncCoordinatorOptions,
  SyncEvents,
  SyncPeerState,
  SyncPhase,
  SyncProgress,
} from './sync-coordinator.js'

export { MemoryBlockStore } from './adapters/memory-block-store.js'
/** The rules of the BlockStore contract that need no disk, for a store of one's own. */
export * as blockStoreChecks from './adapters/block-store-checks.js'

export type { StartOptions } from './lifecycle.js'
export { HoldfastError } from './errors.js'
export type { HoldfastErrorCode, HoldfastErrorDetails } from './errors.js'
export type { Health } from './rules/health.js'
export { describeReason, isTransient } from './rules/close-reasons.js'
export { comparePeerIps, formatEndpoint, parsePeerAddress, parsePeerIp } from './rules/peer-ip.js'
export type { PeerAddress, PeerIp } from './rules/peer-ip.js'
export type { CommonEvents, EventMap, EventSource, ListenerErrorInfo } from './events.js'

export type { Authorize, AuthorizeAnswer, PendingConnection } from './contracts/authorize.js'
export type { Block, BlockRef, BlockStore, RangeLimits } from './contracts/block-store.js'
export type {
  ChainAnchor,
  ChainRules,
  ChainTip,
  ValidationContext,
  Verdict,
} from './contracts/chain-rules.js'
export type { Clock, Timer } from './contracts/clock.js'
export type { ClosedBy, CloseReason, CloseReasonKind } from './contracts/close-reason.js'
export type {
  Direction,
  Peer,
  PeerHello,
  PeerService,
  PongEvent,
  RoundTrip,
  ServiceMessage,
  ServicePeer,
} from './contracts/peer-service.js'
export type {
  BanRecord,
  LoadedPeers,
  PeerRecord,
  PeerStore,
  RegistrySnapshot,
} from './contracts/peer-store.js'
export type * from './contracts/exchange-messages.js'
export type { Random } from './contracts/random.js'
export type {
  ConnectionSecurity,
  SecurityFailure,
  SecurityFailureKind,
} from './contracts/security.js'
export type * from './contracts/sync-messages.js'
export type {
  Connection,
  ConnectionHandlers,
  Endpoint,
  Listener,
  ListenOptions,
  Transport,
} from './contracts/transport.js'
