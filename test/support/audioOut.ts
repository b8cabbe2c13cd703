/** The way of audio out of a session: the buffer of a conversation, and an outbox that reads it from the start. */
import * as outboxes from "../../src/internal/outbox.ts"
import * as replayBuffers from "../../src/internal/replayBuffer.ts"

export interface AudioOut extends replayBuffers.ReplayBuffer, Omit<outboxes.Outbox, "hold" | "bytes"> {
  /** Holds what is offered from now on. */
  readonly hold: (from?: number) => void
}

export const make = (options: Parameters<typeof replayBuffers.make>[0]): AudioOut => {
  const buffer = replayBuffers.make(options)
  const outbox = outboxes.make(buffer)
  outbox.feed()
  return {
    ...buffer,
    ...outbox,
    hold: (from = buffer.position()) => outbox.hold(from),
    fail: (error) => {
      buffer.fail(error)
      outbox.close()
    }
  }
}
