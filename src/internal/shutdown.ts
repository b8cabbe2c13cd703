/** The open conversations of a transcriber, and how all of them come to their end at once. */
import type * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as FluxError from "../FluxError.ts"
import * as monotonic from "./monotonic.ts"

/** What a conversation is asked for that is to end. */
export interface Call {
  readonly id: string
  readonly status: Effect.Effect<string>
  readonly endAudio: Effect.Effect<void>
  readonly finish: Effect.Effect<void, FluxError.FluxError>
}

/** How the conversations ended that were open when the shutdown began. Holds nothing that was said. */
export interface ShutdownReport {
  /** How many came to a good end: their last words are in `events`. */
  readonly finished: number
  /** How many were closed by their own Scope before that, which waits for no last words. */
  readonly closed: number
  /**
   * Those that failed, in the order in which they were opened, and why: as their `events` fail, or with `ShutdownTimeout`
   * where one was not over in time.
   */
  readonly failed: ReadonlyArray<{ readonly id: string; readonly error: FluxError.FluxError }>
}

/** See the module. */
export interface Calls {
  /** Fails with `ShuttingDown` once the shutdown has begun. */
  readonly check: Effect.Effect<void, FluxError.FluxError>
  /** As `check`, else the conversation is one of them until the Scope closes. */
  readonly enter: (call: Call) => Effect.Effect<void, FluxError.FluxError, Scope.Scope>
  /** Completes when the shutdown begins. */
  readonly begun: Effect.Effect<void>
  /** Never fails; the first one to ask begins it, and all get the same report. */
  readonly shutdown: Effect.Effect<ShutdownReport>
}

interface Ending {
  readonly calls: ReadonlyArray<Call>
  /** Monotonic ms. */
  readonly deadline: number
}

/** Those of one transcriber; `timeout` is how long a shutdown waits at most. */
export const make = ({ clock, timeout }: { readonly clock: Clock.Clock; readonly timeout: Duration.Duration }): Calls => {
  const open = new Set<Call>()
  const begun = Latch.makeUnsafe(false)
  const once = Semaphore.makeUnsafe(1)
  const report = Deferred.makeUnsafe<ShutdownReport>()
  let closed = false
  let ending: Ending | undefined

  /** In one step, so that nothing comes between the check and what follows from it. */
  const unlessClosed = (then: () => void): Effect.Effect<void, FluxError.FluxError> =>
    Effect.suspend(() => {
      if (closed) return Effect.fail(FluxError.make(new FluxError.ShuttingDown({}), "settings"))
      then()
      return Effect.void
    })

  /** Ends its audio; whether it was over before. */
  const end = (call: Call): Effect.Effect<boolean> =>
    Effect.flatMap(call.status, (status) =>
      status === "ended"
        // its session may be over, and others of it not freed yet
        ? Effect.raceFirst(Effect.as(Effect.exit(call.finish), true), Effect.succeed(false))
        : Effect.as(call.endAudio, false))

  const begin = Effect.gen(function*() {
    closed = true
    const deadline = monotonic.millis(clock) + Duration.toMillis(timeout)
    const calls: Array<Call> = []
    for (const call of open) {
      // how one ended that was over, whoever has it knows
      if (!(yield* end(call))) calls.push(call)
    }
    begun.openUnsafe()
    ending = { calls, deadline }
    return ending
  })

  const reportOn = (calls: ReadonlyArray<Call>, exits: ReadonlyMap<Call, Exit.Exit<void, FluxError.FluxError>>): ShutdownReport => {
    let finished = 0
    let closedEarly = 0
    const failed: Array<ShutdownReport["failed"][number]> = []
    const tooLate = new FluxError.ShutdownTimeout({ seconds: Duration.toSeconds(timeout) })
    for (const call of calls) {
      const exit = exits.get(call)
      const error = exit === undefined ? FluxError.make(tooLate, "closing") : Option.getOrUndefined(Exit.findErrorOption(exit))
      if (exit !== undefined && Exit.isSuccess(exit)) finished++
      else if (error === undefined || error.reason._tag === "CallOver") closedEarly++
      else failed.push({ id: call.id, error })
    }
    return { finished, closed: closedEarly, failed }
  }

  const wait = Effect.fnUntraced(function*({ calls, deadline }: Ending) {
    const exits = new Map<Call, Exit.Exit<void, FluxError.FluxError>>()
    yield* Effect.forEach(
      calls,
      (call) => Effect.map(Effect.exit(call.finish), (exit) => void exits.set(call, exit)),
      { concurrency: "unbounded", discard: true }
    ).pipe(Effect.timeoutOption(Math.max(0, deadline - monotonic.millis(clock))))
    yield* Deferred.succeed(report, reportOn(calls, exits))
    return yield* Deferred.await(report)
  })

  return {
    check: unlessClosed(() => {}),
    enter: (call) =>
      Effect.acquireRelease(
        unlessClosed(() => open.add(call)),
        () => Effect.sync(() => void open.delete(call))
      ),
    begun: begun.await,
    // nothing of it runs by itself: who is interrupted has begun it, and whoever asks again goes on to wait
    shutdown: Effect.flatMap(
      once.withPermit(Effect.suspend(() => ending === undefined ? Effect.uninterruptible(begin) : Effect.succeed(ending))),
      wait
    )
  }
}
