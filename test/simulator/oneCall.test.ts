/** Sessions of one call: lines go on from session to session, each until its turn has ended. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type * as FakeTransport from "../../src/FakeTransport.ts"
import * as Script from "../../src/simulator/Script.ts"
import * as Transcriber from "../../src/Transcriber.ts"
import { listened, simulated, turnsOf } from "../support/conversation.ts"
import { draw } from "../support/sound.ts"

const script = Script.fromText("one two\nthree four\nfive six")
/** Three turns of 0.64 s, with a pause of 1.2 s after each. */
const call = draw("vvvvvvvv...............".repeat(3))
const said = (options: Partial<FakeTransport.Options>) =>
  Effect.map(listened(Stream.make(call).pipe(Transcriber.transcribe()), 30), ({ events }) => turnsOf(events)).pipe(
    Effect.provide(simulated({ script, ...options }))
  )
// in the second turn, which begins at 1.84 s
const broken = [{ fault: "reset", at: 2.2, session: 0 }] as const
// in the pause after it, in which its end has been told
const pause = [{ fault: "reset", at: 3.4, session: 0 }] as const

describe("sessions of one call", () => {
  it.effect("say the line of the turn that broke, and then the next ones", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* said({ oneCall: true, faults: broken }), ["one two", "three four", "five six"])
      assert.deepStrictEqual(yield* said({ oneCall: true, faults: pause }), ["one two", "three four", "five six"])
    }))

  it.effect("are none unless it says so: each begins with the first line", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* said({ faults: broken }), ["one two", "one two", "three four"])
    }))
})
