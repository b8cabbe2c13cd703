/** Files that the command is to write: looked at before anything starts, so that nothing precious is overwritten. */
import { resolve } from "node:path"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import type * as PlatformError from "effect/PlatformError"
import { CannotStart } from "./Failure.ts"

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
    else if (type === undefined && other !== undefined) faults.push(`${flag}: ${path} is for ${other} already`)
    taken.set(resolve(path), flag)
  }
  return faults
})

/** What to say of one that cannot be opened after all. */
export const unwritable = (flag: string, path: string) => ({ message, reason }: PlatformError.PlatformError): CannotStart =>
  new CannotStart({ faults: [`${flag}: ${path} cannot be written: ${reason.description ?? message}`] })
