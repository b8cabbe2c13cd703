/** `flux-stt doctor`: what stands between this machine and a Flux endpoint, one line a check, and what to do about it. */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as TerminalCapabilities from "effect/cli/TerminalCapabilities"
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import { Unwell } from "./Failure.ts"
import * as Finding from "./Finding.ts"
import * as flags from "./flags.ts"
import type { Cut } from "./liveLine.ts"
import { quiet, write } from "./print.ts"

const config = {
  connect: Flag.Boolean("connect").pipe(
    Flag.withDescription("Open a real session too, with one second of silence; the endpoint counts it like any other"),
    Flag.withDefault(false)
  ),
  json: Flag.Boolean("json").pipe(
    Flag.withDescription("One finding as JSON a line"),
    Flag.withDefault(false)
  ),
  capabilities: flags.capabilities,
  endpoint: flags.endpoint,
  settings: flags.settings
}

type Input = Command.Command.Config.Infer<typeof config>

/** The command. Exit status 0 where nothing failed, 1 where something did. */
export const doctor = Command.make("doctor", config, (input) => quiet(run(input))).pipe(
  Command.withDescription("Checks what a call needs, from Node to the endpoint, and says what to do about what is wrong"),
  Command.withExamples([
    { command: "flux-stt doctor --endpoint-name my-flux --region us-east-2", description: "All but the session itself" },
    { command: "flux-stt doctor --endpoint-name my-flux --region us-east-2 --connect", description: "With a session of a second" },
    { command: "flux-stt doctor --json > findings.ndjson", description: "For a ticket: it holds no credentials" }
  ])
)

const run = Effect.fnUntraced(function*(input: Input) {
  const { checks, examine } = yield* Effect.promise(() => import("./examination.ts"))
  const { canAnimate, canColor } = yield* TerminalCapabilities.TerminalCapabilities
  const Screen = canAnimate && !input.json ? yield* Effect.promise(() => import("./Screen.ts")) : undefined
  let failed = 0
  let made = 0
  const lineOf = (finding: Finding.Finding): string =>
    input.json ? JSON.stringify(finding) : `${Screen?.erase ?? ""}${Finding.text(finding, canColor)}`
  const examined = Effect.gen(function*() {
    const lines = yield* Queue.unbounded<string, Cause.Done>()
    const examining = yield* examine(input, (finding) => {
      made++
      if (finding.state === "failed") failed++
      return Queue.offer(lines, lineOf(finding))
    }).pipe(Effect.ensuring(Queue.end(lines)), Effect.forkScoped({ startImmediately: true }))
    yield* write(Stream.fromQueue(lines))
    // to its end for the sake of the status, also where nobody reads
    yield* Fiber.join(examining)
  })
  // some checks take seconds to find that nobody answers
  const underWay = (columns: number, cut: Cut): string => cut(`...   ${checks(input.connect)[made] ?? ""}`, columns)
  yield* Effect.scoped(Screen === undefined ? examined : Effect.andThen(Screen.show(underWay), examined))
  if (failed > 0) return yield* new Unwell({ failed })
})
