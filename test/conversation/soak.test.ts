/** Calls of ten minutes under every fault at random: what must hold of each of them. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import { TestClock } from "effect/testing"
import * as FakeTransport from "../../src/FakeTransport.ts"
import * as FluxSettings from "../../src/FluxSettings.ts"
import * as Transcriber from "../../src/Transcriber.ts"
import { run } from "../soak/run.ts"
import * as scripts from "../soak/script.ts"

const minutes = Number(process.env["SOAK_MINUTES"] ?? 10)
const conversations = Number(process.env["SOAK_CALLS"] ?? 5)
const seed = Number(process.env["SOAK_SEED"] ?? 1)
const intensity = Number(process.env["SOAK_INTENSITY"] ?? 1)

describe("many calls", () => {
  it.effect("survive whatever goes wrong", () => {
    const seconds = minutes * 60
    const speech = scripts.speech(seconds, seed)
    return Effect.gen(function*() {
      const fake = yield* FakeTransport.FakeTransport
      const plan = {
        conversations, seconds, seed, speech, speed: 1, acts: process.env["SOAK_ACTS"] !== "0",
        settings: (random: () => number) => ({ maxSessionAge: `${20 + Math.floor(random() * 280)} seconds` as const })
      }
      const running = yield* Effect.forkChild(Random.withSeed(run(plan, fake.ledger), String(seed)), { startImmediately: true })
      for (let waited = 0; running.pollUnsafe() === undefined && waited < seconds * 2; waited += 10) yield* TestClock.adjust("10 seconds")
      if (running.pollUnsafe() === undefined) assert.fail("hangs")
      const results = yield* Fiber.join(running)
      const failed = results.flatMap(({ failed }) => failed === undefined ? [] : [failed])
      console.log(`sessions ${results.reduce((sum, { sessions }) => sum + sessions.length, 0)}, failed ${failed.join(" ")}, drops ${results.reduce((sum, { outcome }) => sum + outcome.events.filter((e) => e.type === "AudioDropped").length, 0)}, updates ${results.map(({ outcome }) => JSON.stringify(Object.values(outcome.updates))).join("")}`)
      const bad = results.find(({ outcome, wrong }) => wrong.length > 0 && (process.env["SOAK_SHOW"] === "1" || outcome.id === process.env["SOAK_SHOW"]))
      if (bad !== undefined && process.env["SOAK_SHOW"] !== undefined) {
        console.log(bad.outcome.events.filter((e) => e.type !== "Update").map((e) => `${e.receivedAt / 1000} ${e.type} ${"audioStart" in e ? `${e.audioStart}-${e.audioEnd}` : ""} ${"session" in e ? e.session : ""} ${"transcript" in e ? e.transcript : ""} ${"reason" in e ? e.reason + " " + e.detail : ""}${"description" in e ? e.description : ""} ${"ending" in e ? e.ending : ""}`).join("\n"))
        console.log(bad.sessions.map((s) => JSON.stringify({ ...s, received: { ...s.received, stamped: s.received.stamped.map(({ from, to }) => [from / 16000, to / 16000]) } })).join("\n"))
        console.log(JSON.stringify([bad.outcome.muted, bad.outcome.ends, bad.outcome.exit]))
      }
      const wrong = results.flatMap(({ outcome, wrong }) => wrong.slice(0, 6).map((line) => `${outcome.id}: ${line}`))
      assert.deepStrictEqual(wrong, [])
    }).pipe(Effect.provide(Transcriber.layer.pipe(
      Layer.provideMerge(FakeTransport.layer({ script: speech.script, faults: scripts.faults(seed, intensity), seed, profile: "hosted-2026-09" })),
      Layer.provide(FluxSettings.layer())
    )))
  }, 600_000)
})
