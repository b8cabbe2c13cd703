/**
 * The pace of audio that had to wait: a burst overruns Flux (protocol 6), so it goes at most some times faster than real
 * time until nothing waits any more.
 */

/** See the module. */
export interface CatchUp {
  /** Whoever held the audio up is about to let go of it. */
  readonly begin: () => void
  /** How long the next frame has to wait, ms. */
  readonly wait: () => number
  /** So many seconds of audio were sent. */
  readonly sent: (seconds: number) => void
}

/** Audio that has waited for less is sent at once, ms. */
const patience = 1000

/** A new one. */
export const make = (options: {
  readonly now: () => number
  /** Times real time. */
  readonly speed: () => number
  /** When the audio that comes next was complete, ms; undefined where none waits. */
  readonly nextAt: () => number | undefined
}): CatchUp => {
  const { nextAt, now, speed } = options
  let since: number | undefined
  let seconds = 0
  let isDue = false
  /** Whether what comes next has waited for so long is known once it is there. */
  const look = (): void => {
    const at = nextAt()
    isDue = false
    if (since !== undefined || at === undefined || now() - at < patience) return
    since = now()
    seconds = 0
  }
  return {
    begin: () => {
      isDue = true
    },
    wait: () => {
      if (isDue) look()
      if (since === undefined) return 0
      if (nextAt() === undefined) {
        since = undefined
        return 0
      }
      return Math.floor(since + (seconds * 1000) / speed() - now())
    },
    sent: (more) => {
      seconds += more
    }
  }
}
