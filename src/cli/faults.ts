/** `flux-stt faults`: what the simulator can be told to do wrong. */
import * as Command from "effect/cli/Command"
import * as Fault from "../simulator/Fault.ts"
import * as Output from "./Output.ts"
import { answer } from "./print.ts"

/** The command. */
export const faults = Command.make("faults", {}, () => answer(Output.faults(Fault.menu))).pipe(
  Command.withDescription("Lists what the simulator can be told to do wrong"),
  Command.withExamples([
    {
      command: "flux-stt transcribe --simulate --fault model-stream-error,turn=1,after=0.5",
      description: "The container breaks in the second turn"
    }
  ])
)
