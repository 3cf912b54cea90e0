import { FrameReader } from '../../../src/wire/frame-reader.js'
import { decodeMessage, encodeMessage } from '../../../src/wire/message-codec.js'
import type { WireMessage } from '../../../src/wire/messages.js'
import type { WireEnd } from './wire.js'

/** The end of a liar: it answers pings, and says nothing else by itself. */
export class RawEnd {
  readonly #reader = new FrameReader(() => 2 ** 31)

  constructor(end: WireEnd) {
    end.open({
      data: (chunk) => {
        this.#reader.push(chunk)
        for (let next = this.#reader.next(); next.kind === 'frame'; next = this.#reader.next()) {
          const message = decodeMessage(next)
          if (message?.kind === 'ping') RawEnd.say(end, { kind: 'pong', nonce: message.nonce })
        }
      },
      drained: () => undefined,
      closed: () => undefined,
    })
  }

  static say(end: WireEnd, message: WireMessage): void {
    end.write(encodeMessage(message).parts)
  }
}
