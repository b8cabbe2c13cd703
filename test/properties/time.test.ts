/**
 * Conversation time against the simulated endpoint: wherever a caller speaks, pauses or is muted, words stand where they
 * were spoken, turns follow each other, and what is told as sent is what the ledger has.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as FakeTransport from "../../src/FakeTransport.ts"
import type { FluxEvent } from "../../src/FluxEvent.ts"
import * as FluxSession from "../../src/FluxSession.ts"
import { profiles } from "../../src/FluxTransport.ts"
import { fork, settings } from "../support/session.ts"
import { draw } from "../support/sound.ts"
import { runs } from "./runs.ts"

const Step = Schema.Union([
  Schema.Struct({ speaks: Schema.Literals([4, 8, 20]) }),
  Schema.Struct({ speaks: Schema.Literals([4, 8, 20]) }),
  Schema.Struct({ isSilent: Schema.Literals([1, 5, 15]) }),
  Schema.Struct({ isAway: Schema.Literals([300, 700, 4000, 25_000]) }),
  Schema.Struct({ mute: Schema.Boolean }),
  Schema.Struct({ endsTurn: Schema.Literal(true) })
])
const Call = Schema.Struct({
  steps: Schema.Array(Step).check(Schema.isMinLength(4), Schema.isMaxLength(14)),
  profile: Schema.Literals(["flux-english-20260311", "hosted-2026-09"])
})

const frameSeconds = 0.08
/** Keep-alive samples shift the frames in which Flux listens: a word may seem to begin in the frame before or after. */
const tolerance = frameSeconds + 0.001

describe("conversation time", () => {
  it.effect.prop("holds in any mix of speech, pauses, mute, keep-alive and ends of turns", { call: Call }, ({ call }) =>
    Effect.gen(function*() {
      const session = yield* FluxSession.open(settings, { id: "call" })
      const events: Array<FluxEvent> = []
      const listening = yield* fork(Stream.runForEach(session.events, (event) => Effect.sync(() => void events.push(event))))
      yield* session.connected
      /** By frame of the conversation: whether Flux could hear a voice there. */
      const voiced: Array<boolean> = []
      let muted = false
      const hear = (frames: number, voice: boolean) =>
        Effect.forEach(Array.from({ length: frames }), () => {
          voiced.push(voice && !muted)
          return Effect.andThen(session.send(draw(voice ? "v" : ".")), TestClock.adjust(80))
        }, { discard: true })
      const ending: Array<Fiber.Fiber<unknown, unknown>> = []
      for (const step of call.steps) {
        if ("speaks" in step) yield* hear(step.speaks, true)
        else if ("isSilent" in step) yield* hear(step.isSilent, false)
        else if ("isAway" in step) yield* TestClock.adjust(step.isAway)
        else if ("mute" in step) {
          muted = step.mute
          yield* session.setMuted(muted)
        } else ending.push(yield* fork(session.endTurn))
      }
      const finishing = yield* fork(session.finish)
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(finishing)
      yield* Fiber.join(listening)
      for (const each of ending) yield* Fiber.join(each)

      let before = 0
      let open = false
      for (const event of events) {
        if (!("transcript" in event)) continue
        if (event.type === "StartOfTurn") open = true
        assert.isTrue(open, "outside a turn")
        if (event.type === "EndOfTurn") open = false
        assert.isAtMost(event.audioStart, event.audioEnd + 1e-6, "a window that ends before it begins")
        assert.isAtLeast(event.audioEnd, before - 1e-6, "time that runs back")
        before = event.audioEnd
        assert.isAtMost(event.audioEnd, voiced.length * frameSeconds + 1e-6, "later than all audio")
        for (const word of event.words) {
          if (word.start === undefined || word.end === undefined) continue
          assert.isAtMost(word.start, word.end + 1e-6)
          const near = voiced.some((voice, at) =>
            voice && at * frameSeconds >= (word.start ?? 0) - tolerance && at * frameSeconds <= (word.start ?? 0) + tolerance)
          assert.isTrue(near, `nobody spoke at ${word.start}`)
        }
      }
      assert.isFalse(open, "a turn is left open")

      const fake = yield* FakeTransport.FakeTransport
      const [record] = yield* fake.ledger
      const told = events.reduce((sum, event) =>
        event.type === "EndOfTurn" || event.type === "Disconnected"
          ? { audio: sum.audio + event.usage.audioSeconds, all: sum.all + event.usage.audioSeconds + event.usage.injectedSeconds }
          : sum, { audio: 0, all: 0 })
      assert.closeTo(told.all, record?.received.audioSeconds ?? 0, 1e-4, "all that was sent")
      assert.isAtMost(told.audio, voiced.length * frameSeconds + 1e-4, "more than was offered")
      const types = new Set(record?.received.texts.map(({ type }) => type))
      types.delete("CloseStream")
      if (call.profile !== "hosted-2026-09") assert.strictEqual(types.size, 0)
    }).pipe(Effect.provide(FakeTransport.layer({ profile: call.profile, capabilities: profiles[call.profile] })), Effect.scoped), runs(800))
})
