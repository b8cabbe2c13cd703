/**
 * Silence for an open turn whose audio has stopped: Flux's clock is the audio itself, so without it a turn would never
 * end (protocol 4.5). A duty of the session's watch; sends in real time, up to a cap.
 */
import { frameMillis } from "../Audio.ts"
import type { Duty } from "./watch.ts"

/** What the watchdog looks at, and what it does. Times in ms. */
export interface WatchdogOptions {
  readonly now: () => number
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
  /** There may be something to do so soon. */
  readonly dueIn: (millis: number) => void
}

/** See the module. */
export interface Watchdog {
  /** Tell it that a turn is open, or that none is. */
  readonly turnOpen: (open: boolean) => void
  /** Tell it that its patience is another now. */
  readonly changed: () => void
  readonly look: Duty<never>
}

/** A new watchdog, for a session without an open turn. */
export const make = (options: WatchdogOptions): Watchdog => {
  const { now } = options
  let open = false
  let gap = -1
  let injected = 0
  /** A frame of silence lasts as long as it does, and so does what is under way. */
  let notBefore = Number.NEGATIVE_INFINITY

  const left = (): number => Math.max(options.offeredAt() + options.patience(), notBefore) - now()
  const changed = (): void => {
    if (open) options.dueIn(Math.max(0, left()))
  }
  /** No turn that opens has anything to do before, most often. */
  const whileClosed = (): number => options.patience() || Number.POSITIVE_INFINITY

  return {
    turnOpen: (isOpen) => {
      const wasOpen = open
      open = isOpen
      if (!wasOpen) changed()
    },
    changed,
    look: () => {
      if (!open) return whileClosed()
      const offeredAt = options.offeredAt()
      if (offeredAt !== gap) {
        gap = offeredAt
        injected = 0
      }
      const wait = left()
      if (wait > 0) return wait
      if (options.idle()) {
        if (injected + frameMillis > options.cap()) {
          open = false
          options.capped()
          return whileClosed()
        }
        injected += frameMillis
        options.silence()
      }
      notBefore = now() + frameMillis
      return frameMillis
    }
  }
}
