export { filePeerStore } from './file-peer-store.js'
export { FlatFileBlockStore } from './flat-file-block-store.js'
export type {
  FlatFileBlockStoreOptions,
  FlatFileRepair,
  FsyncPolicy,
} from './flat-file-block-store.js'
