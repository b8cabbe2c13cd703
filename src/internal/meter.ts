/** What one session adds to the metrics of all: it takes out of gauges what it has put in. */
import type * as Context from "effect/Context"
import * as telemetry from "./telemetry.ts"
import type { Usage } from "./timeline.ts"

/** See the module. */
export interface Meter {
  /** What waits to be sent now, in bytes, and all that was sent so far. */
  readonly report: (outboxBytes: number, sent: Usage) => void
}

/** A new one, for the registry of metrics in a context. */
export const make = (context: Context.Context<never>): Meter => {
  let waiting = 0
  let sent: Required<Usage> = { audioSeconds: 0, injectedSeconds: 0, replayedSeconds: 0 }
  // 0 is something else than no metric at all
  telemetry.outboxBytes.modifyUnsafe(0, context)
  return {
    report: (outboxBytes, { audioSeconds, injectedSeconds, replayedSeconds = 0 }) => {
      if (outboxBytes !== waiting) telemetry.outboxBytes.modifyUnsafe(outboxBytes - waiting, context)
      if (audioSeconds > sent.audioSeconds) telemetry.audio.offered.updateUnsafe(audioSeconds - sent.audioSeconds, context)
      if (injectedSeconds > sent.injectedSeconds) {
        telemetry.audio.injected.updateUnsafe(injectedSeconds - sent.injectedSeconds, context)
      }
      if (replayedSeconds > sent.replayedSeconds) telemetry.replayed.updateUnsafe(replayedSeconds - sent.replayedSeconds, context)
      waiting = outboxBytes
      sent = { audioSeconds, injectedSeconds, replayedSeconds }
    }
  }
}
