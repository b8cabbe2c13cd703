import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { type Inbound, make } from "../../../src/simulator/server/inbound.ts"
import { credentials, dateOf, encodeMessage, makeSealer, part, strings, unsignedFrame, vectorMillis } from "../../support/rawClient.ts"
import { cut } from "../../support/sound.ts"

const chain = {
  secretAccessKey: credentials.secretAccessKey,
  region: "us-east-1",
  service: "sagemaker",
  seed: "79b8ea8ab5c6369fa5a54dfc7040b3c0f28b791f9c6bca3af6b47bd28d60fabb"
}
const closeStream = `{"type":"CloseStream"}`
const empty = new Uint8Array(0)

/** What came, with audio as a list of bytes. */
const read = (frames: ReadonlyArray<Uint8Array>, verified = false): Array<unknown> => {
  const reader = make(verified ? chain : undefined)
  return frames.flatMap((frame) => reader.push(frame)).map(plain)
}
const plain = (inbound: Inbound): unknown =>
  inbound.type === "audio" ? { type: "audio", bytes: Array.from(inbound.bytes) } : inbound
const audio = (...bytes: ReadonlyArray<number>): unknown => ({ type: "audio", bytes })
const text = (text: string): unknown => ({ type: "text", text })
const end = { type: "end" }
const refused = (message: string): unknown => ({ type: "refused", exception: "InputValidationError", message })
const mismatch = {
  type: "refused",
  exception: "InvalidSignatureException",
  message: "The request signature we calculated does not match the signature you provided. " +
    "Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
}

const flip = (bytes: Uint8Array, at: number): Uint8Array => bytes.map((byte, index) => (index === at ? byte ^ 1 : byte))

// protocol 5.4, host signed; frame 2 by the SDK's codec around the signature given there
const frame1 = Buffer.from(
  "000000d20000004379c2e37a053a64617465080000019b7ca98c88103a6368756e6b2d7369676e61747572650600" +
    "20b9491e35ca5479e5771de43dec480586e42d5e901e1ea237004dc2e6e10489c00000007f0000006bc4c010a7" +
    "0b3a6576656e742d7479706507000b5061796c6f6164506172740d3a6d6573736167652d74797065070005657665" +
    "6e740d3a636f6e74656e742d747970650700186170706c69636174696f6e2f6f637465742d73747265616d084461" +
    "74615479706507000642494e41525900000000b616f78da3a0abb5",
  "hex"
)
const frame2 = encodeMessage({
  ":date": { type: "timestamp", value: dateOf(vectorMillis + 80) },
  ":chunk-signature": {
    type: "binary",
    value: Buffer.from("6783f19c3edef946048ce6f97c654b93acfe8dad896bd5bd870ee1109ac0feca", "hex")
  }
}, part(closeStream))
const frame3 = Buffer.from(
  "0000005300000043f5447a58053a64617465080000019b7ca98d28103a6368756e6b2d7369676e61747572650600" +
    "202df2e0bc8599a8b078cce3b1ca6e3d9cca457c6897dcb0334f4291f8488fb5d2a78262e6",
  "hex"
)

