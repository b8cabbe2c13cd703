/** Files that the command is to write: looked at before anything starts, so that nothing precious is overwritten. */
import { dirname, resolve } from "node:path"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import type * as PlatformError from "effect/PlatformError"
import type * as Scope from "effect/Scope"
import { Broken, CannotStart } from "./Failure.ts"

/** What is wrong with them, one line a fault; by flag. Devices and pipes are as good as new files. */
export const check = Effect.fnUntraced(function*(
  outputs: Readonly<Record<string, string | undefined>>
): Effect.fn.Return<ReadonlyArray<string>, never, FileSystem.FileSystem> {
  const fs = yield* FileSystem.FileSystem
  const faults: Array<string> = []
  const taken = new Map<string, string>()
  for (const [flag, path] of Object.entries(outputs)) {
    if (path === undefined) continue
    const info = yield* Effect.option(fs.stat(path))
    const type = Option.isSome(info) ? info.value.type : undefined
    const other = taken.get(resolve(path))
    if (path === "") faults.push(`${flag}: give a file`)
    else if (type === "Directory") faults.push(`${flag}: ${path} is a directory`)
    else if (type === "File") faults.push(`${flag}: ${path} is there already, and is not overwritten`)
    else if (type === undefined && !(yield* Effect.orElseSucceed(fs.exists(dirname(path)), () => false))) faults.push(`${flag}: ${dirname(path)} is not there`)
    else if (type === undefined && other !== undefined) faults.push(`${flag}: ${path} is for ${other} already`)
    taken.set(resolve(path), flag)
  }
  return faults
})

/** What to say of one that cannot be opened after all. */
export const unwritable = (flag: string, path: string) => (error: PlatformError.PlatformError): CannotStart => {
  const cause = innermost(error)
  return new CannotStart({ faults: [`${flag}: ${path} cannot be written: ${cause instanceof Error ? cause.message : error.message}`] })
}

/** Files that are written while a call runs. It goes on where one cannot be, and the command fails in the end. */
export class Written extends Context.Service<Written, {
  /** Notes that a file is not whole. */
  readonly spoilt: (flag: string, path: string, error: unknown) => Effect.Effect<void>
}>()("effect-flux-sagemaker/cli/Written") {}

/** Runs a command in a Scope of its own; when that is closed, with all written, it fails where a file is not whole. */
export const whole = <A, E, R>(
  command: Effect.Effect<A, E, R>
): Effect.Effect<A, E | Broken, Exclude<Exclude<R, Scope.Scope>, Written>> =>
  Effect.suspend(() => {
    let first: Broken | undefined
    const written = Written.of({
      spoilt: (flag, path, error) =>
        Effect.sync(() => {
          first ??= new Broken({ what: `${flag}: ${path} is not whole`, cause: innermost(error) })
        })
    })
    return Effect.scoped(command).pipe(
      Effect.provideService(Written, written),
      Effect.tap(() => first === undefined ? Effect.void : Effect.fail(first))
    )
  })

/** What the operating system said. */
const innermost = (error: unknown): unknown => error instanceof Error && error.cause !== undefined ? innermost(error.cause) : error
