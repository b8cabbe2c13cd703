/** Many long calls under every fault at random: what came of them, in a table. Exit status 1 where an invariant is broken. */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as CliConfig from "effect/cli/CliConfig"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Runtime from "effect/Runtime"
import * as Schema from "effect/Schema"
import * as Output from "../../src/cli/Output.ts"
import * as Ledger from "../../src/simulator/Ledger.ts"
import { runInProcess } from "../../test/soak/inProcess.ts"
import { runOverTheWire } from "../../test/soak/overTheWire.ts"
import * as soak from "../../test/soak/run.ts"
import * as tallies from "../../test/soak/tally.ts"
import { kept } from "../../test/support/memory.ts"

const positive = (number: number): boolean => number > 0

const config = {
  conversations: Flag.Int("conversations").pipe(
    Flag.filter(positive, () => "Expected one or more"),
    Flag.withDescription("How many calls (default 100); ten share an endpoint"),
    Flag.withDefault(100)
  ),
  minutes: Flag.Finite("minutes").pipe(
    Flag.filter(positive, () => "Expected more than 0"),
    Flag.withDescription("How long each of them is (default 10)"),
    Flag.withDefault(10)
  ),
  seed: Flag.Int("seed").pipe(
    Flag.withDescription("What is said, done and broken (default 1); the same seed gives the same run, save with --wire"),
    Flag.withDefault(1)
  ),
  intensity: Flag.Finite("intensity").pipe(
    Flag.filter((number) => number >= 0, () => "Expected 0 or more"),
    Flag.withDescription("How often things go wrong (default 1: in two of three sessions of long calls); 0 is never"),
    Flag.withDefault(1)
  ),
  acts: Flag.Boolean("acts").pipe(
    Flag.withDescription("Callers change settings, mute, end turns and pause, too (default); --no-acts: they only speak"),
    Flag.withDefault(true)
  ),
  wire: Flag.Boolean("wire").pipe(
    Flag.withDescription("Over HTTP/2 to a simulator in this process, twenty calls at a time, in place of virtual time"),
    Flag.withDefault(false)
  ),
  speed: Flag.Finite("speed").pipe(
    Flag.filter((number) => number >= 1, () => "Expected 1 or more"),
    Flag.withDescription("With --wire: times real time at which audio comes (default 10)"),
    Flag.withDefault(10)
  ),
  show: Flag.Int("show").pipe(
    Flag.withMetavar("NUMBER"),
    Flag.withDescription("Run only the calls that share an endpoint with this one, and print its events, then the endpoint's records of its sessions, as NDJSON"),
    Flag.optional
  )
}

type Input = Command.Command.Config.Infer<typeof config>

/** Told already, by the lines above the table. */
class InvariantBroken extends Schema.TaggedError<InvariantBroken>()("InvariantBroken", {}) {
  override readonly [Runtime.errorReported] = false
}

const run = Effect.fnUntraced(function*({ acts, conversations, intensity, minutes, seed, show, speed, wire }: Input) {
  const seconds = minutes * 60
  const heap: Array<number> = []
  const measure = Effect.map(kept, (bytes) => void heap.push(bytes))
  const total = conversations * seconds
  let offered = 0
  const shown = Option.getOrUndefined(show)
  const plan: soak.Plan = {
    conversations, seconds, seed, intensity, acts,
    watch: (id) => shown !== undefined && id === soak.idOf(shown) ? printing : undefined,
    onOffered: (more) => {
      offered += more
      return wire && heap.length === 0 && offered >= total / 10 ? measure : Effect.void
    }
  }
  const tally = tallies.make()
  const all = soak.groups(plan).filter((_, at) => shown === undefined || at === Math.floor(shown / soak.groupSize))
  yield* Effect.forEach(all, (group, at) =>
    Effect.gen(function*() {
      const reports = yield* wire ? runOverTheWire(group(), { speed, connections: at % 2 === 0 ? "isolated" : "shared" }) : runInProcess(group())
      for (const report of reports) tally.add(report)
      if (!wire && heap.length === 0 && offered >= total / 10) yield* measure
    }), { concurrency: wire ? 2 : 1, discard: true })
  yield* measure
  const wrong = tally.wrong()
  for (const line of wrong) yield* Console.log(`seed ${seed}, ${line}`)
  const [early = Number.NaN, late = Number.NaN] = heap
  const rows = { ...tally.rows(), "heap at a tenth, MB": megabytes(early), "heap at the end, MB": megabytes(late) }
  yield* Console.table(Object.fromEntries(Object.entries(rows).map(([name, value]) => [name, { value }])))
  if (wrong.length > 0) return yield* new InvariantBroken({})
})

const printing: soak.Watch = {
  event: (event) => console.log(Output.json(event)),
  session: (record) => console.log(Ledger.line(record))
}

const megabytes = (bytes: number): number => Math.round(bytes / 1e5) / 10

Command.make("soak", config, run).pipe(
  Command.withDescription("Many long calls under every fault at random, and what came of them"),
  Command.run({ version: "" }),
  Effect.provide(Layer.mergeAll(NodeServices.layer, CliConfig.layer({ builtIns: [GlobalFlag.Help] }))),
  NodeRuntime.runMain
)
