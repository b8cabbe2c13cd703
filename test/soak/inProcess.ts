/** A group of calls in this process, in virtual time: the same for the same seed. */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as References from "effect/References"
import { TestClock } from "effect/testing"
import * as FakeTransport from "../../src/FakeTransport.ts"
import * as FluxSettings from "../../src/FluxSettings.ts"
import * as Transcriber from "../../src/Transcriber.ts"
import { faultsOf, type Group, type Report, run } from "./run.ts"

/** Makes the calls of a group. */
export const runInProcess = (group: Group): Effect.Effect<ReadonlyArray<Report>> => {
  const endpoint = FakeTransport.layer({
    script: group.speech.script,
    faults: faultsOf(group, { speed: 1, wire: false }),
    seed: group.seed,
    profile: "hosted-2026-09"
  })
  const layer = Transcriber.layer.pipe(Layer.provideMerge(endpoint), Layer.provide(FluxSettings.layer()), Layer.orDie, Layer.provideMerge(TestClock.layer()))
  return Effect.gen(function*() {
    const { ledger } = yield* FakeTransport.FakeTransport
    const running = yield* Effect.forkChild(run(group, 1, ledger), { startImmediately: true })
    while (running.pollUnsafe() === undefined) yield* TestClock.adjust("10 seconds")
    return yield* Fiber.join(running)
  }).pipe(
    Effect.provide(layer),
    Random.withSeed(String(group.seed)),
    Effect.provideService(References.MinimumLogLevel, "None")
  )
}
