/**
 * Signals and the end of the process: the first SIGINT, SIGTERM or SIGHUP asks a command that can to come to its end, the
 * next one interrupts it, and one more leaves at once, whatever still hangs.
 */
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Runtime from "effect/Runtime"
import { exitStatus } from "./Failure.ts"

/** The way a command learns that it should come to its end. */
export class Shutdown extends Context.Service<Shutdown, {
  /** While `use` runs, the first signal completes `asked` and interrupts nothing. */
  readonly graceful: <A, E, R>(use: (asked: Effect.Effect<void>) => Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
}>()("effect-flux-sagemaker/cli/Shutdown") {}

/** npm hands Ctrl-C on to its child, which the terminal has told already, and so does a shell whose terminal hangs up: both count as one. */
const sameSignalMillis = 300

/**
 * SIGHUP, too: the terminal is gone, or ssh. Node forgets when it starts that `nohup` would have it ignored, and would die of
 * it; so that ends well as well.
 */
const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const

/** Runs the program as the process, and leaves with its exit status. */
export const runMain = <A, E>(program: Effect.Effect<A, E, Shutdown>): void => {
  let asked: Deferred.Deferred<void> | undefined
  const shutdown = Shutdown.of({
    graceful: (use) =>
      Effect.acquireUseRelease(
        Effect.sync(() => {
          asked = Deferred.makeUnsafe<void>()
          return asked
        }),
        (deferred) => use(Deferred.await(deferred)),
        () =>
          Effect.sync(() => {
            asked = undefined
          })
      )
  })

  const main = Runtime.makeRunMain(({ fiber, teardown }) => {
    let last = Number.NEGATIVE_INFINITY
    let interrupted = false
    const onSignal = (): void => {
      const now = performance.now()
      if (now - last < sameSignalMillis) return
      last = now
      if (asked !== undefined && Deferred.doneUnsafe(asked, Exit.void)) return
      if (interrupted) process.exit(130)
      interrupted = true
      fiber.interruptUnsafe(fiber.id)
    }
    // whoever writes is told of it, or does not mind; without a listener it would end the process
    for (const output of [process.stdout, process.stderr]) output.on("error", () => undefined)
    for (const signal of signals) process.on(signal, onSignal)
    // standard input that nobody reads to its end would keep the process alive
    fiber.addObserver((exit) => teardown(exit, (status) => process.exit(status)))
  })
  main(Effect.provideService(program, Shutdown, shutdown), {
    disableErrorReporting: true,
    teardown: (exit, onExit) => onExit(exitStatus(exit))
  })
}
