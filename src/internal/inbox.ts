/**
 * What a session has to say, waiting for its consumer. The reader never waits: a newer item may stand in for the
 * last one (superseded Updates), and a consumer that has stopped for good makes it overflow instead of growing.
 */
import * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Pull from "effect/Pull"
import * as Stream from "effect/Stream"

/** A bounded buffer with one producer that never waits and one consumer. */
export interface Inbox<A, E> {
  /** Adds an item. Ask for room first, but for the few items that end a session. */
  readonly push: (item: A) => void
  /** Whether fewer items wait than the limit. */
  readonly hasRoom: () => boolean
  /** No more items; what is buffered is delivered first. */
  readonly end: () => void
  /** As `end`, then the stream fails. */
  readonly failCause: (cause: Cause.Cause<E>) => void
  /** Items waiting. */
  readonly size: () => number
  /** The items, then the end. Single consumer. */
  readonly stream: Stream.Stream<A, E>
}

/** A new inbox; `merge(newer, last)` gives what stands for both, where one item can. */
export const make = <A, E>(options: {
  readonly limit: number
  readonly merge: (newer: A, last: A) => A | undefined
}): Inbox<A, E> => {
  let items: Array<A> = []
  let done: Cause.Cause<E> | "end" | undefined
  let wake: (() => void) | undefined

  const notify = (): void => {
    const resume = wake
    wake = undefined
    resume?.()
  }

  const pull: Pull.Pull<Arr.NonEmptyReadonlyArray<A>, E> = Effect.suspend(() => {
    const batch = items
    if (Arr.isArrayNonEmpty(batch)) {
      items = []
      return Effect.succeed(batch)
    }
    if (done === "end") return Cause.done()
    if (done !== undefined) return Effect.failCause(done)
    return wait
  })
  const wait = Effect.flatMap(
    Effect.callback<void>((resume) => {
      wake = () => resume(Effect.void)
      // something may have come by now
      if (items.length > 0 || done !== undefined) notify()
      return Effect.sync(() => {
        wake = undefined
      })
    }),
    () => pull
  )

  return {
    push: (item) => {
      if (done !== undefined) return
      const last = items.at(-1)
      const both = last === undefined ? undefined : options.merge(item, last)
      if (both === undefined) items.push(item)
      else items[items.length - 1] = both
      notify()
    },
    hasRoom: () => items.length < options.limit,
    end: () => {
      done ??= "end"
      notify()
    },
    failCause: (cause) => {
      done ??= cause
      notify()
    },
    size: () => items.length,
    stream: Stream.fromPull(Effect.succeed(pull))
  }
}
