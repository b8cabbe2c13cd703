/** Checks of which each depends on the one before it. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as FluxError from "../FluxError.ts"
import * as Finding from "./Finding.ts"

/** Takes a finding as it comes. */
export type Tell = (finding: Finding.Finding) => Effect.Effect<void>

/** Tells of checks that are not made, and why. */
export const skip = (tell: Tell, checks: ReadonlyArray<string>, why: string): Effect.Effect<void> =>
  Effect.forEach(checks, (check) => tell(Finding.skipped(check, why)), { discard: true })

/** What is checked, in order, and how a failure is told. */
export interface Options<Check extends string> {
  readonly checks: ReadonlyArray<Check>
  readonly tell: Tell
  readonly explain: (check: Check, error: FluxError.FluxError) => Finding.Finding
  /** Why those after it are not made. */
  readonly why: (failed: Check) => string
}

/**
 * Makes them in a Scope of their own: `make` says which one it begins, and tells what it finds. One that fails is told, those
 * after it are skipped. Gives whether all went to the end.
 */
export const run = <Check extends string, R>(
  { checks, explain, tell, why }: Options<Check>,
  make: (begin: (check: Check) => void) => Effect.Effect<void, FluxError.FluxError, R>
): Effect.Effect<boolean, never, Exclude<R, Scope.Scope>> =>
  Effect.suspend(() => {
    let [current] = checks
    const steps = make((check) => {
      current = check
    })
    return Effect.scoped(steps).pipe(
      Effect.as(true),
      Effect.catchTag("FluxError", (error) =>
        current === undefined ? Effect.succeed(false) : tell(explain(current, error)).pipe(
          Effect.andThen(skip(tell, checks.slice(checks.indexOf(current) + 1), why(current))),
          Effect.as(false)
        ))
    )
  })
