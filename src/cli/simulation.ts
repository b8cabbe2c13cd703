/** The flags that say how the simulator behaves, for `simulate` and for `transcribe --simulate`. */
import type * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import type { ProfileName } from "../FluxTransport.ts"
import type { Behaviour } from "../simulator/Endpoint.ts"
import * as Fault from "../simulator/Fault.ts"
import * as Ledger from "../simulator/Ledger.ts"
import * as Recording from "../simulator/Recording.ts"
import { CloseMode } from "../simulator/Script.ts"
import type { CannotStart } from "./Failure.ts"
import { type Checked, file, makeFaults, optional, repeatable } from "./flags.ts"
import * as inputs from "./inputs.ts"
import * as outputs from "./outputs.ts"
import { say } from "./print.ts"
import * as source from "./source.ts"

/** What the simulator does. Not checked here, so that all that is wrong can be told together. */
export const flags = {
  script: optional(file("script")).pipe(
    Flag.withMetavar("FILE"),
    Flag.withDescription("What the simulator hears: text, one line a turn, or JSON (see flux-stt schema script)")
  ),
  closeMode: optional(Flag.Literals("close-mode", CloseMode.literals)).pipe(
    Flag.withDescription("What the simulator answers to CloseStream in an open turn (default update)")
  ),
  fault: repeatable(Flag.String("fault")).pipe(
    Flag.withMetavar("NAME[,KEY=VALUE...]"),
    Flag.withDescription("What goes wrong, such as mute,turn=1,after=0.5 (see flux-stt faults); may be repeated")
  ),
  seed: optional(Flag.Int("seed")).pipe(
    Flag.withDescription("For faults that are left to chance: the same seed gives the same faults (default 1)")
  ),
  replay: optional(file("replay")).pipe(
    Flag.withMetavar("FILE"),
    Flag.withDescription("Answer as the server did whose calls FILE holds (see transcribe --capture)")
  ),
  ledger: optional(file("ledger")).pipe(
    Flag.withMetavar("FILE"),
    Flag.withDescription("Write what each session received and sent to FILE, one JSON object a line")
  )
}

/** The values of {@link flags}. */
export type Given = Command.Command.Config.Infer<typeof flags>

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
  const faults = makeFaults()
  const words = faults.collect(yield* source.words(given.script, audio))
  const simulated = (given.fault ?? []).flatMap((text) => {
    const fault = faults.collect(Result.mapError(Fault.fromFlag(text), (problem) => [`fault: ${problem}`]))
    return fault === undefined ? [] : [fault]
  })
  if (words === undefined || faults.all.length > 0) return Result.fail(faults.all)
  return Result.succeed({
    behaviour: { script: words.script, profile, closeMode: given.closeMode, faults: simulated, seed: given.seed },
    from: words.from
  })
})

/** A flag that says what a capture says by itself. */
export const notWithReplay = (flag: string): string => `${flag}: --replay says it all; leave one of them out`

/** A capture says all by itself. */
const replayed = Effect.fnUntraced(function*(
  path: string,
  { closeMode, fault, script, seed }: Given
): Effect.fn.Return<Checked<Simulation>, never, FileSystem.FileSystem> {
  const faults = makeFaults()
  for (const [flag, value] of Object.entries({ script, closeMode, fault, seed })) {
    if (value !== undefined) faults.add(notWithReplay(flag))
  }
  const recording = faults.collect(Result.flatMap(yield* inputs.read("replay", path), (text) =>
    Result.mapError(Recording.parse(text), (problems) => problems.map((problem) => `replay: ${path}: ${problem}`))))
  if (recording === undefined || faults.all.length > 0) return Result.fail(faults.all)
  for (const note of recording.notes) yield* say(`warning: ${path}: ${note}`)
  const words = recording.header.content ? "" : ", with words masked"
  return Result.succeed({ behaviour: { replay: recording }, from: `the server of ${path} answers again${words}` })
})

/** Where records go, one line each, in a new file that stays open as long as the Scope. */
export const ledgerFile = Effect.fnUntraced(function*(path: string): Effect.fn.Return<
  (record: Ledger.SessionRecord) => Effect.Effect<void>,
  CannotStart,
  FileSystem.FileSystem | Scope.Scope | outputs.Written
> {
  const written = yield* outputs.Written
  const fs = yield* FileSystem.FileSystem
  const file = yield* Effect.mapError(fs.open(path, { flag: "w" }), outputs.unwritable("ledger", path))
  let isWhole = true
  return (record) =>
    Effect.catch(file.writeAll(new TextEncoder().encode(`${Ledger.line(record)}\n`)), (error) => {
      const told = isWhole ? say(`warning: ledger: ${path} cannot be written`) : Effect.void
      isWhole = false
      return Effect.andThen(told, written.spoilt("ledger", path, error))
    })
})
