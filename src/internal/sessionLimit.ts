/**
 * A bound on the bill of one call: each session in the place of one that broke hears audio again, and audio that is sent is
 * paid for.
 */

/** So many sessions at most, in any ten minutes. */
export const maxSessions = 20
const windowMillis = 600_000

/** See the module. */
export interface SessionLimit {
  /** One was Connected. */
  readonly note: () => void
  readonly isReached: () => boolean
}

/** A new one, for one call; `now` in ms. */
export const make = (now: () => number): SessionLimit => {
  let times: ReadonlyArray<number> = []
  return {
    note: () => {
      const from = now() - windowMillis
      times = [...times.filter((at) => at > from), now()]
    },
    isReached: () => {
      const from = now() - windowMillis
      return times.filter((at) => at > from).length >= maxSessions
    }
  }
}
