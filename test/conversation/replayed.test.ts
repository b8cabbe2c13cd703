/** What is heard again by another session: how much it is, and that what waits meanwhile has room. */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Random from "effect/Random"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as Audio from "../../src/Audio.ts"
import * as FakeTransport from "../../src/FakeTransport.ts"
import * as FluxError from "../../src/FluxError.ts"
import type { FluxEvent } from "../../src/FluxEvent.ts"
import * as FluxSettings from "../../src/FluxSettings.ts"
import type * as Fault from "../../src/simulator/Fault.ts"
import * as Script from "../../src/simulator/Script.ts"
import * as Transcriber from "../../src/Transcriber.ts"
import { heard, opened, seeded, simulated } from "../support/conversation.ts"
import { connected, turnInfo } from "../support/wire.ts"

const script = Script.make({
  clock: "stamps",
  turns: Array.from({ length: 20 }, (_, i) => ({
    at: 1 + 5 * i,
    words: [{ word: `a${i}`, start: 1 + 5 * i, end: 1.4 + 5 * i }, { word: `b${i}`, start: 2 + 5 * i, end: 2.4 + 5 * i }]
  }))
})
/** In which all that was handed over arrives; a server that stops reading leaves two frames behind. */
const breaks = ["reset", "drop-socket", "end", "model-stream-error", "throttle", "flux-error", "mute"] as const
const replayedMetric = Effect.map(Metric.snapshot, (all) =>
  all.flatMap((one) => (one.id === "flux.audio.replayed" && one.type === "Counter" ? [Number(one.state.count)] : [])).reduce((sum, one) => sum + one, 0))

describe("usage over breaks, rotations, mute and ends of turns at random", () => {
  for (let seed = 1; seed <= 12; seed++) {
    it.effect(`adds up to what was sent, and without what is replayed to what was heard once: ${seed}`, () =>
      Effect.gen(function*() {
        const faults: Array<Fault.Fault> = []
        for (let session = 0; session < 6; session++) {
          const fault = breaks[yield* Random.nextIntBetween(0, breaks.length - 1)] ?? "reset"
          if ((yield* Random.next) < 0.8) faults.push({ fault, at: 1 + 12 * (yield* Random.next), session })
        }
        const maxSessionAge = (yield* Random.next) < 0.5 ? "15 seconds" : "25 minutes"
        yield* Effect.gen(function*() {
          const { change, conversation, events, finish, speak } = yield* opened({ settings: { stallTimeout: "3 seconds", maxSessionAge } })
          for (let step = 0; step < 12; step++) {
            yield* speak(0.08 * (yield* Random.nextIntBetween(1, 60)))
            const dice = yield* Random.nextIntBetween(0, 5)
            if (dice === 0) {
              yield* conversation.setMuted(true)
              yield* speak(0.08 * (yield* Random.nextIntBetween(1, 20)))
              yield* conversation.setMuted(false)
            }
            if (dice === 1) yield* Effect.forkChild(Effect.ignore(conversation.endTurn), { startImmediately: true })
            if (dice === 2) yield* change({ tag: [`t${step}`] })
            if (dice === 3) yield* TestClock.adjust(3000 * (yield* Random.next))
          }
          yield* finish
          yield* TestClock.adjust("1 minute")
          const ranges = (yield* heard).flat().toSorted(([a = 0], [b = 0]) => a - b)
          let [sent, once, reached] = [0, 0, 0]
          for (const [from = 0, to = 0] of ranges) {
            sent += to - from
            once += Math.max(0, to - Math.max(from, reached))
            reached = Math.max(reached, to)
          }
          const usage = events.flatMap((event) => (event.type === "EndOfTurn" || event.type === "Disconnected" ? [event.usage] : []))
          const audio = usage.reduce((sum, { audioSeconds }) => sum + audioSeconds, 0)
          const replayed = usage.reduce((sum, { replayedSeconds = 0 }) => sum + replayedSeconds, 0)
          // a frame that breaks with the connection was handed over, and did not arrive
          assert.closeTo(audio, sent, 0.08 * 6 + 0.001)
          assert.closeTo(audio - replayed, once, 0.001)
          assert.closeTo(yield* replayedMetric, replayed, 0.001)
          assert.isTrue(usage.every(({ audioSeconds, injectedSeconds, replayedSeconds = 0 }) => Math.min(audioSeconds, injectedSeconds, replayedSeconds) >= 0))
        }).pipe(Effect.provide(simulated({ script, faults })))
      }).pipe(seeded, Random.withSeed(`usage ${seed}`), Effect.provideService(Metric.MetricRegistry, new Map())))
  }
})