describe("inbound", () => {
  it("follows the chain of protocol 5.4", () => {
    assert.deepStrictEqual(read([frame1, frame2, frame3], true), [audio(0, 0, 0, 0), text(closeStream), end])
    assert.deepStrictEqual(read([frame1, frame2, frame3]), [audio(0, 0, 0, 0), text(closeStream), end])
  })

  it("refuses a frame out of its place in the chain, and says nothing more", () => {
    assert.deepStrictEqual(read([frame1, frame3, frame2], true), [audio(0, 0, 0, 0), mismatch])
    assert.deepStrictEqual(read([frame2], true), [mismatch])
    assert.deepStrictEqual(read([frame1, frame1], true), [audio(0, 0, 0, 0), mismatch])
  })

  it.effect("follows the SDK's signer through midnight UTC", () =>
    Effect.gen(function*() {
      const seal = makeSealer(chain.seed)
      const midnight = Date.UTC(2026, 0, 3)
      const frames = yield* Effect.promise(async () => [
        await seal(part(Uint8Array.of(1)), midnight - 1),
        await seal(part(Uint8Array.of(2)), midnight),
        await seal(empty, midnight + 80)
      ])
      assert.deepStrictEqual(read(frames, true), [audio(1), audio(2), end])
    }))

  it("takes a part without DataType as audio, and JSON in a BINARY part too", () => {
    const untyped = encodeMessage(strings({ ":event-type": "PayloadPart", ":message-type": "event" }), Uint8Array.of(7))
    const json = part(closeStream, { DataType: "BINARY", P: "padding" })
    assert.deepStrictEqual(read([untyped, json].map(unsignedFrame)), [audio(7), audio(...Buffer.from(closeStream))])
  })

  it("puts parts together, also within a code point", () => {
    const bytes = Buffer.from(`{"a":"ü"}`)
    const [head, middle, tail] = [bytes.subarray(0, 7), bytes.subarray(7, 8), bytes.subarray(8)]
    const parts = [head, middle].map((piece) => part(piece, { DataType: "UTF8", CompletionState: "PARTIAL" }))
    const last = part(tail, { DataType: "UTF8", CompletionState: "COMPLETE" })
    assert.deepStrictEqual(
      read([...parts, last, part("x"), part(Uint8Array.of(1))].map(unsignedFrame)),
      [text(`{"a":"ü"}`), text("x"), audio(1)]
    )
    const sound = [part(Uint8Array.of(1), { CompletionState: "PARTIAL" }), part(Uint8Array.of(2))]
    assert.deepStrictEqual(read(sound.map(unsignedFrame)), [audio(1, 2)])
  })

  it("refuses what is no signed frame with one PayloadPart", () => {
    const inner = part(Uint8Array.of(1))
    const partial = part(Uint8Array.of(1), { CompletionState: "PARTIAL" })
    const date = { ":date": { type: "timestamp", value: dateOf(vectorMillis) } } as const
    const signature = { ":chunk-signature": { type: "binary", value: new Uint8Array(32) } } as const
    const layout = refused("a frame must have exactly the headers :date and :chunk-signature (32 bytes)")
    const cases: ReadonlyArray<readonly [ReadonlyArray<Uint8Array>, unknown]> = [
      [[inner], layout],
      [[encodeMessage(date, inner)], layout],
      [[encodeMessage(signature, inner)], layout],
      [[encodeMessage({ ...date, ...signature, ...strings({ extra: "x" }) }, inner)], layout],
      [[encodeMessage({ ...date, ":chunk-signature": { type: "binary", value: new Uint8Array(31) } }, inner)], layout],
      [[encodeMessage({ ...date, ":chunk-signature": { type: "string", value: "x".repeat(32) } }, inner)], layout],
      [[unsignedFrame(Buffer.concat([inner, inner]))], refused("a signed frame must hold exactly one event")],
      [[unsignedFrame(Buffer.concat([inner, inner.subarray(0, 9)]))], refused("a signed frame must hold exactly one event")],
      [[unsignedFrame(inner.subarray(0, 40))], refused("a signed frame must hold exactly one event")],
      [[unsignedFrame(part(Uint8Array.of(1), { ":event-type": "Other" }))], refused("an event must be a PayloadPart")],
      [[unsignedFrame(part(Uint8Array.of(1), { ":message-type": "exception" }))], refused("an event must be a PayloadPart")],
      [[unsignedFrame(part("x", { DataType: "TEXT" }))], refused("DataType must be UTF8 or BINARY")],
      [[unsignedFrame(part("x", { CompletionState: "HALF" }))], refused("CompletionState must be PARTIAL or COMPLETE")],
      [[unsignedFrame(partial), unsignedFrame(part("x"))], refused("DataType changes within a message")]
    ]
    for (const [frames, expected] of cases) assert.deepStrictEqual(read([...frames, unsignedFrame(inner)]), [expected])
  })

  it("refuses broken checksums, outer and inner", () => {
    const outer = read([flip(unsignedFrame(part(Uint8Array.of(1))), 120)])
    const inner = read([unsignedFrame(flip(part(Uint8Array.of(1)), 60))])
    for (const [said] of [outer, inner]) assert.propertyVal(said, "exception", "InputValidationError")
    assert.match(JSON.stringify(outer), /checksum/)
    assert.match(JSON.stringify(inner), /in a signed frame: .*checksum/)
  })

  it("bounds a message of parts at 24 MiB, each by itself", () => {
    const reader = make(undefined)
    const partial = unsignedFrame(part(new Uint8Array(8 * 1024 * 1024), { CompletionState: "PARTIAL" }))
    const last = unsignedFrame(part(Uint8Array.of(1)))
    const said = [partial, partial, last, partial, partial, last].flatMap((frame) => reader.push(frame))
    assert.deepStrictEqual(said.map((inbound) => inbound.type === "audio" && inbound.bytes.length), [16_777_217, 16_777_217])
    const over = [partial, partial, partial, last].flatMap((frame) => reader.push(frame))
    assert.deepStrictEqual(over, [refused("a message may have at most 25165824 bytes")])
  })

  it("copies parts, lest a small one keep the whole chunk that it came in", () => {
    const reader = make(undefined)
    for (const byte of [1, 2, 3]) {
      const chunk = Uint8Array.from(unsignedFrame(part(Uint8Array.of(byte, byte), { CompletionState: "PARTIAL" })))
      assert.deepStrictEqual(reader.push(chunk), [])
      chunk.fill(0)
    }
    const said = reader.push(unsignedFrame(part(Uint8Array.of(4))))
    assert.deepStrictEqual(said.map(plain), [audio(1, 1, 2, 2, 3, 3, 4)])
  })

  it("gives what came before a refusal", () => {
    const good = unsignedFrame(part(Uint8Array.of(1)))
    const said = read([Buffer.concat([good, Buffer.alloc(40, 0xee)])])
    assert.deepStrictEqual(said[0], audio(1))
    assert.propertyVal(said[1], "type", "refused")
    assert.lengthOf(said, 2)
  })

  it.prop("does not care how the body is cut", {
    sizes: Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 300 }))).check(Schema.isBetweenLength(1, 6))
  }, ({ sizes }) => {
    const body = Buffer.concat([frame1, frame2, frame3])
    assert.deepStrictEqual(read(cut(body, sizes), true), [audio(0, 0, 0, 0), text(closeStream), end])
  }, { arbitrary: { runs: 50, seed: "inbound" } })

  it.prop("is total", { noise: Schema.Array(Schema.Uint8Array) }, ({ noise }) => {
    const said = read(noise)
    assert.isAtMost(said.length, 1)
    for (const inbound of said) assert.propertyVal(inbound, "type", "refused")
  }, { arbitrary: { runs: 200, seed: "inbound" } })
})
