/** What is sent: only what the endpoint takes, and a good end (design 5; 7: 4). */
import { assert } from "@effect/vitest"
import * as Exit from "effect/Exit"
import type { Capabilities } from "../../../src/FluxTransport.ts"
import type { OtherSide, Outcome } from "../run.ts"

/** See the module. */
export const wire = (outcome: Outcome, capabilities: Capabilities, { frees }: OtherSide): void => {
  const { entries, events, finished, leftStatus, user, witness } = outcome
  assert.deepStrictEqual(witness.wrong, [])
  const allowed = new Set(["CloseStream", ...(capabilities.configure ? ["Configure"] : []), ...(capabilities.forceEndTurn ? ["ForceEndTurn"] : [])])
  const types = witness.sent.flatMap(({ type }) => (type === undefined ? [] : [type]))
  assert.deepStrictEqual(types.filter((type) => !allowed.has(type)), [], "sends what the endpoint does not take")

  // a good end: CloseStream, the body's end, disconnect; one of each
  const steps = entries.flatMap(({ detail, what }) =>
    what === "end" || what === "disconnect" || detail.includes("CloseStream") ? [what] : [])
  if (finished !== undefined && Exit.isSuccess(finished)) assert.deepStrictEqual(steps, frees ? ["text", "end", "disconnect"] : ["text", "end"])
  // whoever leaves in the middle says so, and does not wait for the tail; a session that is being freed has failed
  else if (finished === undefined && leftStatus === "ready" && frees) {
    assert.strictEqual(steps[0], "text", "no CloseStream")
    assert.strictEqual(witness.bodyEnded.length, 0, "the body ends before the tail")
  }
  // a connection that refuses to be freed is left behind
  assert.strictEqual(steps.filter((what) => what === "disconnect").length, frees ? 1 : 0, "disconnects")
  assert.isAtMost(witness.sent.filter(({ type }) => type === "CloseStream").length, 1, "CloseStreams")

  // what comes and goes is told
  const told = events.filter(({ type }) => type === "Connected" || type === "Disconnected").map(({ type }) => type)
  if (outcome.ending !== undefined) {
    assert.deepStrictEqual(told, witness.connectedAt === undefined ? [] : ["Connected", "Disconnected"])
    const last = events.at(-1)
    if (witness.connectedAt !== undefined) assert.strictEqual(last?.type, "Disconnected")
  } else if (user.consumer !== "stops") assert.fail("nobody knows how it ended")
}
