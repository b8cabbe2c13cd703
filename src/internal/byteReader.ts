/** Reads a stream of bytes piece by piece: so many for a header, then the rest as it comes. */
import type * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Pull from "effect/Pull"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"

/** One stream, read from the front. The Scope it was made in holds the stream open. */
export interface ByteReader<E> {
  /** What has arrived and is not taken yet; waits for something, and is empty only at the end of the input. */
  readonly peek: Effect.Effect<Uint8Array, E>
  /** The next `count` bytes; fewer only at the end of the input. */
  readonly take: (count: number) => Effect.Effect<Uint8Array, E>
  /** Passes over `count` bytes without keeping them; false where the input ended first. */
  readonly skip: (count: number) => Effect.Effect<boolean, E>
  /** The next chunk as it arrives, at most `limit` bytes of it. */
  readonly chunk: (limit: number) => Pull.Pull<Uint8Array, E>
}

/** A {@link ByteReader} of a stream. */
export const make = Effect.fnUntraced(function*<E, R>(
  bytes: Stream.Stream<Uint8Array, E, R>
): Effect.fn.Return<ByteReader<E>, never, R | Scope.Scope> {
  const pull = yield* Stream.toPull(bytes)
  let batch: ReadonlyArray<Uint8Array> = []
  let at = 0
  let ended = false
  let current: Uint8Array = new Uint8Array(0)

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

  const peek: Effect.Effect<Uint8Array, E> = Effect.suspend(() => {
    while (current.length === 0 && at < batch.length) current = batch[at++] ?? current
    return current.length > 0 || ended ? Effect.succeed(current) : Effect.andThen(load, peek)
  })

  const some = (limit: number): Effect.Effect<Uint8Array, E> =>
    Effect.map(peek, (available) => {
      const taken = available.subarray(0, limit)
      current = available.subarray(taken.length)
      return taken
    })

  return {
    peek,
    take: Effect.fnUntraced(function*(count) {
      const out = new Uint8Array(count)
      let filled = 0
      while (filled < count) {
        const piece = yield* some(count - filled)
        if (piece.length === 0) return out.subarray(0, filled)
        out.set(piece, filled)
        filled += piece.length
      }
      return out
    }),
    skip: Effect.fnUntraced(function*(count) {
      let left = count
      while (left > 0) {
        const piece = yield* some(left)
        if (piece.length === 0) return false
        left -= piece.length
      }
      return true
    }),
    chunk: (limit) =>
      Effect.filterOrElse(some(limit), (piece) => piece.length > 0, () => Cause.done())
  }
})
