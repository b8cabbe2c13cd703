/** `flux-stt schema`: the shapes of what the command reads and writes, as JSON Schema. */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as FluxEvent from "../FluxEvent.ts"
import * as Ledger from "../simulator/Ledger.ts"
import * as Recording from "../simulator/Recording.ts"
import * as Script from "../simulator/Script.ts"
import { answer } from "./print.ts"

const schemas = {
  event: FluxEvent.jsonSchema,
  script: Script.jsonSchema,
  ledger: Ledger.jsonSchema,
  capture: Recording.jsonSchema
}

const config = {
  of: Argument.Literals("of", ["event", "script", "ledger", "capture"]).pipe(
    Argument.withMetavar("event|script|ledger|capture"),
    Argument.withDescription("A line of transcribe --json after the first, a script, a line of a ledger, or a line of a capture")
  )
}

/** The command. */
export const schema = Command.make("schema", config, ({ of }) => answer(JSON.stringify(schemas[of](), null, 2))).pipe(
  Command.withDescription("Prints the JSON Schema of what flux-stt reads and writes"),
  Command.withExamples([
    { command: "flux-stt schema event > event.schema.json", description: "Of the events of transcribe --json" },
    { command: "flux-stt schema script", description: "Of the JSON form of simulate --script" }
  ])
)
