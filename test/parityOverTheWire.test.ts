/** What a session does while it runs, with the real client against the real simulator over HTTP/2, in real time. */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as References from "effect/References"
import * as Stream from "effect/Stream"
import type { FluxEvent } from "../src/FluxEvent.ts"
import * as FluxSettings from "../src/FluxSettings.ts"
import type { ProfileName } from "../src/FluxTransport.ts"
import * as SageMakerTransport from "../src/SageMakerTransport.ts"
import type { SessionRecord } from "../src/simulator/Ledger.ts"
import * as Script from "../src/simulator/Script.ts"
import * as SimulatorServer from "../src/simulator/SimulatorServer.ts"
import * as Transcriber from "../src/Transcriber.ts"
import { becomes } from "./support/becomes.ts"
import { credentials } from "./support/rawClient.ts"
import { errorOf, fork, once } from "./support/session.ts"
import { draw } from "./support/sound.ts"

const script = Script.fromText("one two\nthree four")

/** A call under way: its events as they come, and what the simulator's ledger has of it in the end. */
const calling = <A, E>(
  options: SimulatorServer.Options & { readonly profile?: ProfileName },
  settings: FluxSettings.SettingsPatch,
  use: (call: Transcriber.Conversation, heard: {
    readonly events: () => ReadonlyArray<FluxEvent>
    /** Completes with the first such event. */
    readonly first: <T extends FluxEvent["type"]>(type: T) => Effect.Effect<Extract<FluxEvent, { readonly type: T }>>
  }) => Effect.Effect<A, E>
) =>
  Effect.gen(function*() {
    const simulator = yield* Effect.provideService(SimulatorServer.make({ script, ...options }), References.MinimumLogLevel, "None")
    const layer = Transcriber.layer.pipe(
      Layer.provide(SageMakerTransport.layer({
        endpointName: "my-flux",
        region: "us-east-2",
        endpointUrl: simulator.url,
        credentials,
        capabilities: options.profile
      })),
      Layer.provide(FluxSettings.layer(settings))
    )
    const events: Array<FluxEvent> = []
    const waiters = new Set<{ readonly look: (event: FluxEvent) => void }>()
    yield* Effect.scoped(Effect.gen(function*() {
      const transcriber = yield* Transcriber.Transcriber
      const call = yield* transcriber.open({ id: "call", retry: once })
      yield* Effect.forkChild(Stream.runForEach(call.events, (event) =>
        Effect.sync(() => {
          events.push(event)
          for (const waiter of waiters) waiter.look(event)
        })), { startImmediately: true })
      const first = <T extends FluxEvent["type"]>(type: T) => {
        const isIt = (event: FluxEvent): event is Extract<FluxEvent, { readonly type: T }> => event.type === type
        const seen = events.find(isIt)
        if (seen !== undefined) return Effect.succeed(seen)
        const found = Deferred.makeUnsafe<Extract<FluxEvent, { readonly type: T }>>()
        waiters.add({ look: (event) => void (isIt(event) && Deferred.doneUnsafe(found, Effect.succeed(event))) })
        return Deferred.await(found)
      }
      yield* first("Connected")
      yield* use(call, { events: () => events, first })
      yield* call.finish
      yield* first("Disconnected")
    })).pipe(Effect.provide(layer))
    yield* becomes("sessions at the server", simulator.sessions, 0)
    const records: ReadonlyArray<SessionRecord> = yield* simulator.ledger
    const [record] = records
    if (record === undefined) return assert.fail("no record")
    return { events, record, sessions: records.length, texts: records.flatMap(({ received }) => received.texts.map(({ type }) => type)) }
  })

const usageOf = (events: ReadonlyArray<FluxEvent>): number =>
  events.reduce((sum, event) =>
    event.type === "EndOfTurn" || event.type === "Disconnected"
      ? sum + event.usage.audioSeconds + event.usage.injectedSeconds
      : sum, 0)

