/** Lines on their way to a writer that may be slow, fail or hang: whoever adds one never waits. */
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import type * as Scope from "effect/Scope"
import { attempt } from "./bounded.ts"

/** See the module. */
export interface Journal {
  /** Adds a line; false when there is no room for it. */
  readonly offer: (line: string) => boolean
  /** Adds a line without which the rest is worth nothing. There is as much room again; beyond it the journal ends. */
  readonly push: (line: string) => void
}

/** What went wrong, as the system says it where it was the system. */
const describe = (error: unknown): string =>
  !(error instanceof Error) ? String(error) : error.cause instanceof Error ? error.cause.message : error.message

/** How long the end of the Scope waits for what is not written yet. */
const patience = "2 seconds"

/**
 * A journal that writes until its Scope ends. `write` takes whole lines, each with its newline. When it fails or falls
 * behind for good, that is logged once and the journal ends. `limit` is in characters.
 */
export const make = Effect.fnUntraced(function*(options: {
  readonly write: (lines: string) => Effect.Effect<void, unknown>
  readonly limit: number
}): Effect.fn.Return<Journal, never, Scope.Scope> {
  const { limit, write } = options
  const changed = Latch.makeUnsafe(false)
  const overflowed = Deferred.makeUnsafe<void>()
  let waiting: Array<string> = []
  /** Of what waits, and of what is being written. */
  let size = 0
  let finishing = false
  /** Nothing more is taken; what waits is still written. */
  let closed = false
  let told = false

  const tell = (...message: ReadonlyArray<unknown>): Effect.Effect<void> =>
    Effect.suspend(() => {
      if (told) return Effect.void
      told = true
      return Effect.logWarning(...message)
    })
  const giveUp = (): void => {
    closed = true
    waiting = []
  }
  const add = (line: string, room: number): boolean => {
    if (closed) return true
    if (size + line.length > room) return false
    waiting.push(line)
    size += line.length + 1
    changed.openUnsafe()
    return true
  }

  const writeWaiting = Effect.suspend(() => {
    if (waiting.length === 0) return Effect.void
    const lines = `${waiting.join("\n")}\n`
    waiting = []
    return Effect.map(write(lines), () => {
      size -= lines.length
    })
  })
  const writeAll: Effect.Effect<void, unknown> = changed.await.pipe(
    Effect.andThen(Effect.sync(() => changed.closeUnsafe())),
    Effect.andThen(writeWaiting),
    Effect.repeat({ until: () => finishing && waiting.length === 0 })
  )

  yield* Effect.acquireRelease(
    writeAll.pipe(
      Effect.catchCause((cause) => {
        giveUp()
        return tell(`The capture ends here: it could not be written: ${describe(Cause.squash(cause))}`)
      }),
      Effect.interruptible,
      Effect.forkDetach({ startImmediately: true })
    ),
    Effect.fnUntraced(function*(writer) {
      finishing = true
      closed = true
      changed.openUnsafe()
      if (yield* attempt(Fiber.await(writer), patience)) return
      yield* tell("The end of the capture is missing: it could not be written in time")
      giveUp()
      // a writer that refuses is left behind
      yield* Effect.forkDetach(Fiber.interrupt(writer), { startImmediately: true })
    })
  )
  yield* Deferred.await(overflowed).pipe(
    Effect.andThen(tell("The capture ends here: it is not written as fast as it grows")),
    Effect.forkScoped({ startImmediately: true })
  )

  return {
    offer: (line) => add(line, limit),
    push: (line) => {
      if (add(line, 2 * limit)) return
      closed = true
      Deferred.doneUnsafe(overflowed, Effect.void)
    }
  }
})
