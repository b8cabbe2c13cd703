/**
 * Notices a Flux that has gone mute while audio flows (protocol 4.5): from the first audio after the last message on
 * there is a bound, once there was enough audio to say something of. A supervised fiber of the session.
 */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"

/** What it looks at. Times in ms. */
export interface StallOptions {
  readonly clock: Clock.Clock
  /** Bound on the silence of Flux. */
  readonly timeout: () => number
  /** Whether Flux is expected to speak: it may not tell of audio outside turns. */
  readonly expecting: () => boolean
}

/** See the module. */
export interface Stall {
  /** Audio was sent, so many seconds. */
  readonly sent: (seconds: number) => void
  /** A message has come. */
  readonly heard: () => void
  /** The fiber; completes when Flux has stalled. */
  readonly run: Effect.Effect<void>
}

/** Least audio that must be unanswered, in seconds: Flux speaks every quarter of one (protocol 4.2). */
const leastAudio = 2
/** How often to look again where the time is over and something else is not there yet. */
const recheckMillis = 1000

/** A new one, for a session that has said something. */
export const make = (options: StallOptions): Stall => {
  const { clock } = options
  let since: number | undefined
  let unanswered = 0

  const run: Effect.Effect<void> = Effect.suspend(() => {
    const timeout = options.timeout()
    // audio that comes from now on has all of its time
    if (since === undefined) return Effect.andThen(Effect.sleep(timeout), run)
    const left = since + timeout - clock.currentTimeMillisUnsafe()
    if (left > 0) return Effect.andThen(Effect.sleep(left), run)
    if (unanswered > leastAudio - 0.001 && options.expecting()) return Effect.void
    return Effect.andThen(Effect.sleep(Math.min(recheckMillis, timeout)), run)
  })

  return {
    sent: (seconds) => {
      since ??= clock.currentTimeMillisUnsafe()
      unanswered += seconds
    },
    heard: () => {
      since = undefined
      unanswered = 0
    },
    run
  }
}
