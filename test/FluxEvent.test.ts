import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as FakeTransport from "../src/FakeTransport.ts"
import * as FluxEvent from "../src/FluxEvent.ts"
import * as FluxSettings from "../src/FluxSettings.ts"
import * as Transcriber from "../src/Transcriber.ts"
import { draw } from "./support/sound.ts"

const layer = Transcriber.layer.pipe(Layer.provide(FakeTransport.layer()), Layer.provide(FluxSettings.layer()))

const decode = Schema.decodeUnknownSync(FluxEvent.FluxEvent, { onExcessProperty: "error" })

describe("FluxEvent", () => {
  it.effect("what a call gives is what the schema says, also as JSON", () =>
    Effect.gen(function*() {
      const events = yield* Stream.make(draw("vvvv.....vvvv...............vv")).pipe(
        Transcriber.transcribe({ settings: { eagerEotThreshold: 0.35 }, raw: true }),
        Stream.runCollect
      )
      const types = ["Connected", "StartOfTurn", "Update", "EagerEndOfTurn", "TurnResumed", "EndOfTurn", "Disconnected"]
      assert.sameMembers([...new Set(events.map((event) => event.type))], types)
      for (const event of events) assert.deepStrictEqual(decode(JSON.parse(JSON.stringify(event))), event)
    }).pipe(Effect.provide(layer)))

  it("publishes a JSON Schema that tells every event by its type", () => {
    const Published = Schema.Struct({
      $schema: Schema.String,
      anyOf: Schema.Array(Schema.Struct({
        properties: Schema.Struct({ type: Schema.Struct({ enum: Schema.Array(Schema.String) }) }),
        required: Schema.Array(Schema.String)
      }))
    })
    const { anyOf } = Schema.decodeUnknownSync(Published)(FluxEvent.jsonSchema())
    assert.deepStrictEqual(anyOf.flatMap((one) => one.properties.type.enum), Object.keys(FluxEvent.FluxEvent.cases))
    assert.isTrue(anyOf.every((one) => one.required.includes("type") && one.required.includes("receivedAt")))
  })
})
