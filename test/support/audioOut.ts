/** The way of audio out of a session: the buffer of a conversation, and an outbox that reads it from the start. */
import * as outboxes from "../../src/internal/outbox.ts"
import * as replayBuffers from "../../src/internal/replayBuffer.ts"

export type AudioOut = replayBuffers.ReplayBuffer & outboxes.Outbox

export const make = (options: Parameters<typeof replayBuffers.make>[0]): AudioOut => {
  const buffer = replayBuffers.make(options)
  const outbox = outboxes.make(buffer)
  outbox.feed()
  return {
    ...buffer,
    ...outbox,
    fail: (error) => {
      buffer.fail(error)
      outbox.close()
    }
  }
}
