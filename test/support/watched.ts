/** A part of a session under a watch of its own, as a session has it. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as watches from "../../src/internal/watch.ts"
import { fork } from "./session.ts"

/** Makes the part, which is given the time and may say when there is something to do, and watches over it. */
export const watched = Effect.fnUntraced(function*<A, E extends object>(
  make: (now: () => number, dueIn: (millis: number) => void) => A,
  dutyOf: (part: A) => watches.Duty<E>
) {
  const clock = yield* Clock.Clock
  const now = (): number => clock.currentTimeMillisUnsafe()
  const part = make(now, (millis) => watch.dueIn(millis))
  const watch: watches.Watch<E> = watches.make(now, [dutyOf(part)])
  const fiber = yield* fork(watch.run)
  return { fiber, now, part }
})
