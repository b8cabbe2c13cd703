/** Ten minutes of audio for a peer that never reads: bounded memory, and `SendTimeout` within its bound. */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as References from "effect/References"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as FakeTransport from "../src/FakeTransport.ts"
import * as FluxSettings from "../src/FluxSettings.ts"
import type { FluxTransport } from "../src/FluxTransport.ts"
import * as SageMakerTransport from "../src/SageMakerTransport.ts"
import * as SimulatorServer from "../src/simulator/SimulatorServer.ts"
import * as Transcriber from "../src/Transcriber.ts"
import { kept } from "./support/memory.ts"
import { credentials } from "./support/rawClient.ts"
import { fork, once } from "./support/session.ts"

const chunk = new Uint8Array(2560).fill(0x11)
/** Ten minutes of 16 kHz linear16 in chunks of 80 ms: 19.2 MB, 17 times what may wait. */
const chunks = 7500
const limit = FluxSettings.outboxLimit(FluxSettings.defaults)
/** Those that wait, and one in hand. */
const held = Math.floor(limit / chunk.length) + 1

const callOn = (transport: Layer.Layer<FluxTransport>, settings: FluxSettings.SettingsPatch) =>
  Effect.gen(function*() {
    const transcriber = yield* Transcriber.Transcriber
    const call = yield* transcriber.open({ retry: once })
    yield* fork(Effect.ignore(Stream.runDrain(call.events)))
    return call
  }).pipe(Effect.provide(Transcriber.layer.pipe(Layer.provide(transport), Layer.provide(FluxSettings.layer(settings)))))

/** Offers the flood; what is kept at a tenth of it and at its end. */
const flood = (call: Transcriber.Conversation, between: Effect.Effect<void>) =>
  Effect.gen(function*() {
    let taken = 0
    let early = 0
    for (let i = 0; i < chunks; i++) {
      if (call.offerUnsafe(chunk)) taken += 1
      if (i % 100 === 0) yield* between
      if (i === chunks / 10) early = yield* kept
      assert.isAtMost((yield* call.buffered).outboxBytes, limit)
    }
    return { taken, growth: ((yield* kept) - early) / early }
  })

describe("a flood for a peer that never reads", () => {
  for (const [outboxPolicy, taken] of [["drop-oldest", chunks], ["fail", held], ["suspend", held]] as const) {
    it.effect(`in real time, with ${outboxPolicy}`, () =>
      Effect.gen(function*() {
        const call = yield* callOn(
          FakeTransport.layerPeer(() => ({
            opened: (server) => server.say(`{"type":"Connected","request_id":"r","sequence_id":0}`),
            received: () => Effect.never
          })),
          { outboxPolicy, sendTimeout: "11 minutes" }
        )
        yield* TestClock.adjust(0)
        const outcome = yield* flood(call, TestClock.adjust("8 seconds"))
        assert.closeTo(outcome.taken, taken, 1)
        assert.isBelow(outcome.growth, 0.1)
        // and its bound holds
        assert.strictEqual(yield* call.status, "ready")
        yield* TestClock.adjust("62 seconds")
        assert.strictEqual((yield* Effect.flip(call.finish)).reason._tag, "SendTimeout")
      }), 60_000)
  }

  it.live("over HTTP/2, as fast as it comes, and SendTimeout comes when it should", () =>
    Effect.gen(function*() {
      const simulator = yield* Effect.provideService(
        SimulatorServer.make({ faults: [{ fault: "stop-reading" }] }),
        References.MinimumLogLevel,
        "None"
      )
      const clock = yield* Clock.Clock
      const call = yield* callOn(
        SageMakerTransport.layer({ endpointName: "e", region: "us-east-1", endpointUrl: simulator.url, credentials }).pipe(Layer.orDie),
        { outboxPolicy: "drop-oldest", sendTimeout: "3 seconds" }
      ).pipe(Effect.provideService(References.MinimumLogLevel, "None"))
      // what the sockets take in on the way
      const { growth, taken } = yield* flood(call, Effect.sleep("2 millis"))
      const since = clock.currentTimeMillisUnsafe()
      assert.strictEqual(taken, chunks)
      assert.isBelow(growth, 0.1)
      const error = yield* Effect.flip(call.finish)
      assert.deepInclude(error.reason, { _tag: "SendTimeout", seconds: 3 })
      // the bound runs from the frame that was not taken; half a second is for a machine that is busy
      assert.isBelow(clock.currentTimeMillisUnsafe() - since, 3500)
    }), 60_000)
})
