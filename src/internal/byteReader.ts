/** Reads a stream of bytes piece by piece: so many for a header, then the rest as it comes. */
import type * as Arr from "effect/Array"
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Pull from "effect/Pull"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { concat, copy } from "./bytes.ts"

/** One stream, read from the front. The Scope it was made in holds the stream open. */
export interface ByteReader<E> {
  /** What has arrived and is not taken yet; waits for something, and is empty only at the end of the input. */
  readonly peek: Effect.Effect<Uint8Array, E>
  /** As {@link peek}, with at least `count` bytes; fewer only at the end of the input. They are copied before more is asked for: for headers. */
  readonly ahead: (count: number) => Effect.Effect<Uint8Array, E>
  /** The next `count` bytes; fewer only at the end of the input. */
  readonly take: (count: number) => Effect.Effect<Uint8Array, E>
  /** Passes over `count` bytes without keeping them; false where the input ended first. */
  readonly skip: (count: number) => Effect.Effect<boolean, E>
  /** Bytes taken or passed over so far. */
  readonly position: () => number
  /** The same input for whoever must not wait for it. */
  readonly within: (patience: Effect.Effect<void>) => Glance
}

/**
 * A reader whose input is over once nothing came before `patience` completed, or once the input failed. What comes or
 * fails later is seen by the other readers of the same input.
 */
export interface Glance extends ByteReader<never> {
  /** Whether the input may go on. */
  readonly isOpen: () => boolean
}

/** A {@link ByteReader} of a stream. */
export const make = Effect.fnUntraced(function*<E, R>(
  bytes: Stream.Stream<Uint8Array, E, R>
): Effect.fn.Return<ByteReader<E>, never, R | Scope.Scope> {
  const scope = yield* Scope.Scope
  const pull = yield* Stream.toPull(bytes)
  let batch: ReadonlyArray<Uint8Array> = []
  let at = 0
  let ended = false
  let current = none
  let taken = 0

  const arrived = (): Uint8Array => {
    while (current.length === 0 && at < batch.length) current = batch[at++] ?? current
    return current
  }
  const drop = (count: number): void => {
    current = current.subarray(count)
    taken += count
  }

  const load: Effect.Effect<void, E> = Pull.matchEffect(pull, {
    onSuccess: (next: Arr.NonEmptyReadonlyArray<Uint8Array>) =>
      Effect.sync(() => {
        batch = next
        at = 0
      }),
    onFailure: (cause: Cause.Cause<E>) => Effect.failCause(cause),
    onDone: () =>
      Effect.sync(() => {
        ended = true
      })
  })

  /** A load that a glance began and did not wait for. */
  let begun: Fiber.Fiber<void, E> | undefined
  const more: Effect.Effect<boolean, E> = Effect.suspend(() => {
    if (begun === undefined) return Effect.as(load, true)
    return Effect.map(Fiber.join(begun), () => {
      begun = undefined
      return true
    })
  })

  const within = (patience: Effect.Effect<void>): Glance => {
    let isPatient = true
    const moreSoon = Effect.gen(function*() {
      if (!isPatient) return false
      const loading = begun ?? (yield* Effect.forkIn(load, scope, { startImmediately: true }))
      begun = loading
      yield* Effect.raceFirst(Fiber.await(loading), patience)
      const exit = loading.pollUnsafe()
      if (exit?._tag === "Success") begun = undefined
      else isPatient = false
      return isPatient
    })
    return { ...reader(moreSoon), isOpen: () => !ended && !isPatient && begun?.pollUnsafe() === undefined }
  }

  /** A reader that gets more by `more`, which says false where no more comes. */
  const reader = <F>(more: Effect.Effect<boolean, F>): ByteReader<F> => {
    const peek: Effect.Effect<Uint8Array, F> = Effect.suspend(() =>
      arrived().length > 0 || ended
        ? Effect.succeed(current)
        : Effect.flatMap(more, (came) => came ? peek : Effect.succeed(current))
    )
    return {
      peek,
      ahead: Effect.fnUntraced(function*(count) {
        yield* peek
        while (current.length < count) {
          if (at < batch.length) current = concat(current, batch[at++] ?? none)
          else if (ended) break
          else {
            current = copy(current)
            if (!(yield* more)) break
          }
        }
        return current
      }),
      take: Effect.fnUntraced(function*(count) {
        const out = new Uint8Array(count)
        let filled = 0
        while (filled < count) {
          const piece = (yield* peek).subarray(0, count - filled)
          if (piece.length === 0) return out.subarray(0, filled)
          out.set(piece, filled)
          filled += piece.length
          drop(piece.length)
        }
        return out
      }),
      skip: Effect.fnUntraced(function*(count) {
        let left = count
        while (left > 0) {
          const { length } = yield* peek
          if (length === 0) return false
          drop(Math.min(length, left))
          left -= length
        }
        return true
      }),
      position: () => taken,
      within
    }
  }
  return reader(more)
})

const none: Uint8Array = new Uint8Array(0)
