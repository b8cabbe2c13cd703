/** Changes of settings: what was refused is told and taken back, and the session knows what is in force (7: 5). */
import { assert } from "@effect/vitest"
import * as Exit from "effect/Exit"
import { configure } from "../../../src/FluxMessage.ts"
import type { Configured, Made } from "../peer.ts"
import type { Outcome } from "../run.ts"
import type { Saying } from "../script.ts"
import { reasonOf } from "../../support/session.ts"

const keysOf = ({ change: { keyterms, thresholds } }: Configured): ReadonlyArray<string> => [
  ...(thresholds?.eot_threshold === undefined ? [] : ["eotThreshold"]),
  ...(thresholds?.eager_eot_threshold === undefined ? [] : ["eagerEotThreshold"]),
  ...(thresholds?.eot_timeout_ms === undefined ? [] : ["eotTimeoutMs"]),
  ...(keyterms === undefined ? [] : ["keyterm"])
]
const namesOf = (outcome: Outcome, type: "SettingsApplied" | "SettingsRejected"): ReadonlyArray<ReadonlyArray<string>> =>
  outcome.events.flatMap((event) =>
    event.type === type && !(event.type === "SettingsRejected" && event.code !== "X") ? [event.settings] : [])

/** See the module. */
export const settings = (outcome: Outcome, { active, configures, wrong }: Made, says: ReadonlySet<Saying>): void => {
  const { ending, updates, wanted, witness } = outcome
  assert.deepStrictEqual(wrong, [])
  for (const { change } of configures) assert.isAbove(configure(change).length, `{"type":"Configure"}`.length, "an empty Configure")
  for (const exit of updates) {
    if (Exit.isSuccess(exit)) continue
    assert.isFalse(Exit.hasDies(exit), String(exit))
  }
  // what comes before its Configure was sent is taken for the answer, as it may be
  if (says.has("stale-echo") || says.has("failure")) return
  assert.deepStrictEqual(witness.configuresOut, [], "two Configures are out")
  if (ending === undefined) return
  // each answer that was read is told, with the settings that it is of
  const read = witness.read.map(({ message }) => message.type)
  const answered = (answer: Configured["answer"]): ReadonlyArray<ReadonlyArray<string>> =>
    configures.filter((configured) => configured.answer === answer).map(keysOf)
  const refused = namesOf(outcome, "SettingsRejected")
  const refusals = read.filter((type) => type === "ConfigureFailure").length
  assert.deepStrictEqual(refused, answered("no").slice(0, refusals), "refused settings")
  const successes = read.filter((type) => type === "ConfigureSuccess").length
  if (configures.every(({ answer }) => answer !== "never")) {
    const taken = configures.filter(({ answer }) => answer !== "no").map(keysOf)
    assert.deepStrictEqual(namesOf(outcome, "SettingsApplied"), taken.slice(0, successes), "settings that are in force")
    // all is answered: both sides agree
    if (successes + refusals === configures.length) {
      const { eotThreshold = 0.7, eotTimeoutMs = 5000, keyterm } = outcome.settings
      const told = { eot: eotThreshold, timeout: eotTimeoutMs, keyterms: keyterm }
      if (updates.every(isSettled)) assert.deepStrictEqual(told, { ...active() }, "both sides know what is in force")
      // the latest change is in force, where every change was
      if (wanted !== undefined && updates.every(Exit.isSuccess)) {
        assert.deepStrictEqual(told, { eot: wanted.eotThreshold ?? 0.7, timeout: wanted.eotTimeoutMs ?? 5000, keyterms: wanted.keyterm })
      }
    }
  }
}

/** Not cut off by the end of the session. */
const isSettled = (exit: Exit.Exit<unknown, unknown>): boolean => {
  const reason = reasonOf(exit)
  return Exit.isSuccess(exit) || (typeof reason === "object" && reason !== null && "_tag" in reason && reason._tag === "SettingsRefused")
}
