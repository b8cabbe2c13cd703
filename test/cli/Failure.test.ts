import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as CliError from "effect/cli/CliError"
import * as Exit from "effect/Exit"
import { Broken, CannotStart, exitStatus, report } from "../../src/cli/Failure.ts"
import * as FluxError from "../../src/FluxError.ts"

const flux = (reason: FluxError.Reason, stage: FluxError.Stage, requestId?: string): FluxError.FluxError =>
  FluxError.make(reason, stage, requestId)
const usage = new CliError.ShowHelp({
  commandPath: ["flux-stt"],
  errors: [new CliError.MissingArgument({ argument: "file" })]
})

describe("Failure", () => {
  it("has an exit status for each kind", () => {
    assert.strictEqual(exitStatus(Exit.void), 0)
    assert.strictEqual(exitStatus(Exit.interrupt(1)), 130)
    const statusOf = (error: unknown): number => exitStatus(Exit.fail(error))
    assert.strictEqual(statusOf(new CannotStart({ faults: ["x"] })), 2)
    assert.strictEqual(statusOf(usage), 2)
    assert.strictEqual(statusOf(new CliError.ShowHelp({ commandPath: ["flux-stt"], errors: [] })), 0)
    const issues = [{ setting: "eotThreshold", problem: "must be less" }]
    assert.strictEqual(statusOf(flux(new FluxError.InvalidSettings({ issues }), "settings")), 2)
    assert.strictEqual(statusOf(flux(new FluxError.UnsupportedAudio({ detail: "x" }), "settings")), 2)
    assert.strictEqual(statusOf(flux(new FluxError.UnsupportedByEndpoint({ feature: "x" }), "settings")), 2)
    assert.strictEqual(statusOf(flux(new FluxError.Throttled({ detail: "x" }), "open")), 1)
    assert.strictEqual(statusOf(new Broken({ what: "standard output", cause: new Error("full") })), 1)
    assert.strictEqual(exitStatus(Exit.die(new Error("bug"))), 1)
  })

  it("tells message, hint and request, and no stack trace", () => {
    const error = flux(new FluxError.ConnectionLost({ detail: "gone" }), "streaming", "r-1")
    assert.strictEqual(
      report(Cause.fail(error)),
      "flux-stt: The connection was lost: gone\n" +
        "  Reconnect; if it repeats, look at the endpoint's container logs and the network path.\n" +
        "  Stage: streaming, request r-1."
    )
    assert.strictEqual(report(Cause.die(new Error("bug"))), "flux-stt: bug")
    assert.strictEqual(
      report(Cause.fail(new Broken({ what: "call.wav cannot be read", cause: new Error("EIO") }))),
      "flux-stt: call.wav cannot be read: EIO"
    )
  })

  it("names one fault in a line, several in a list", () => {
    assert.strictEqual(report(Cause.fail(new CannotStart({ faults: ["a: b"] }))), "flux-stt: a: b")
    assert.strictEqual(
      report(Cause.fail(new CannotStart({ faults: ["a: b", "c: d"] }))),
      "flux-stt: 2 things are wrong:\n  a: b\n  c: d"
    )
  })

  it("says nothing of an interruption, nor twice what the parser has said", () => {
    assert.isUndefined(report(Cause.interrupt(1)))
    assert.isUndefined(report(Cause.fail(usage)))
  })
})
