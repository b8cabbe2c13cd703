/**
 * The fiber that watches over a session: it looks after each of its duties when that is due, and sleeps until the next one
 * is. One for all of them: hundreds of sessions have it.
 */
import * as Effect from "effect/Effect"
import * as monotonic from "./monotonic.ts"

/**
 * Does what is due by now, and tells in how many ms there is something to do again, if nothing happens meanwhile; or what
 * the session is to fail with. To be asked earlier, and more often than that, changes nothing.
 */
export type Duty<E> = () => number | E

/** See the module. */
export interface Watch<E> {
  /** Something has happened: there is something to do in so many ms, however long it was to be. */
  readonly dueIn: (millis: number) => void
  /** Fails as a duty does; never completes. A supervised fiber of the session. */
  readonly run: Effect.Effect<never, E>
}

/** A new one. `now` in ms on the Clock. */
export const make = <E extends object>(now: () => number, duties: ReadonlyArray<Duty<E>>): Watch<E> => {
  let plannedAt = Number.POSITIVE_INFINITY
  let looking = false
  /** Something has happened meanwhile. */
  let missed = false
  let wake: (() => void) | undefined
  const happened = Effect.callback<void>((resume) => {
    wake = () => resume(Effect.void)
    return Effect.sync(() => {
      wake = undefined
    })
  })

  const lookOnce = (): number | E => {
    let next = Number.POSITIVE_INFINITY
    for (const duty of duties) {
      const due = duty()
      if (typeof due !== "number") return due
      next = Math.min(next, due)
    }
    return next
  }
  const look = (): number | E => {
    let next: number | E
    looking = true
    do {
      missed = false
      next = lookOnce()
    } while (missed)
    looking = false
    return next
  }
  const rounds: Effect.Effect<never, E> = Effect.suspend(() => {
    const next = look()
    if (typeof next !== "number") return Effect.fail(next)
    plannedAt = now() + next
    return Effect.andThen(monotonic.sleep(next), rounds)
  })

  return {
    dueIn: (millis) => {
      if (looking) missed = true
      else if (plannedAt > now() + millis) wake?.()
    },
    run: Effect.forever(Effect.raceFirst(happened, rounds))
  }
}
