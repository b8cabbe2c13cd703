/** The endpoints that `transcribe` can speak to. None of them connects yet. */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Capture from "../Capture.ts"
import type { FluxTransport, ProfileName } from "../FluxTransport.ts"
import * as flags from "./flags.ts"
import * as outputs from "./outputs.ts"
import { say } from "./print.ts"
import * as simulation from "./simulation.ts"

/** The values of `flags.endpoint`. */
type Endpoint = { readonly [Name in keyof typeof flags.endpoint]: string | undefined }

/** The endpoint on SageMaker that flags and environment name. */
export const sageMaker = Effect.fnUntraced(function*(endpoint: Endpoint, profile: ProfileName | undefined) {
  const SageMaker = yield* Effect.promise(() => import("../SageMakerTransport.ts"))
  const env = yield* flags.read(SageMaker.config)
  if (Result.isFailure(env)) return Result.fail(env.failure)
  const options = flags.overlay(env.success, { ...endpoint, capabilities: profile })
  return yield* Effect.result(Effect.mapError(SageMaker.make(options), (error) =>
    flags.faultsOf(error).map((fault) =>
      options.endpointName === undefined && fault.startsWith("endpointName")
        ? `${fault}; give --endpoint-name or FLUX_ENDPOINT_NAME, or try --simulate`
        : fault
    )))
})

/** A simulator in this process, which nothing of the user's AWS environment reaches, and its ledger. */
export const simulator = Effect.fnUntraced(function*(
  { behaviour, from }: simulation.Simulation,
  profile: ProfileName | undefined,
  ledger: string | undefined
) {
  const SimulatorServer = yield* Effect.promise(() => import("../simulator/SimulatorServer.ts"))
  const SageMaker = yield* Effect.promise(() => import("../SageMakerTransport.ts"))
  const onRecord = ledger === undefined ? undefined : yield* simulation.ledgerFile(ledger)
  const server = yield* SimulatorServer.make({ ...behaviour, oneCall: true, onRecord })
  yield* say(`simulating the endpoint; it does not recognise speech, ${from}`)
  const transport = yield* SageMaker.make({
    endpointName: "simulator",
    region: "us-east-1",
    endpointUrl: server.url,
    credentials: { accessKeyId: "simulator", secretAccessKey: "simulator" },
    capabilities: profile,
    useFips: false,
    useDualStack: false,
    proxy: false
  })
  return { transport, ledger: server.ledger }
})

/** A transport that writes what passes to a file; see `Capture`. */
export const captured = Effect.fnUntraced(function*(
  transport: FluxTransport["Service"],
  path: string,
  content: boolean
) {
  const written = yield* outputs.Written
  const file = yield* Effect.mapError(Capture.toFile(path), outputs.unwritable("capture", path))
  const write: Capture.Write = (lines) => Effect.tapError(file(lines), (error) => written.spoilt("capture", path, error))
  return yield* Capture.wrap(transport, { write, content })
})
