import {
  ConnectionManager,
  createNode,
  MemoryBlockStore,
  PeerRegistry,
  PingMonitor,
  SyncCoordinator,
} from 'holdfast'
import { LevelBlockStore } from 'holdfast/level'
import { memoryNetwork } from 'holdfast/memory'
import { tcpTransport } from 'holdfast/tcp'
import { tlsTransport } from 'holdfast/tls'
import * as testing from 'holdfast/testing'
import { exercise } from './exercise.cjs'

await exercise(
  { ConnectionManager, createNode, MemoryBlockStore, PeerRegistry, PingMonitor, SyncCoordinator },
  { LevelBlockStore, memoryNetwork, tcpTransport, tlsTransport, testing },
)
