/**
 * Silence for an open turn whose audio has stopped: Flux's clock is the audio itself, so without it a turn would never
 * end (protocol 4.5). A supervised fiber of the session; sends in real time, up to a cap.
 */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import { frameMillis } from "../Audio.ts"

/** What the watchdog looks at, and what it does. Times in ms. */
export interface WatchdogOptions {
  readonly clock: Clock.Clock
  /** How long nothing may be offered before silence is sent. */
  readonly patience: () => number
  /** Most silence to send in one gap. */
  readonly cap: () => number
  /** When audio was last offered. */
  readonly offeredAt: () => number
  /** Whether everything offered has been sent. A peer that does not read is no reason to send more. */
  readonly idle: () => boolean
  /** Sends one frame of silence, 80 ms. */
  readonly silence: () => void
  /** The cap is reached. */
  readonly capped: () => void
}

/** See the module. */
export interface Watchdog {
  /** Tell it that a turn is open, or that none is. */
  readonly turnOpen: (open: boolean) => void
  /** Tell it that its patience is another now. */
  readonly changed: () => void
  /** The fiber; never completes. */
  readonly run: Effect.Effect<never>
}

/** A new watchdog, for a session without an open turn. */
export const make = (options: WatchdogOptions): Watchdog => {
  const { clock } = options
  const open = Latch.makeUnsafe(false)
  let gap = -1
  let injected = 0
  let wake: (() => void) | undefined
  const change = Effect.callback<void>((resume) => {
    wake = () => resume(Effect.void)
    return Effect.sync(() => {
      wake = undefined
    })
  })

  const step = Effect.suspend(() => {
    const now = clock.currentTimeMillisUnsafe()
    const offeredAt = options.offeredAt()
    if (offeredAt !== gap) {
      gap = offeredAt
      injected = 0
    }
    const left = offeredAt + options.patience() - now
    if (left > 0) return Effect.timeoutOption(change, left)
    if (!options.idle()) return Effect.sleep(frameMillis)
    if (injected + frameMillis > options.cap()) {
      open.closeUnsafe()
      options.capped()
      return Effect.void
    }
    injected += frameMillis
    options.silence()
    return Effect.sleep(frameMillis)
  })

  return {
    turnOpen: (isOpen) => {
      if (isOpen) open.openUnsafe()
      else open.closeUnsafe()
    },
    changed: () => wake?.(),
    run: Effect.forever(Effect.andThen(open.await, step))
  }
}
