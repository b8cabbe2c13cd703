/** `flux-stt simulate`: the simulator of the endpoint as a server of its own. */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import { profiles } from "../FluxTransport.ts"
import { CannotStart } from "./Failure.ts"
import * as flags from "./flags.ts"
import { say } from "./print.ts"
import { Shutdown } from "./Shutdown.ts"
import * as source from "./source.ts"

const config = {
  port: Flag.Int("port").pipe(
    Flag.filter((port) => port >= 0 && port <= 65_535, (port) => `Expected a port from 0 to 65535, got ${port}`),
    Flag.withDescription("Port to listen on; 0 takes any that is free"),
    Flag.withDefault(8443)
  ),
  host: Flag.String("host").pipe(
    Flag.withDescription("Address to listen on"),
    Flag.withDefault("127.0.0.1")
  ),
  script: Flag.String("script").pipe(
    Flag.withMetavar("FILE"),
    Flag.withDescription("What it hears, one line a turn, from the start in each session (default: placeholders)"),
    Flag.optional
  ),
  closeMode: Flag.Literals("close-mode", ["update", "end-of-turn"]).pipe(
    Flag.withDescription("What it answers to CloseStream in an open turn"),
    Flag.withDefault("update")
  ),
  capabilities: flags.capabilities,
  verifyCredentials: Flag.Redacted("verify-credentials").pipe(
    Flag.withMetavar("KEY:SECRET"),
    Flag.withDescription("Check the signatures of requests and of every chunk (default: only that there are some)"),
    Flag.optional
  )
}

type Input = Command.Command.Config.Infer<typeof config>

/** The command. It runs until a signal ends it, with exit status 0. */
export const simulate = Command.make("simulate", config, (input) => Effect.scoped(run(input))).pipe(
  Command.withDescription("Runs a simulator of the SageMaker endpoint, which does not recognise speech, until interrupted"),
  Command.withExamples([
    { command: "flux-stt simulate --script words.txt", description: "On port 8443, with words of one's own" }
  ])
)

const run = Effect.fnUntraced(function*(input: Input) {
  const SimulatorServer = yield* Effect.promise(() => import("../simulator/SimulatorServer.ts"))
  const shutdown = yield* Shutdown
  const words = yield* source.words(Option.getOrUndefined(input.script), undefined)
  const credentials = parseCredentials(Option.getOrUndefined(input.verifyCredentials))
  const profile = yield* flags.profile(input.capabilities)
  if (Result.isFailure(words)) return yield* new CannotStart({ faults: words.failure })
  if (Result.isFailure(profile)) return yield* new CannotStart({ faults: profile.failure })
  if (Result.isFailure(credentials)) return yield* new CannotStart({ faults: credentials.failure })

  yield* shutdown.graceful(Effect.fnUntraced(function*(asked) {
    const { url } = yield* SimulatorServer.make({
      host: input.host,
      port: input.port,
      script: words.success.script,
      closeMode: input.closeMode,
      limits: profile.success && profiles[profile.success],
      verifyCredentials: credentials.success
    })
    yield* say(`simulating the endpoint at ${url}; it does not recognise speech, ${words.success.from}`)
    yield* say(`try: ${tryOut(url, credentials.success)}`)
    yield* asked
  }))
})

interface Credentials {
  readonly accessKeyId: string
  readonly secretAccessKey: Redacted.Redacted
}

const parseCredentials = (given: Redacted.Redacted | undefined): flags.Checked<Credentials | undefined> => {
  if (given === undefined) return Result.succeed(undefined)
  const [, accessKeyId, secret] = /^([^:]+):(.+)$/s.exec(Redacted.value(given)) ?? []
  if (accessKeyId === undefined || secret === undefined) {
    return Result.fail(["verifyCredentials: must be an access key id and a secret access key, parted by a colon"])
  }
  return Result.succeed({ accessKeyId, secretAccessKey: Redacted.make(secret) })
}

/** A line for the shell. Without verification any credentials will do. */
const tryOut = (url: string, credentials: Credentials | undefined): string =>
  [
    `AWS_ACCESS_KEY_ID=${credentials?.accessKeyId ?? "any"}`,
    `AWS_SECRET_ACCESS_KEY=${credentials === undefined ? "any" : "..."}`,
    "flux-stt transcribe",
    `--endpoint-url ${url}`,
    "--endpoint-name simulator --region us-east-1",
    JSON.stringify(source.sample)
  ].join(" ")
