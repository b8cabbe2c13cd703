/**
 * Notices a Flux that has gone mute while audio flows (protocol 4.5): from the first audio after the last message on
 * there is a bound, once there was enough audio to say something of. A duty of the session's watch.
 */
import type { Duty } from "./watch.ts"

/** What it looks at. Times in ms. */
export interface StallOptions<E> {
  readonly now: () => number
  /** Bound on the silence of Flux. */
  readonly timeout: () => number
  /** Whether Flux is expected to speak: it may not tell of audio outside turns. */
  readonly expecting: () => boolean
  /** What a session fails with whose Flux has stalled. */
  readonly stalled: () => E
}

/** See the module. */
export interface Stall<E> {
  /** Audio was sent, so many seconds. */
  readonly sent: (seconds: number) => void
  /** A message has come. */
  readonly heard: () => void
  readonly look: Duty<E>
}

/** Least audio that must be unanswered, in seconds: Flux speaks every quarter of one (protocol 4.2). */
const leastAudio = 2
/** How often to look again where the time is over and something else is not there yet. */
const recheckMillis = 1000

/** A new one, for a session that has said something. */
export const make = <E>(options: StallOptions<E>): Stall<E> => {
  const { now } = options
  let since: number | undefined
  let unanswered = 0
  let notBefore = Number.NEGATIVE_INFINITY

  return {
    sent: (seconds) => {
      since ??= now()
      unanswered += seconds
    },
    heard: () => {
      since = undefined
      unanswered = 0
    },
    look: () => {
      const timeout = options.timeout()
      // audio that comes from now on has all of its time
      if (since === undefined) return timeout
      const left = Math.max(since + timeout, notBefore) - now()
      if (left > 0) return left
      if (unanswered > leastAudio - 0.001 && options.expecting()) return options.stalled()
      const again = Math.min(recheckMillis, timeout)
      notBefore = now() + again
      return again
    }
  }
}
