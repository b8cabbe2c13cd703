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
  const recent = (): ReadonlyArray<number> => times.filter((at) => at > now() - windowMillis)
  return {
    note: () => {
      times = [...recent(), now()]
    },
    isReached: () => recent().length >= maxSessions
  }
}
