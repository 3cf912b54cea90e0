import { Presets, SingleBar } from 'cli-progress'
import type { SyncProgress } from 'holdfast'
import { count, plural } from './report.js'

export interface ProgressView {
  update(progress: SyncProgress): void
  /** Shows the last state and leaves the line. */
  stop(): void
}

const plainIntervalMs = 1_000

/** What the text needs beside the bar, for heights and rates of five digits. */
const textColumns = 74

/** A bar that redraws itself on a terminal; elsewhere, a line a second. */
export const progressView = (out: NodeJS.WriteStream): ProgressView =>
  out.isTTY ? barOn(out) : linesOn(out)

function barOn(stream: NodeJS.WriteStream): ProgressView {
  const bar = new SingleBar(
    {
      stream,
      format: '  {bar} {text}',
      barsize: Math.max(8, Math.min(40, stream.columns - textColumns)),
      hideCursor: true,
      // Trims the line to the terminal instead of wrapping it: a wrapped one cannot be redrawn.
      linewrap: true,
    },
    Presets.shades_classic,
  )
  let isStarted = false
  return {
    update: (progress) => {
      const { height, target } = progress
      if (target === null) return
      const payload = { text: textOf(progress) }
      if (!isStarted) bar.start(target + 1, 0, payload)
      isStarted = true
      bar.setTotal(target + 1)
      bar.update((height ?? -1) + 1, payload)
    },
    stop: () => bar.stop(),
  }
}

function linesOn(out: NodeJS.WriteStream): ProgressView {
  let saidAtMs = -Infinity
  let unsaid: SyncProgress | undefined
  const say = (): void => {
    if (unsaid !== undefined) out.write(`  ${textOf(unsaid)}\n`)
    unsaid = undefined
  }
  return {
    update: (progress) => {
      if (progress.target === null) return
      unsaid = progress
      if (performance.now() - saidAtMs < plainIntervalMs) return
      saidAtMs = performance.now()
      say()
    },
    stop: say,
  }
}

/** `height 12,000 of 19,999, 8,123 blocks/s, 9.8 MB/s, 4 peers, ETA 1.1 s` */
function textOf(progress: SyncProgress): string {
  const { height, target, blocksPerSecond, bytesPerSecond, peers, etaMs } = progress
  return [
    `height ${height === null ? 'none' : count(height)} of ${count(target ?? 0)}`,
    `${count(blocksPerSecond)} blocks/s`,
    `${(bytesPerSecond / 1e6).toFixed(1)} MB/s`,
    plural(peers.connected, 'peer'),
    `ETA ${etaMs === undefined ? 'unknown' : `${(etaMs / 1_000).toFixed(1)} s`}`,
  ].join(', ')
}
