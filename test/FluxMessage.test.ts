import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import * as FluxMessage from "../src/FluxMessage.ts"

/** The examples of protocol 2, to the letter. */
const examples = {
  connected: `{"type":"Connected","request_id":"550e8400-e29b-41d4-a716-446655440000","sequence_id":0}`,
  update:
    `{"type":"TurnInfo","request_id":"550e8400-e29b-41d4-a716-446655440000","sequence_id":7,"event":"Update","turn_index":0,"audio_window_start":0.0,"audio_window_end":0.96,"transcript":"Hi I need to","words":[{"word":"Hi","confidence":0.95,"start":0.42,"end":0.56},{"word":"I","confidence":0.92,"start":0.56,"end":0.6},{"word":"need","confidence":0.97,"start":0.6,"end":0.74},{"word":"to","confidence":0.98,"start":0.74,"end":0.82}],"end_of_turn_confidence":0.05}`,
  multi:
    `{"type":"TurnInfo","request_id":"ad12514a-0d38-4f7e-8fba-cce10d8f174c","sequence_id":11,"event":"EndOfTurn","turn_index":0,"audio_window_start":0,"audio_window_end":1.3,"transcript":"Hello, how are you?","words":[{"word":"Hello,","confidence":0.96},{"word":"how","confidence":0.94},{"word":"are","confidence":0.97},{"word":"you?","confidence":0.92}],"end_of_turn_confidence":0.86,"trigger":"model","languages":["en"],"languages_hinted":["en","es","de"]}`,
  success:
    `{"type":"ConfigureSuccess","request_id":"550e8400-e29b-41d4-a716-446655440000","sequence_id":23,"thresholds":{"eager_eot_threshold":0.4,"eot_threshold":0.7,"eot_timeout_ms":6000},"keyterms":["apple","banana"],"language_hints":["en","es"],"numerals":false}`,
  failure:
    `{"type":"ConfigureFailure","request_id":"550e8400-e29b-41d4-a716-446655440000","sequence_id":42,"code":"INVALID_THRESHOLD","description":"eager_eot_threshold must be less than or equal to eot_threshold"}`,
  bareFailure: `{"type":"ConfigureFailure","request_id":"550e8400-e29b-41d4-a716-446655440000","sequence_id":42}`,
  warning:
    `{"type":"Warning","request_id":"550e8400-e29b-41d4-a716-446655440000","sequence_id":31,"code":"FORCE_END_TURN_NO_ACTIVE_TURN","description":"No active turn to end"}`,
  error:
    `{"type":"Error","sequence_id":5,"code":"UNPARSABLE_CLIENT_MESSAGE","description":"Could not deserialize last text message: unknown variant \`Configure\`, expected \`CloseStream\`"}`
}

describe("FluxMessage", () => {
  for (const [name, text] of Object.entries(examples)) {
    it(`reads the protocol's example of ${name} whole`, () => {
      assert.deepStrictEqual<unknown>(FluxMessage.parse(text), JSON.parse(text))
    })
  }

  it("takes an unset threshold as absent or null, drops unknown fields", () => {
    const base = { type: "ConfigureSuccess", request_id: "r", sequence_id: 1, keyterms: [] }
    assert.strictEqual(FluxMessage.parse(JSON.stringify({ ...base, thresholds: { eager_eot_threshold: null } })).type, "ConfigureSuccess")
    assert.deepStrictEqual<unknown>(FluxMessage.parse(JSON.stringify({ ...base, thresholds: {}, extra: 1 })), { ...base, thresholds: {} })
  })

  it("passes what it does not know", () => {
    assert.deepStrictEqual(FluxMessage.parse(`{"type":"Metadata","n":1}`), {
      type: "Unrecognized",
      messageType: "Metadata",
      body: { type: "Metadata", n: 1 }
    })
    const pondered = FluxMessage.parse(examples.update.replace(`"Update"`, `"TurnPondered"`))
    assert.deepInclude(pondered, { type: "Unrecognized", messageType: "TurnInfo TurnPondered" })
    const trigger = FluxMessage.parse(examples.multi.replace(`"trigger":"model"`, `"trigger":"whim"`))
    assert.deepInclude(trigger, { type: "TurnInfo", trigger: "whim" })
  })

  it("names the broken field of a known message, and not its value", () => {
    const broken = FluxMessage.parse(examples.multi.replace(`"word":"how"`, `"word":41`))
    assert.deepInclude(broken, { type: "Unreadable", messageType: "TurnInfo" })
    if (broken.type !== "Unreadable") return
    assert.match(broken.problem, /words\.1\.word/)
    assert.notMatch(broken.problem, /Hello|41/)
  })

  it.prop("never throws", [Schema.String], ([text]) => {
    assert.isString(FluxMessage.parse(text).type)
    assert.isString(FluxMessage.parse(JSON.stringify({ type: text })).type)
    assert.isString(FluxMessage.parse(JSON.stringify({ type: "TurnInfo", event: text })).type)
  }, { arbitrary: { runs: 200, seed: "message" } })

  it("writes control messages as protocol 3 has them", () => {
    const text = (bytes: Uint8Array): unknown => JSON.parse(new TextDecoder().decode(bytes))
    assert.deepStrictEqual(text(FluxMessage.closeStream), { type: "CloseStream" })
    assert.deepStrictEqual(text(FluxMessage.forceEndTurn), { type: "ForceEndTurn" })
    assert.deepStrictEqual(text(FluxMessage.configure({ thresholds: { eot_threshold: 0.8 }, keyterms: [] })), {
      type: "Configure",
      thresholds: { eot_threshold: 0.8 },
      keyterms: []
    })
  })
})
