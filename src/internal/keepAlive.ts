/**
 * One sample of silence outside a turn, ten seconds after whatever was sent last: without it Flux, or something on the
 * way to it, takes the session for dead (protocol 3.4). A supervised fiber of the session.
 */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"

/** What keep-alive looks at, and what it does. Times in ms. */
export interface KeepAliveOptions {
  readonly clock: Clock.Clock
  readonly interval: () => number
  /** When something was last sent. */
  readonly sentAt: () => number
  /** Whether nothing is about to be sent, and no turn is open: an open turn has the watchdog. */
  readonly idle: () => boolean
  /** Sends one sample of silence. */
  readonly send: () => void
}

/** The fiber; never completes. */
export const run = (options: KeepAliveOptions): Effect.Effect<never> =>
  Effect.forever(Effect.suspend(() => {
    const left = options.sentAt() + options.interval() - options.clock.currentTimeMillisUnsafe()
    if (left > 0) return Effect.sleep(left)
    if (options.idle()) options.send()
    return Effect.sleep(options.interval())
  }))
