/** What `flux-stt doctor` finds: one line a check. Pure. */
import { styleText } from "node:util"
import * as FluxError from "../FluxError.ts"
import { plain } from "./plain.ts"

/** The outcome of one check. */
export interface Finding {
  readonly check: string
  /** `skipped`: it could not be checked, most often as one before it failed. */
  readonly state: "ok" | "warning" | "failed" | "skipped"
  /** What was found. */
  readonly found: string
  /** What to do about it. */
  readonly todo?: string
}

/** The endpoint that is asked for, as far as it is known. */
export interface Target {
  readonly name: string | undefined
  readonly region: string | undefined
}

/** A check that found all well. */
export const ok = (check: string, found: string): Finding => ({ check, state: "ok", found })
/** One that found what a call lives with, and somebody should look at. */
export const warning = (check: string, found: string, todo: string): Finding => ({ check, state: "warning", found, todo })
/** One that found what no call lives with. */
export const failed = (check: string, found: string, todo: string): Finding => ({ check, state: "failed", found, todo })
/** One that was not made, and why. */
export const skipped = (check: string, found: string): Finding => ({ check, state: "skipped", found })

/** A failed check by the error it met: what happened, and what to do, for this very endpoint. */
export const fromError = (check: string, { hint, reason, requestId }: FluxError.FluxError, target: Target): Finding => {
  const request = requestId === undefined || requestId === "" ? "" : ` (request ${requestId})`
  return failed(check, `${reason._tag}: ${reason.message}${request}`, `${located(hint, target)}.`)
}

/** A hint that names the log group, and whom a policy must allow, in full. */
const located = (hint: string, { name = "<endpoint name>", region = "*" }: Target): string =>
  hint
    .replace(/CloudWatch log group(?! \/)/, `$& ${FluxError.logGroup(name)}`)
    .replace(`${FluxError.action} on the endpoint`, `${FluxError.action} on arn:*:sagemaker:${region}:*:endpoint/${name.toLowerCase()}`)

const words = { ok: "ok", warning: "warn", failed: "FAIL", skipped: "skip" } as const
const colours = { ok: "green", warning: "yellow", failed: "red", skipped: "dim" } as const
const [wordWidth, checkWidth] = [6, 13]

/** A finding as text; what to do stands on a line of its own. */
export const text = ({ check, found, state, todo }: Finding, colour: boolean): string => {
  const word = words[state].padEnd(wordWidth)
  // whether to is decided by whoever asks
  const shown = colour ? styleText(colours[state], word, { validateStream: false }) : word
  const indent = " ".repeat(wordWidth + checkWidth)
  return `${shown}${check.padEnd(checkWidth)}${plain(found)}${todo === undefined ? "" : `\n${indent}-> ${plain(todo)}`}`
}
