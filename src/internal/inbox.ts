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
  /** Adds an item; false when the buffer is full, and the item is not taken. */
  readonly push: (item: A) => boolean
  /** Adds one of the few items that end a session, also when the buffer is full. */
  readonly pushLast: (item: A) => void
  /** No more items; what is buffered is delivered first. */
  readonly end: () => void
  /** As `end`, then the stream fails. */
  readonly failCause: (cause: Cause.Cause<E>) => void
  /** Items waiting. */
  readonly size: () => number
  /** The items, then the end. Single consumer. */
  readonly stream: Stream.Stream<A, E>
}

/** A new inbox; `supersedes(newer, last)` says that the newer item makes the last one worthless. */
export const make = <A, E>(options: {
  readonly limit: number
  readonly supersedes: (newer: A, last: A) => boolean
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

  const add = (item: A, limit: number): boolean => {
    if (done !== undefined) return true
    const last = items.at(-1)
    if (last !== undefined && options.supersedes(item, last)) items[items.length - 1] = item
    else if (items.length >= limit) return false
    else items.push(item)
    notify()
    return true
  }

  return {
    push: (item) => add(item, options.limit),
    pushLast: (item) => void add(item, Number.POSITIVE_INFINITY),
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
