/** The command `flux-stt`: puts its parts together. */
import { createRequire } from "node:module"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as CliConfig from "effect/cli/CliConfig"
import * as CliOutput from "effect/cli/CliOutput"
import * as Command from "effect/cli/Command"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Schema from "effect/Schema"
import * as dashes from "./cli/dashes.ts"
import { doctor } from "./cli/doctor.ts"
import { faults } from "./cli/faults.ts"
import { presenter, tell } from "./cli/print.ts"
import { runMain } from "./cli/Shutdown.ts"
import { schema } from "./cli/schema.ts"
import { simulate } from "./cli/simulate.ts"
import * as telemetry from "./cli/telemetry.ts"
import { transcribe } from "./cli/transcribe.ts"

const Package = Schema.Struct({ version: Schema.String })
const { version } = Schema.decodeUnknownSync(Package)(createRequire(import.meta.url)("effect-flux-sagemaker/package.json"))

Command.make("flux-stt").pipe(
  Command.withDescription("Deepgram Flux speech-to-text on AWS SageMaker"),
  Command.withExamples([
    { command: "flux-stt transcribe --simulate", description: "A first look, without AWS" },
    { command: "flux-stt doctor --endpoint-name my-flux --region us-east-2", description: "Whether an endpoint can be reached, and if not, why" },
    { command: "source <(flux-stt --completions bash)", description: "Completion of commands and flags; zsh and fish too" }
  ]),
  Command.withSubcommands([transcribe, doctor, simulate, faults, schema]),
  Command.run({ version }),
  (run) => Effect.andThen(dashes.check, run),
  Effect.provide(telemetry.layer),
  Effect.tapCause(tell),
  Effect.provide(Layer.mergeAll(
    NodeServices.layer,
    Layer.succeed(Logger.LogToStderr, true),
    CliOutput.layerPresenter(presenter),
    CliConfig.layer({ builtIns: [GlobalFlag.Help, GlobalFlag.Version, GlobalFlag.Completions, GlobalFlag.LogLevel] })
  )),
  runMain
)