describe("the outbox by default", () => {
  const throttled = FluxError.make(new FluxError.Throttled({ detail: "slow down" }), "open")
  const lost = new FluxError.ConnectionLost({ detail: "gone" })
  const turnFrom = 1
  /** All of it is kept: 15 s at most are. */
  const goes = 14.9
  /** Opens a turn that does not end, and tells of all it hears; refuses for some seconds from when the first one breaks. */
  const endpoint = (outage: number) =>
    Layer.unwrap(Effect.map(Clock.Clock, (clock) =>
      FakeTransport.layerPeer((_, session) => {
        if (session > 0 && clock.currentTimeMillisUnsafe() < (goes + outage) * 1000) return { accept: Effect.fail(throttled) }
        let frames = 0
        return {
          opened: (server) => Effect.andThen(server.say(connected), session === 0 ? Effect.delay(server.fail(lost), goes * 1000) : Effect.void),
          received: ({ dataType }, server) => {
            if (dataType === "UTF8") return server.end
            const end = ++frames * 0.08
            return end < turnFrom ? Effect.void : server.say(turnInfo({ event: end < turnFrom + 0.08 ? "StartOfTurn" : "Update", transcript: "a", end }))
          }
        }
      })))
  for (const format of [
    { encoding: "mulaw", sampleRate: 8000 },
    { encoding: "alaw", sampleRate: 8000 },
    { encoding: "linear16", sampleRate: 16_000 },
    { encoding: "linear16", sampleRate: 48_000 }
  ] as const) {
    it.effect(`has room for an outage of 27 s late in a long turn, which is heard again first: ${format.encoding} ${format.sampleRate}`, () =>
      Effect.gen(function*() {
        const bytes = Audio.bytesOf(format, 80)
        const conversation = yield* Effect.flatMap(Transcriber.Transcriber, (transcriber) =>
          transcriber.open({ settings: { ...format, outboxPolicy: "fail" } }))
        const limit = FluxSettings.outboxLimit(yield* conversation.settings)
        assert.strictEqual(limit, 35 * Audio.bytesOf(format, 1000))
        const events: Array<FluxEvent> = []
        yield* Effect.forkChild(Effect.ignore(Stream.runForEach(conversation.events, (event) => Effect.sync(() => void events.push(event)))), { startImmediately: true })
        for (let frame = 0; frame < 90 / 0.08; frame++) {
          // fails where it does not fit
          yield* conversation.send(new Uint8Array(bytes))
          yield* TestClock.adjust(80)
        }
        const [resumed, ...more] = events.flatMap(({ receivedAt, type }) => (type === "Resumed" ? [receivedAt / 1000] : []))
        assert.strictEqual(more.length, 0)
        // the try after 25 s comes within the next 2 s, by the dice of this test
        assert.isAtLeast((resumed ?? 0) - goes, 25)
        assert.isAtMost((resumed ?? 0) - goes, 27)
        assert.isFalse(events.some(({ type }) => type === "AudioDropped"))
      }).pipe(
        Effect.provide(Transcriber.layer.pipe(Layer.provide(endpoint(25)), Layer.provide(FluxSettings.layer()))),
        seeded
      ))
  }
})
