/** `flux-stt simulate`: the simulator of the endpoint as a server of its own. */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as awsKeys from "../internal/awsKeys.ts"
import { isName, nameRule } from "../internal/endpointName.ts"
import * as textFile from "../internal/textFile.ts"
import { CannotStart } from "./Failure.ts"
import * as flags from "./flags.ts"
import * as inputs from "./inputs.ts"
import * as outputs from "./outputs.ts"
import { say } from "./print.ts"
import { Shutdown } from "./Shutdown.ts"
import * as simulation from "./simulation.ts"
import * as source from "./source.ts"

const config = {
  port: Flag.Int("port").pipe(
    Flag.filter((port) => port >= 0 && port <= 65_535, (port) => `Expected a port from 0 to 65535, got ${port}`),
    Flag.withDescription("Port to listen on (default 8443); 0 takes any that is free"),
    Flag.withDefault(8443)
  ),
  host: Flag.String("host").pipe(
    Flag.withDescription("Address to listen on (default 127.0.0.1)"),
    Flag.withDefault("127.0.0.1")
  ),
  endpointNames: flags.repeatable(Flag.String("endpoint-name")).pipe(
    Flag.withMetavar("NAME"),
    Flag.withDescription("Endpoint that there is; may be repeated. Another is refused as not found (default: every name is served)")
  ),
  simulation: simulation.flags,
  oneCall: Flag.Boolean("one-call").pipe(
    Flag.withDescription(
      "All sessions are of one call: a line is said until its turn has ended, by whichever session hears it (default: each begins with the first line)"
    ),
    Flag.withDefault(false)
  ),
  capabilities: flags.capabilities,
  tls: Flag.Boolean("tls").pipe(
    Flag.withDescription("Serve TLS, with a certificate made at start unless --cert and --key give one"),
    Flag.withDefault(false)
  ),
  cert: flags.optional(flags.file("cert")).pipe(
    Flag.withMetavar("FILE"),
    Flag.withDescription("Certificate to serve TLS with, as PEM")
  ),
  key: flags.optional(flags.file("key")).pipe(
    Flag.withMetavar("FILE"),
    Flag.withDescription("Its private key, as PEM")
  ),
  verifyCredentials: flags.optional(Flag.Redacted("verify-credentials")).pipe(
    Flag.withMetavar("KEY:SECRET"),
    Flag.withDescription("Check the signatures of requests and of every chunk (default: only that there are some)")
  )
}

type Input = Command.Command.Config.Infer<typeof config>

/** The command. It runs until a signal ends it, with exit status 0. */
export const simulate = Command.make("simulate", config, (input) => outputs.whole(run(input))).pipe(
  Command.withDescription("Runs a simulator of the SageMaker endpoint, which does not recognise speech, until interrupted"),
  Command.withExamples([
    { command: "flux-stt simulate --script words.txt", description: "On port 8443, with words of one's own" },
    {
      command: "flux-stt simulate --tls --fault reset,at=2.5,chance=0.1 --seed 7 --ledger ledger.ndjson",
      description: "Over TLS, breaking every tenth session"
    },
    {
      command: "flux-stt simulate --one-call --script words.txt --fault reset,turn=1,session=0",
      description: "Whether a client goes on after a break, in the words that it had come to"
    },
    { command: "flux-stt simulate --replay call.ndjson", description: "As the server answered whose call was captured" }
  ])
)

