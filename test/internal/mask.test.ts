import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as FluxMessage from "../../src/FluxMessage.ts"
import * as mask from "../../src/internal/mask.ts"
import * as turns from "../../src/internal/turns.ts"
import { profiles } from "../../src/simulator/Profile.ts"
import * as query from "../../src/simulator/model/query.ts"
import { turnInfoOf } from "../support/turnInfo.ts"

const turnInfo = (fields: Partial<FluxMessage.TurnInfo>): FluxMessage.TurnInfo =>
  turnInfoOf({
    request_id: "550e8400-e29b-41d4-a716-446655440000",
    sequence_id: 7,
    audio_window_end: 0.96,
    end_of_turn_confidence: 0.05,
    ...fields
  })
const wordsOf = (transcript: string): FluxMessage.TurnInfo["words"] =>
  transcript.split(/\s+/).filter((word) => word !== "").map((word) => ({ word, confidence: 0.9 }))
const masked = (by: mask.Mask, message: object): unknown => JSON.parse(by.received(JSON.stringify(message)).text)
const maskedTurn = (by: mask.Mask, info: FluxMessage.TurnInfo): FluxMessage.TurnInfo => {
  const message = FluxMessage.parse(by.received(JSON.stringify(info)).text)
  return message.type === "TurnInfo" ? message : assert.fail("no TurnInfo any more")
}