describe("a running session, over the wire", () => {
  it.live("ends a turn whose audio stops by silence, tells it apart, and its usage is what the server heard", () =>
    Effect.gen(function*() {
      const { events, record } = yield* calling({}, { watchdogMinTimeout: "100 millis" }, (call, { first }) =>
        Effect.gen(function*() {
          // eight chunks of 80 ms: the watchdog waits twice as long as one
          for (let i = 0; i < 8; i++) yield* call.send(draw("v"))
          const end = yield* first("EndOfTurn")
          assert.strictEqual(end.ending, "confirmed")
          assert.closeTo(end.audioEnd, 0.64, 0.001)
          assert.deepStrictEqual(end.usage, { audioSeconds: 0.64, injectedSeconds: 0.72 })
        }))
      assert.closeTo(usageOf(events), record.received.audioSeconds, 1e-6)
      assert.strictEqual(record.ending, "flux-closed")
    }))

  it.live("keeps itself alive with single samples", () =>
    Effect.gen(function*() {
      const { record, texts } = yield* calling({}, { keepAliveInterval: "50 millis" }, () => Effect.sleep("500 millis"))
      assert.isAtLeast(record.received.audioMessages, 3)
      assert.strictEqual(record.received.audioBytes, 2 * record.received.audioMessages)
      assert.deepStrictEqual(texts, ["CloseStream"])
    }))

  it.live("changes its settings by Configure, where the endpoint takes it", () =>
    Effect.gen(function*() {
      const { events, texts } = yield* calling({ profile: "hosted-2026-09" }, {}, (call, { first }) =>
        Effect.gen(function*() {
          assert.strictEqual(yield* call.update({ eotThreshold: 0.5, keyterm: ["caf\u00e9 noir"] }), "configured")
          yield* call.send(draw("vvvvvvvv......."))
          assert.closeTo((yield* first("EndOfTurn")).audioEnd, 15 * 0.08, 0.001)
        }))
      assert.deepStrictEqual(texts, ["Configure", "CloseStream"])
      assert.deepInclude(events.find(({ type }) => type === "SettingsApplied"), { settings: ["eotThreshold", "keyterm"] })
    }))

  it.live("lives on when Flux refuses, or never answers", () =>
    Effect.gen(function*() {
      for (const fault of ["configure-failure", "configure-lost"] as const) {
        const { events } = yield* calling(
          { profile: "flux-multi-20260417", faults: [{ fault }] },
          { model: "flux-general-multi", configureTimeout: "100 millis" },
          (call, { first }) =>
            Effect.gen(function*() {
              const error = yield* Effect.flip(call.update({ eotThreshold: 0.6 }))
              assert.strictEqual(error.reason._tag, fault === "configure-lost" ? "ConfigureUnanswered" : "SettingsRefused")
              yield* call.send(draw("vvvvvvvv.............."))
              assert.strictEqual((yield* first("EndOfTurn")).ending, "confirmed")
            })
        )
        assert.strictEqual(events.some(({ type }) => type === "SettingsRejected"), fault === "configure-failure")
      }
    }))

  it.live("what is asked for and waited for when the call ends comes with the last words, or the call is over", () =>
    Effect.gen(function*() {
      for (const [fault, came] of [[{ fault: "lag", delay: 300 }, "configured"], [{ fault: "configure-lost" }, "CallOver"]] as const) {
        yield* calling({ profile: "hosted-2026-09", faults: [fault] }, {}, (call, { first }) =>
          Effect.gen(function*() {
            yield* call.send(draw("vvvvvvvv"))
            yield* first("StartOfTurn")
            const update = yield* fork(Effect.exit(call.update({ eotThreshold: 0.6 })))
            const ending = yield* fork(Effect.exit(call.endTurn))
            yield* call.finish
            assert.strictEqual((yield* Fiber.join(ending))._tag, "Success")
            const exit = yield* Fiber.join(update)
            assert.strictEqual(Exit.isSuccess(exit) ? exit.value : errorOf(exit)?.reason._tag, came)
            assert.strictEqual((yield* Effect.flip(call.update({ eotThreshold: 0.7 }))).reason._tag, "CallOver")
          }))
      }
    }))

  it.live("sends an endpoint that takes CloseStream alone nothing else, whatever it is asked for: settings come with another session", () =>
    Effect.gen(function*() {
      const { sessions, texts } = yield* calling({}, {}, (call, { first }) =>
        Effect.gen(function*() {
          assert.strictEqual(yield* call.update({ eotThreshold: 0.6 }), "rotated")
          yield* call.send(draw("vvvvvvvv"))
          yield* first("StartOfTurn")
          yield* call.endTurn
          assert.strictEqual((yield* first("EndOfTurn")).ending, "confirmed")
        }))
      assert.strictEqual(sessions, 2)
      assert.deepStrictEqual(texts, ["CloseStream", "CloseStream"])
    }))

  it.live("ends a turn by ForceEndTurn, where the endpoint takes it", () =>
    Effect.gen(function*() {
      const { texts } = yield* calling({ profile: "hosted-2026-09" }, {}, (call, { first }) =>
        Effect.gen(function*() {
          yield* call.send(draw("vvvvvvvv"))
          yield* first("StartOfTurn")
          yield* call.endTurn
          assert.deepInclude(yield* first("EndOfTurn"), { ending: "confirmed", trigger: "manual" })
        }))
      assert.deepStrictEqual(texts, ["ForceEndTurn", "CloseStream"])
    }))

  it.live("is silent while muted", () =>
    Effect.gen(function*() {
      const { events, record } = yield* calling({}, {}, (call, { first }) =>
        Effect.gen(function*() {
          yield* call.send(draw("vvvvvvvv"))
          yield* first("StartOfTurn")
          yield* call.setMuted(true)
          yield* call.send(draw("v".repeat(100)))
          assert.closeTo((yield* first("EndOfTurn")).audioEnd, 0.64, 0.001)
          yield* call.setMuted(false)
          yield* call.send(draw("vvvvvvvv.............."))
        }))
      const [, second] = events.filter((event) => event.type === "EndOfTurn")
      assert.closeTo(second?.audioStart ?? 0, 108 * 0.08 - 0.08, 0.161)
      assert.closeTo(second?.audioEnd ?? 0, (108 + 17) * 0.08, 0.001)
      assert.closeTo(usageOf(events), record.received.audioSeconds, 1e-6)
    }))

  it.live("notices a Flux that goes mute, within its bound", () =>
    Effect.gen(function*() {
      const simulator = yield* Effect.provideService(
        SimulatorServer.make({ script, faults: [{ fault: "mute", at: 0.5 }] }),
        References.MinimumLogLevel,
        "None"
      )
      const layer = Transcriber.layer.pipe(
        Layer.provide(SageMakerTransport.layer({ endpointName: "my-flux", region: "us-east-2", endpointUrl: simulator.url, credentials })),
        Layer.provide(FluxSettings.layer({ stallTimeout: "300 millis" }))
      )
      const error = yield* Stream.concat(Stream.make(draw("v".repeat(40))), Stream.never).pipe(
        Transcriber.transcribe({ retry: once }),
        Stream.runDrain,
        Effect.flip,
        Effect.provide(layer)
      )
      assert.deepInclude(error.reason, { _tag: "Stalled", seconds: 0.3 })
      yield* becomes("sessions at the server", simulator.sessions, 0)
    }))
})