const run = Effect.fnUntraced(function*(input: Input) {
  const SimulatorServer = yield* Effect.promise(() => import("../simulator/SimulatorServer.ts"))
  const shutdown = yield* Shutdown
  const { all, add, collect } = flags.makeFaults()
  const profile = collect(yield* flags.profile(input.capabilities))
  const simulated = collect(yield* simulation.read(input.simulation, profile, undefined))
  if (input.oneCall && input.simulation.replay !== undefined) add(simulation.notWithReplay("oneCall"))
  add(...(yield* outputs.check({ ledger: input.simulation.ledger })))
  const endpointNames = collect(parseNames(input.endpointNames))
  const credentials = collect(parseCredentials(input.verifyCredentials))
  const tls = collect(yield* certificate(input))
  if (all.length > 0 || simulated === undefined) return yield* new CannotStart({ faults: all })

  const { ledger } = input.simulation
  const onRecord = ledger === undefined ? undefined : yield* simulation.ledgerFile(ledger)
  yield* shutdown.graceful(Effect.fnUntraced(function*(asked) {
    const server = yield* SimulatorServer.make({
      ...simulated.behaviour,
      oneCall: input.oneCall,
      host: input.host,
      port: input.port,
      endpointNames,
      tls,
      onRecord,
      verifyCredentials: credentials
    }).pipe(Effect.catchTag("CertificateFailed", ({ problem }) => Effect.fail(new CannotStart({ faults: [`tls: ${problem}`] }))))
    const caFile = server.certificate === undefined ? undefined : yield* certificateFile(server.certificate)
    yield* say(`simulating the endpoint at ${server.url}; it does not recognise speech, ${simulated.from}`)
    yield* say(`try: ${tryOut(server.url, endpointNames?.[0] ?? "simulator", credentials, caFile)}`)
    yield* asked
  }))
})

/** What to serve TLS with: the files of the flags, or `true` for one that is made at start. */
const certificate = Effect.fnUntraced(function*(
  { cert, key, tls }: Input
): Effect.fn.Return<flags.Checked<boolean | { readonly cert: string; readonly key: string }>, never, FileSystem.FileSystem> {
  if (cert === undefined && key === undefined) return Result.succeed(tls)
  if (cert === undefined || key === undefined) return Result.fail(["tls: give both --cert and --key, or neither"])
  const { all, collect } = flags.makeFaults()
  const pem = { cert: collect(yield* inputs.read("cert", cert, textFile.decodePem)), key: collect(yield* inputs.read("key", key, textFile.decodePem)) }
  return pem.cert === undefined || pem.key === undefined ? Result.fail(all) : Result.succeed({ cert: pem.cert, key: pem.key })
})

/** A file for clients to trust, which goes with the simulator. */
const certificateFile = Effect.fnUntraced(function*(pem: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* fs.makeTempFileScoped({ prefix: "flux-stt-", suffix: ".pem" })
  yield* fs.writeFileString(path, pem)
  return path
}, Effect.mapError((error) => new CannotStart({ faults: [`tls: no file for the certificate: ${error.message}`] })))

/** A name that breaks SageMaker's pattern could never be found. */
const parseNames = (given: ReadonlyArray<string> | undefined): flags.Checked<ReadonlyArray<string> | undefined> => {
  const wrong = (given ?? []).filter((name) => !isName(name))
  return wrong.length === 0
    ? Result.succeed(given)
    : Result.fail(wrong.map((name) => `endpointName: ${JSON.stringify(name)} ${nameRule}`))
}

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
  const found = awsKeys.problemOf({ accessKeyId, secretAccessKey: secret })
  return found === undefined
    ? Result.succeed({ accessKeyId, secretAccessKey: Redacted.make(secret) })
    : Result.fail([`verifyCredentials: the ${awsKeys.names[found.key]} ${found.problem}: give the keys alone`])
}

/** A line for the shell. Without verification any credentials will do. */
const tryOut = (
  url: string,
  endpointName: string,
  credentials: Credentials | undefined,
  caFile: string | undefined
): string =>
  [
    `AWS_ACCESS_KEY_ID=${credentials?.accessKeyId ?? "any"}`,
    `AWS_SECRET_ACCESS_KEY=${credentials === undefined ? "any" : "..."}`,
    "flux-stt transcribe",
    `--endpoint-url ${url}`,
    `--endpoint-name ${endpointName} --region us-east-1`,
    ...(caFile === undefined ? [] : [`--ca-file ${caFile}`]),
    JSON.stringify(source.sample)
  ].join(" ")