describe("mask", () => {
  it("finds account numbers and secrets in every form, and leaves ids", () => {
    const { detail } = mask.make(false)
    assert.strictEqual(detail("s3://sagemaker-us-east-1-123456789012/x acct_123456789012"), "s3://sagemaker-us-east-1-000000000000/x acct_000000000000")
    assert.strictEqual(detail("at 550e8400-e29b-41d4-a716-446655440000"), "at 550e8400-e29b-41d4-a716-446655440000")
    assert.strictEqual(detail("wJalrXUtnFEMI/K7MDENG-bPxRfiCY_EXAMPLEKEYabcdefgh"), "[secret]")
    // also where the cut goes through it
    assert.notInclude(detail(`${"x ".repeat(990)}wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY`), "wJalr")
  })

  it("finds a keyterm as the query spells it", () => {
    const by = mask.make(false)
    by.query("model=flux-general-en&keyterm=Acme%20Corp&tag=a%2Fb")
    assert.strictEqual(by.detail("bad: keyterm=Acme%20Corp, Acme Corp, tag=a%2Fb"), "bad: keyterm=keyterm-1, keyterm-1, tag=tag-1")
  })

  it("takes the words and leaves numbers, times, names and how many words there are", () => {
    const info = turnInfo({
      transcript: "Hi, I said hi, I did",
      words: [{ word: "Hi,", confidence: 0.95, start: 0.42, end: 0.56 }, { word: "I", confidence: 0.92, start: null }],
      trigger: "model",
      languages: ["en", "pt-BR"]
    })
    const { transcript, words, ...rest } = maskedTurn(mask.make(false), { ...info })
    const { transcript: _, words: __, ...kept } = info
    assert.deepStrictEqual(rest, kept)
    const tokens = transcript.split(" ")
    assert.strictEqual(tokens.length, 6)
    // the words of a transcript are those of `words`, and equal where they were
    assert.deepStrictEqual(words, [
      { word: tokens[0] ?? "", confidence: 0.95, start: 0.42, end: 0.56 },
      { word: tokens[1] ?? "", confidence: 0.92, start: null }
    ])
    assert.strictEqual(tokens[4], tokens[1])
    assert.strictEqual(new Set(tokens).size, 5)
    assert.notMatch(transcript, /Hi|said|did/i)
  })

  const transcripts = ["", " ", "a", "ab", "a b", "a b.", "a b c", "b", "b c", "ab c", "a  b", "東京", "東京都", "東京 都"]
  const events = ["Update", "StartOfTurn", "EagerEndOfTurn", "TurnResumed", "EndOfTurn"] as const
  const Message = Schema.Struct({
    said: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: transcripts.length - 1 })),
    event: Schema.Literals(events),
    turn: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1 })),
    words: Schema.Boolean,
    later: Schema.Boolean
  })
  it.prop(
    "a client makes the same turns of masked messages, whatever the server says",
    [Schema.Array(Message)],
    ([drawn]) => {
      const by = mask.make(false)
      const settings = () => ({ minConfidence: 0, model: "flux-general-multi" as const, shouldInterrupt: true })
      const plain = turns.make({ id: "c", settings })
      const other = turns.make({ id: "c", settings })
      for (const [at, { event, later, said, turn, words }] of drawn.entries()) {
        const transcript = transcripts[said] ?? ""
        const info = turnInfo({
          event,
          turn_index: turn,
          audio_window_start: later ? at : 0,
          audio_window_end: at + 1,
          transcript,
          words: words ? wordsOf(transcript) : []
        })
        const shape = (events: ReturnType<turns.Turns["take"]>) =>
          events.map(({ transcript, words, ...rest }) => ({ ...rest, empty: transcript === "", words: words.length }))
        assert.deepStrictEqual(shape(other.take(maskedTurn(by, info), at)), shape(plain.take(info, at)))
      }
    },
    { arbitrary: { runs: 300, seed: "masks" } }
  )

  it("messages that cannot be read or are not known bring about what they did, and say nothing", () => {
    const secret = "secret friend"
    const deep = `{"type":"TurnInfo","words":${"[".repeat(50_000)}${"]".repeat(50_000)}}`
    const texts = [
      secret,
      "",
      "{",
      `"${secret}"`,
      "null",
      `["${secret}"]`,
      `{"ModelStreamError":{"Message":"${secret}"}}`,
      `{"type":5,"transcript":"${secret}"}`,
      `{"type":"Novelty","text":"${secret}"}`,
      `{"type":"TurnInfo","event":"Novelty","transcript":"${secret}"}`,
      `{"type":"TurnInfo","event":7,"transcript":"${secret}"}`,
      `{"type":"TurnInfo","transcript":"${secret}"}`,
      JSON.stringify({ ...turnInfo({}), words: secret }),
      JSON.stringify({ ...turnInfo({}), words: [secret] }),
      JSON.stringify({ ...turnInfo({}), words: [[secret]] }),
      JSON.stringify({ ...turnInfo({}), words: [{ word: [secret], confidence: secret }] }),
      JSON.stringify({ ...turnInfo({}), transcript: { [secret]: secret } }),
      JSON.stringify({ ...turnInfo({ transcript: secret }), [secret]: secret, note: { secret } }),
      JSON.stringify(turnInfo({ transcript: secret })).replace("0.96", "1e999"),
      JSON.stringify(turnInfo({ request_id: secret, trigger: secret, languages: [secret], languages_hinted: [secret] })),
      `{"type":"Error","code":"${secret}","description":""}`,
      `{"type":"Warning","request_id":"r","sequence_id":"${secret}"}`,
      `{"type":"Error","code":"X","description":5}`,
      `{"type":"Connected","request_id":5}`,
      deep
    ]
    for (const text of texts) {
      const made = mask.make(false).received(text).text
      const before = FluxMessage.parse(text)
      const after = FluxMessage.parse(made)
      const { type } = before
      if (before.type === "Unrecognized" && after.type === "Unrecognized") assert.strictEqual(after.messageType, before.messageType)
      else if (before.type === "Unreadable") assert.deepStrictEqual(after, before)
      assert.strictEqual(after.type, type, text.slice(0, 200))
      assert.notMatch(made, /secret|friend/)
    }
  })

  it("a message that was replaced comes with its length in bytes", () => {
    assert.strictEqual(mask.make(false).received("ürgh").bytes, 5)
    assert.strictEqual(mask.make(false).received(`{"type":"Novelty"}`).bytes, 18)
    assert.isUndefined(mask.make(false).received(JSON.stringify(turnInfo({}))).bytes)
  })

  it("queries stay legal, and lose keyterms, tags and what is unknown", () => {
    const asked = "model=flux-general-en&encoding=linear16&sample_rate=16000&eot_threshold=0.8&keyterm=customer%20service&keyterm=Smith&keyterm=customer%20service&tag=acme&novelty=secret"
    const by = mask.make(false)
    const made = by.query(asked)
    assert.strictEqual(
      made,
      "model=flux-general-en&encoding=linear16&sample_rate=16000&eot_threshold=0.8&keyterm=keyterm-1&keyterm=keyterm-2&keyterm=keyterm-1&tag=tag-1&novelty=novelty-1"
    )
    assert.isTrue(Result.isSuccess(query.parse(made.replace("&novelty=novelty-1", ""), profiles["hosted-2026-09"])))
    for (const odd of ["", "?", "secret", "keyterm=%secret", "model=se%20cret", "se cret=1", "=secret", "a=b=secret"]) {
      assert.notInclude(by.query(odd), "cret", odd)
    }
  })

  it("keyterms are the same ones wherever they come again", () => {
    const by = mask.make(false)
    by.query("model=flux-general-en&keyterm=customer%20service&tag=acme")
    const thresholds = { eot_threshold: 0.8 }
    const configure = JSON.stringify({ type: "Configure", thresholds, keyterms: ["Smith", "customer service"], secret: "secret" })
    assert.deepStrictEqual(by.sent(configure), {
      type: "Configure",
      text: JSON.stringify({ type: "Configure", thresholds, keyterms: ["keyterm-2", "keyterm-1"] })
    })
    assert.deepInclude(masked(by, { type: "ConfigureSuccess", request_id: "r", sequence_id: 1, thresholds, keyterms: ["customer service"] }), {
      keyterms: ["keyterm-1"],
      thresholds
    })
    // and in what an error says of them
    assert.deepInclude(masked(by, { type: "Error", sequence_id: 1, code: "C", description: "keyterm `smith` of Acme: blacksmith" }), {
      description: "keyterm `keyterm-2` of tag-1: blacksmith"
    })
    assert.strictEqual(by.detail("bad (Customer Service)"), "bad (keyterm-1)")
  })

  it("no keyterm and no error is too odd or too long for it", () => {
    const by = mask.make(false)
    const odd = ["(", "[a-z]", "a|b", "\\", "\uD800", "$&", " ", "x".repeat(100_000)]
    by.sent(JSON.stringify({ type: "Configure", keyterms: odd }))
    assert.strictEqual(by.detail("( [a-z] a|b aab \\ y"), "keyterm-1 keyterm-2 keyterm-3 aab keyterm-4 y")
    assert.isAtMost(by.detail("x ".repeat(1_000_000)).length, 2000)
  })

  it("other text messages of the client are told by their type only", () => {
    const by = mask.make(false)
    assert.deepStrictEqual(by.sent(`{"type":"CloseStream"}`), { type: "CloseStream" })
    assert.deepStrictEqual(by.sent(`{"type":"Novelty","text":"secret"}`), { type: "Novelty" })
    assert.deepStrictEqual(by.sent("secret"), { type: "" })
    assert.deepStrictEqual(by.sent(`{"type":"a secret"}`), { type: "" })
  })

  it("with content, everything is kept but what gives access", () => {
    const by = mask.make(true)
    assert.deepStrictEqual(by.received("secret"), { text: "secret" })
    assert.strictEqual(by.query("keyterm=secret"), "keyterm=secret")
    assert.deepStrictEqual(by.sent(`{"type":"X","a":1}`), { type: "X", text: `{"type":"X","a":1}` })
    for (const content of [true, false]) {
      const said = mask.make(content).detail(
        "arn:aws:sts::123456789012:role/x in account 123456789012 (AKIAIOSFODNN7EXAMPLE, wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY, " +
          "79b8ea8ab5c6369fa5a54dfc7040b3c0f28b791f9c6bca3af6b47bd28d60fabb), request 550e8400-e29b-41d4-a716-446655440000"
      )
      assert.strictEqual(
        said,
        "arn:aws:sts::000000000000:role/x in account 000000000000 ([key], [secret], [secret]), request 550e8400-e29b-41d4-a716-446655440000"
      )
    }
  })
})
