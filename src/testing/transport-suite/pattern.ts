/** Looked up once: in the sandbox of some runners (jest) each use of a global name takes a microsecond. */
const { imul } = Math

/** Bytes of which each says where in the stream it belongs: a lost, doubled or moved one shows. */
export function patternBytes(offset: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  for (let index = 0; index < length; index++) bytes[index] = patternByte(offset + index)
  return bytes
}

/** Where `chunks`, one after another, first differ from the pattern; undefined when they do not. */
export function firstDifference(chunks: readonly Uint8Array[]): number | undefined {
  let offset = 0
  for (const chunk of chunks) {
    for (const byte of chunk) {
      if (byte !== patternByte(offset)) return offset
      offset += 1
    }
  }
  return undefined
}

/** The period is longer than any power of two that buffers are made of. */
function patternByte(offset: number): number {
  return (offset ^ (offset >>> 8) ^ imul(offset, 0x9e37) ^ (offset % 251)) & 0xff
}
