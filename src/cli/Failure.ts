/** How the command fails: exit status and what stderr says. */
import * as Cause from "effect/Cause"
import * as CliError from "effect/cli/CliError"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import { FluxError } from "../FluxError.ts"
import { plain } from "./plain.ts"

/** Everything that is wrong with what was asked for, found before any connection. */
export class CannotStart extends Schema.TaggedError<CannotStart>()("CannotStart", {
  faults: Schema.Array(Schema.String)
}) {
  override get message(): string {
    return this.faults.length === 1
      ? this.faults.join("")
      : `${this.faults.length} things are wrong:\n${this.faults.map((fault) => `  ${fault}`).join("\n")}`
  }
}

/** Input or output broke while running. */
export class Broken extends Schema.TaggedError<Broken>()("Broken", { what: Schema.String, cause: Schema.Defect() }) {
  override get message(): string {
    return `${this.what}: ${this.cause instanceof Error ? this.cause.message : String(this.cause)}`
  }
}

/** `doctor` has found, and told, what is wrong. */
export class Unwell extends Schema.TaggedError<Unwell>()("Unwell", { failed: Schema.Int }) {
  override get message(): string {
    return this.failed === 1 ? "one check failed" : `${this.failed} checks failed`
  }
}

/** 0 done, 2 usage, settings or bad input, 130 interrupted, 1 everything else. */
export const exitStatus = <A, E>(exit: Exit.Exit<A, E>): number => {
  if (Exit.isSuccess(exit)) return 0
  if (Cause.hasInterruptsOnly(exit.cause)) return 130
  const error = Cause.squash(exit.cause)
  if (error instanceof CannotStart) return 2
  if (CliError.isCliError(error)) return error._tag === "ShowHelp" && error.errors.length === 0 ? 0 : 2
  const wrong = ["InvalidSettings", "UnsupportedAudio", "UnsupportedByEndpoint"]
  return error instanceof FluxError && wrong.includes(error.reason._tag) ? 2 : 1
}

/** What to say of a failure; undefined where it was said already, or nothing failed. */
export const report = <E>(cause: Cause.Cause<E>): string | undefined => {
  if (Cause.hasInterruptsOnly(cause)) return undefined
  const error = Cause.squash(cause)
  // told by the parser of the command line
  if (CliError.isCliError(error)) return undefined
  if (error instanceof FluxError) {
    const request = error.requestId === undefined ? "" : `, request ${error.requestId}`
    return `flux-stt: ${plain(error.reason.message)}\n  ${error.hint}.\n  Stage: ${error.stage}${request}.`
  }
  return `flux-stt: ${error instanceof Error ? error.message : String(error)}`
}
