/** What stands on the command line with one dash before it, such as a file's name. The parser takes each of its letters for a flag. */
import * as Effect from "effect/Effect"
import * as Stdio from "effect/Stdio"
import { CannotStart } from "./Failure.ts"

/** Fails where there is such a thing, with the ways to write it. What follows `--` is as it stands. */
export const check = Effect.gen(function*() {
  const stdio = yield* Stdio.Stdio
  const args = yield* stdio.args
  const end = args.indexOf("--")
  const faults = args.slice(0, end < 0 ? args.length : end).filter(isStray).map((arg) =>
    `${arg} is no flag: a file of that name is ./${arg}, or comes after --; as the value of a flag it is given with =, as in --script=${arg}`
  )
  if (faults.length > 0) return yield* new CannotStart({ faults })
})

/** Flags have two dashes, but for these; and numbers may have one. */
const isStray = (arg: string): boolean => /^-[^-]/.test(arg) && !/^-[hv]+$/.test(arg) && Number.isNaN(Number(arg))
