/** The flags that say how the simulator behaves, for `simulate` and for `transcribe --simulate`. */
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import type { ProfileName } from "../FluxTransport.ts"
import type { Behaviour } from "../simulator/Endpoint.ts"
import * as Fault from "../simulator/Fault.ts"
import * as Ledger from "../simulator/Ledger.ts"
import * as Recording from "../simulator/Recording.ts"
import { CannotStart } from "./Failure.ts"
import type { Checked } from "./flags.ts"
import { say } from "./print.ts"
import * as source from "./source.ts"

const optional = <A>(flag: Flag.Flag<A>): Flag.Flag<A | undefined> =>
  Flag.map(Flag.optional(flag), Option.getOrUndefined)

/** What the simulator does. Not checked here, so that all that is wrong can be told together. */
export const flags = {
  script: optional(Flag.String("script")).pipe(
    Flag.withMetavar("FILE"),
    Flag.withDescription("What the simulator hears: text, one line a turn, or JSON (see flux-stt schema script)")
  ),
  closeMode: optional(Flag.Literals("close-mode", ["update", "end-of-turn"])).pipe(
    Flag.withDescription("What the simulator answers to CloseStream in an open turn (default update)")
  ),
  fault: Flag.map(
    Flag.atLeast(Flag.String("fault"), 0),
    (values): ReadonlyArray<string> | undefined => (values.length === 0 ? undefined : values)
  ).pipe(
    Flag.withMetavar("NAME[,KEY=VALUE...]"),
    Flag.withDescription("What goes wrong, such as mute,turn=1,after=0.5 (see flux-stt faults); may be repeated")
  ),
  seed: optional(Flag.Int("seed")).pipe(
    Flag.withDescription("For faults that are left to chance: the same seed gives the same faults (default 1)")
  ),
  replay: optional(Flag.String("replay")).pipe(
    Flag.withMetavar("FILE"),
    Flag.withDescription("Answer as the server did whose calls FILE holds (see transcribe --capture)")
  ),
  ledger: optional(Flag.String("ledger")).pipe(
    Flag.withMetavar("FILE"),
    Flag.withDescription("Write what each session received and sent to FILE, one JSON object a line")
  )
}

/** The values of {@link flags}. */
export interface Given {
  readonly script: string | undefined
  readonly closeMode: "update" | "end-of-turn" | undefined
  readonly fault: ReadonlyArray<string> | undefined
  readonly seed: number | undefined
  readonly replay: string | undefined
  readonly ledger: string | undefined
}

/** How the simulator is to behave, and where its words come from, for people: `words come from call.txt`. */
export interface Simulation {
  readonly behaviour: Behaviour
  readonly from: string
}

/** Reads the files that flags name and checks them. `audio` is the path of the audio, beside which words may lie. */
export const read = Effect.fnUntraced(function*(
  given: Given,
  profile: ProfileName | undefined,
  audio: string | undefined
): Effect.fn.Return<Checked<Simulation>, never, FileSystem.FileSystem> {
  if (given.replay !== undefined) return yield* replayed(given.replay, given)
  const problems: Array<string> = []
  const words = yield* source.words(given.script, audio)
  if (Result.isFailure(words)) problems.push(...words.failure)
  const faults: Array<Fault.Fault> = []
  for (const text of given.fault ?? []) {
    const fault = Fault.fromFlag(text)
    if (Result.isSuccess(fault)) faults.push(fault.success)
    else problems.push(`fault: ${fault.failure}`)
  }
  if (problems.length > 0 || Result.isFailure(words)) return Result.fail(problems)
  return Result.succeed({
    behaviour: { script: words.success.script, profile, closeMode: given.closeMode, faults, seed: given.seed },
    from: words.success.from
  })
})

/** A capture says all by itself. */
const replayed = Effect.fnUntraced(function*(
  path: string,
  given: Given
): Effect.fn.Return<Checked<Simulation>, never, FileSystem.FileSystem> {
  const fs = yield* FileSystem.FileSystem
  const { closeMode, fault, script, seed } = given
  const problems = Object.entries({ script, closeMode, fault, seed }).flatMap(([flag, value]) =>
    value === undefined ? [] : [`${flag}: --replay says it all; leave one of them out`])
  const text = yield* Effect.option(fs.readFileString(path))
  if (Option.isNone(text)) return Result.fail([...problems, `replay: ${path} cannot be read`])
  const recording = Recording.parse(text.value)
  if (Result.isFailure(recording)) {
    return Result.fail([...problems, ...recording.failure.map((problem) => `replay: ${path}: ${problem}`)])
  }
  if (problems.length > 0) return Result.fail(problems)
  const { header, notes } = recording.success
  for (const note of notes) yield* say(`warning: ${path}: ${note}`)
  const words = header.content ? "" : ", with words masked"
  return Result.succeed({
    behaviour: { replay: recording.success },
    from: `the server of ${path} answers again${words}`
  })
})

/** Where records go, one line each, in a new file that stays open as long as the Scope. */
export const ledgerFile = Effect.fnUntraced(function*(path: string): Effect.fn.Return<
  (record: Ledger.SessionRecord) => Effect.Effect<void>,
  CannotStart,
  FileSystem.FileSystem | Scope.Scope
> {
  const fs = yield* FileSystem.FileSystem
  const file = yield* Effect.mapError(fs.open(path, { flag: "w" }), (error) =>
    new CannotStart({ faults: [`ledger: ${path} cannot be written: ${error.reason.description ?? error.message}`] }))
  return (record) =>
    file.writeAll(new TextEncoder().encode(`${Ledger.line(record)}\n`)).pipe(
      Effect.catch((error) => say(`warning: ${path} cannot be written: ${error.message}`))
    )
})
