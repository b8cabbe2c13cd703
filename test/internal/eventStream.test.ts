import { assert, describe, it } from "@effect/vitest"
import { crc32 } from "node:zlib"
import { fromUtf8, toUtf8 } from "@smithy/core/serde"
import { EventStreamCodec } from "@smithy/eventstream-codec"
import type { MessageHeaders, MessageHeaderValue } from "@smithy/types"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import {
  chunkSignature,
  encode,
  type HeaderValue,
  headerText,
  makeParser,
  makeSigner,
  type Message,
  payloadPart,
  signingKey,
  signingKeys
} from "../../src/internal/eventStream.ts"
import { credentials, dateOf, makeSealer, part, seedOf, signedHeaders, vectorMillis } from "../support/rawClient.ts"

const codec = new EventStreamCodec(toUtf8, fromUtf8)
const empty = new Uint8Array(0)
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex")
const bytesOf = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "hex"))
const signedAs = { secretAccessKey: credentials.secretAccessKey, region: "us-east-1", service: "sagemaker" }

const Millis = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 4_000_000_000_000 }))
const Name = Schema.String.check(Schema.isMinLength(1), Schema.isMaxLength(20))
/** Payloads of all sizes that matter: none, one, a chunk of audio. */
const Payload = Schema.Union([Schema.Uint8Array, Schema.Literals([255, 2560, 70_000])])
const payloadOf = (drawn: typeof Payload.Type): Uint8Array =>
  typeof drawn === "number" ? Uint8Array.from({ length: drawn }, (_, index) => (index * 31) % 251) : drawn

const Header = Schema.Struct({ name: Name, kind: Schema.Literals(["string", "bytes", "timestamp"]), text: Schema.String, bytes: Schema.Uint8Array, millis: Millis })
const ours = ({ bytes, kind, millis, text }: typeof Header.Type): HeaderValue =>
  kind === "string" ? { type: kind, value: text } : kind === "bytes" ? { type: kind, value: bytes } : { type: kind, value: millis }
const theirs = ({ bytes, kind, millis, text }: typeof Header.Type): MessageHeaderValue =>
  kind === "string"
    ? { type: kind, value: text }
    : kind === "bytes"
    ? { type: "binary", value: bytes }
    : { type: kind, value: dateOf(millis) }

/** What the object of headers in the codec can hold: a name once, none that is an integer (it would change places) or `__proto__`. */
const distinct = (headers: ReadonlyArray<typeof Header.Type>): ReadonlyArray<typeof Header.Type> =>
  headers.filter(({ name }, index) => !/^(\d+|__proto__)$/.test(name) && headers.findIndex((other) => other.name === name) === index)

const parseAll = (chunks: Iterable<Uint8Array>): { messages: Array<Message>; problem: string | undefined } => {
  const parser = makeParser()
  const messages: Array<Message> = []
  let problem: string | undefined
  for (const chunk of chunks) {
    const parsed = parser.push(chunk)
    messages.push(...parsed.messages)
    problem = parsed.problem
  }
  return { messages, problem }
}

/** A message as comparable values. */
const plain = (message: Message): unknown => ({
  headers: [...message.headers].map(([name, header]) => [
    name,
    header.type,
    header.value instanceof Uint8Array ? hex(header.value) : header.value
  ]),
  payload: hex(message.payload)
})

/** A message of any headers and payload with right checksums, made without the code under test. */
const sealed = (headers: Uint8Array, payload: Uint8Array, lengths: { total?: number; headers?: number } = {}): Uint8Array => {
  const out = Buffer.alloc(16 + headers.length + payload.length)
  out.writeUInt32BE(lengths.total ?? out.length, 0)
  out.writeUInt32BE(lengths.headers ?? headers.length, 4)
  out.writeUInt32BE(crc32(out.subarray(0, 8)), 8)
  out.set(headers, 12)
  out.set(payload, 12 + headers.length)
  out.writeUInt32BE(crc32(out.subarray(0, -4)), out.length - 4)
  return out
}

describe("eventStream messages", () => {
  it.prop("are written as the SDK's codec writes them, and read back", [Schema.Array(Header), Payload], ([drawn, drawnPayload]) => {
    const headers = distinct(drawn)
    const payload = payloadOf(drawnPayload)
    const theirHeaders: MessageHeaders = Object.fromEntries(headers.map((header) => [header.name, theirs(header)]))
    const bytes = codec.encode({ headers: theirHeaders, body: payload })
    assert.strictEqual(hex(encode(headers.map((header) => [header.name, ours(header)]), payload)), hex(bytes))
    const { messages, problem } = parseAll([bytes])
    assert.isUndefined(problem)
    const decoded = codec.decode(bytes)
    assert.deepStrictEqual(messages.map(plain), [{
      headers: Object.entries(decoded.headers).map(([name, header]) =>
        header.type === "timestamp"
          ? [name, "timestamp", header.value.getTime()]
          : header.type === "binary"
          ? [name, "bytes", hex(header.value)]
          : [name, header.type, header.value]
      ),
      payload: hex(payload)
    }])
  }, { arbitrary: { runs: 200, seed: "codec" } })

  it("keeps the headers of types it has no use for, and their places", () => {
    const others: MessageHeaders = {
      yes: { type: "boolean", value: true },
      no: { type: "boolean", value: false },
      byte: { type: "byte", value: -2 },
      short: { type: "short", value: 300 },
      integer: { type: "integer", value: 70_000 },
      uuid: { type: "uuid", value: "550e8400-e29b-41d4-a716-446655440000" },
      last: { type: "string", value: "here" }
    }
    const bytes = codec.encode({ headers: others, body: empty })
    const { messages } = parseAll([bytes])
    const [message] = messages
    assert.deepStrictEqual(messages.map(plain), [{
      headers: [
        ["yes", "other", ""],
        ["no", "other", ""],
        ["byte", "other", "fe"],
        ["short", "other", "012c"],
        ["integer", "other", "00011170"],
        ["uuid", "other", "550e8400e29b41d4a716446655440000"],
        ["last", "string", "here"]
      ],
      payload: ""
    }])
    if (message === undefined) return
    assert.strictEqual(hex(encode([...message.headers], message.payload)), hex(bytes))
    assert.deepStrictEqual([headerText(message, "last"), headerText(message, "yes"), headerText(message, "none")], ["here", undefined, undefined])
  })

  it("reads the exception frame of protocol 5.5", () => {
    const { messages } = parseAll([bytesOf(
      "0000008d0000005ea087d7b90f3a657863657074696f6e2d747970650700104d6f64656c53747265616d4572726f720d3a6d6573736167652d74797065070009657863657074696f6e0d3a636f6e74656e742d747970650700106170706c69636174696f6e2f6a736f6e7b224d657373616765223a226d222c224572726f72436f6465223a2263227d3f4d2c24"
    )])
    assert.deepStrictEqual(messages.map(plain), [{
      headers: [
        [":exception-type", "string", "ModelStreamError"],
        [":message-type", "string", "exception"],
        [":content-type", "string", "application/json"]
      ],
      payload: hex(new TextEncoder().encode(`{"Message":"m","ErrorCode":"c"}`))
    }])
  })

  it.prop("come whole out of pieces of any size", [Schema.Array(Payload), Schema.Array(Schema.Int)], ([payloads, cuts]) => {
    const whole = Buffer.concat(payloads.map((payload, index) => part(payloadOf(payload), { index: String(index) })))
    const at = [0, ...cuts.map((cut) => Math.abs(cut) % (whole.length + 1)).toSorted((a, b) => a - b), whole.length]
    const pieces = at.slice(1).map((end, index) => new Uint8Array(whole.subarray(at[index], end)))
    const { messages, problem } = parseAll(pieces)
    assert.isUndefined(problem)
    assert.deepStrictEqual(messages.map((message) => [headerText(message, "index"), hex(message.payload)]),
      payloads.map((payload, index) => [String(index), hex(payloadOf(payload))]))
  }, { arbitrary: { runs: 150, seed: "pieces" } })

  it("come whole byte by byte, and pending says what is held", () => {
    const bytes = part("hello")
    const parser = makeParser()
    for (const [index, byte] of [...bytes].entries()) {
      assert.strictEqual(parser.pending(), index)
      assert.strictEqual(parser.push(Uint8Array.of(byte)).messages.length, index === bytes.length - 1 ? 1 : 0)
    }
    assert.strictEqual(parser.pending(), 0)
  })

  it("that were given stay as they are when more arrives", () => {
    const bytes = Buffer.concat([part("first"), part("second"), part("third")])
    const parser = makeParser()
    const messages = [
      ...parser.push(bytes.subarray(0, 5)).messages,
      ...parser.push(bytes.subarray(5, bytes.length - 5)).messages,
      ...parser.push(bytes.subarray(bytes.length - 5)).messages
    ]
    assert.deepStrictEqual(messages.map((message) => Buffer.from(message.payload).toString()), ["first", "second", "third"])
  })

  it("are refused with any one bit changed", () => {
    const bytes = part(`{"type":"TurnInfo"}`)
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const changed = Uint8Array.from(bytes)
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      const { messages, problem } = parseAll([changed])
      assert.isString(problem, `bit ${bit}`)
      assert.deepStrictEqual(messages, [])
    }
  })

  it("before a problem are given, none after it", () => {
    const good = part("good")
    const bad = Uint8Array.from(good)
    bad[bad.length - 1] = (bad[bad.length - 1] ?? 0) ^ 1
    const parser = makeParser()
    const { messages, problem } = parser.push(Buffer.concat([good, bad, good]))
    assert.deepStrictEqual([messages.length, problem], [1, "the checksum of a message is wrong"])
    assert.deepStrictEqual(parser.push(good), { messages: [], problem: "the checksum of a message is wrong" })
    assert.strictEqual(parser.pending(), 0)
  })

  it.each([
    [sealed(empty, empty, { total: 15 }), "15 bytes long, at least 16"],
    [sealed(empty, empty, { total: 0 }), "0 bytes long, at least 16"],
    [sealed(empty, empty, { headers: 1 }), "headers are longer than the message"],
    [sealed(empty, empty, { headers: 0xffff_ffff }), "headers are longer than the message"],
    [sealed(empty, empty, { total: 24 * 1024 * 1024 + 1 }), "at most 25165824"],
    [sealed(Uint8Array.of(3, 97, 98), empty), "name runs over"],
    [sealed(Uint8Array.of(1, 97), empty), "name runs over"],
    [sealed(Uint8Array.of(1, 97, 10), empty), "unknown type 10"],
    [sealed(Uint8Array.of(1, 97, 7, 0), empty), "length runs over"],
    [sealed(Uint8Array.of(1, 97, 7, 0, 2, 98), empty), "value runs over"],
    [sealed(Uint8Array.of(1, 97, 8, 0, 0), empty), "value runs over"]
  ])("with lengths or headers that cannot be are refused (%#)", (bytes, problem) => {
    assert.include(parseAll([bytes]).problem, problem)
  })

  it("are refused for their length before their bytes have come", () => {
    const parser = makeParser({ maxBytes: 100 })
    assert.isUndefined(parser.push(sealed(empty, new Uint8Array(84))).problem)
    assert.include(parser.push(sealed(empty, new Uint8Array(85)).subarray(0, 12)).problem, "101 bytes long, at most 100")
  })

  it.prop("of any bytes give messages or a problem, never a throw", [Schema.Uint8Array, Schema.Uint8Array], ([headers, payload]) => {
    const results = [parseAll([payload, headers]), parseAll([sealed(headers, payload)])]
    for (const { messages, problem } of results) assert.isTrue(Array.isArray(messages) && (problem === undefined || problem !== ""))
    assert.isTrue(results[1]?.messages.length === 1 || results[1]?.problem !== undefined)
  }, { arbitrary: { runs: 500, seed: "any" } })

  it("have names up to 255 and values up to 32767 bytes", () => {
    assert.strictEqual(parseAll([encode([["n".repeat(255), { type: "string", value: "v".repeat(32_767) }]], empty)]).messages.length, 1)
    assert.throws(() => encode([["n".repeat(256), { type: "string", value: "" }]], empty), RangeError)
    assert.throws(() => encode([["n", { type: "string", value: "v".repeat(32_768) }]], empty), RangeError)
  })
})

describe("eventStream parts", () => {
  it.prop("are written as the SDK's codec writes them", [Payload, Schema.Literals(["UTF8", "BINARY"])], ([drawn, dataType]) => {
    const payload = payloadOf(drawn)
    const expected = (more: Readonly<Record<string, string>>): string => hex(part(payload, { DataType: dataType, ...more }))
    assert.strictEqual(hex(payloadPart(dataType, payload)), expected({}))
    assert.strictEqual(hex(payloadPart(dataType, payload, "PARTIAL")), expected({ CompletionState: "PARTIAL" }))
    assert.strictEqual(hex(payloadPart(dataType, payload, "COMPLETE")), expected({ CompletionState: "COMPLETE" }))
  }, { arbitrary: { runs: 50, seed: "parts" } })
})

/** The chains of protocol 5.4: four zero bytes, CloseStream, the end. */
const vectors = [
  {
    hostName: "host",
    seed: "79b8ea8ab5c6369fa5a54dfc7040b3c0f28b791f9c6bca3af6b47bd28d60fabb",
    signatures: [
      "b9491e35ca5479e5771de43dec480586e42d5e901e1ea237004dc2e6e10489c0",
      "6783f19c3edef946048ce6f97c654b93acfe8dad896bd5bd870ee1109ac0feca",
      "2df2e0bc8599a8b078cce3b1ca6e3d9cca457c6897dcb0334f4291f8488fb5d2"
    ]
  },
  {
    hostName: ":authority",
    seed: "e91f2f901a46f58d5cc6d56c8146fb8c4d27c2b133e804dd7218e0f68ef6b6a8",
    signatures: [
      "ce302311ab2593d51e1b7f7743f25391b6050a50980811211035c7bc5ee6e553",
      "d7fb855124f2a4dda0df36179e65e2264404c9901318509dc067240075f4d23e",
      "c8f9d815620e9f7a54d28025557771a937cd17446b3ee5bdace71454dde7d361"
    ]
  }
] as const
const inners = [payloadPart("BINARY", new Uint8Array(4)), payloadPart("UTF8", fromUtf8(`{"type":"CloseStream"}`)), empty]
const frame1 =
  "000000d20000004379c2e37a053a64617465080000019b7ca98c88103a6368756e6b2d7369676e6174757265060020b9491e35ca5479e5771de43dec480586e42d5e901e1ea237004dc2e6e10489c00000007f0000006bc4c010a70b3a6576656e742d7479706507000b5061796c6f6164506172740d3a6d6573736167652d747970650700056576656e740d3a636f6e74656e742d747970650700186170706c69636174696f6e2f6f637465742d73747265616d08446174615479706507000642494e41525900000000b616f78da3a0abb5"
const frame3 =
  "0000005300000043f5447a58053a64617465080000019b7ca98d28103a6368756e6b2d7369676e61747572650600202df2e0bc8599a8b078cce3b1ca6e3d9cca457c6897dcb0334f4291f8488fb5d2a78262e6"

describe("chunk signatures", () => {
  it.effect.each(vectors)("make the chain of protocol 5.4, $hostName signed", ({ hostName, seed, signatures }) =>
    Effect.gen(function*() {
      assert.strictEqual(seedOf(yield* Effect.promise(() => signedHeaders({ hostName }))), seed)
      const signer = makeSigner(signingKeys(signedAs), seed)
      const { key, scope } = signingKey(signedAs, vectorMillis)
      assert.strictEqual(scope, "20260102/us-east-1/sagemaker/aws4_request")
      let prior: string = seed
      for (const [index, inner] of inners.entries()) {
        const millis = vectorMillis + 80 * index
        const frame = signer.sign(inner, millis)
        const signature = parseAll([frame]).messages[0]?.headers.get(":chunk-signature")?.value
        assert.strictEqual(signature instanceof Uint8Array ? hex(signature) : "", signatures[index])
        assert.strictEqual(hex(chunkSignature({ signingKey: key, scope, millis, prior, inner })), signatures[index])
        prior = signatures[index] ?? ""
      }
    }))

  it("give the outer bytes of protocol 5.4", () => {
    const signer = makeSigner(signingKeys(signedAs), vectors[0].seed)
    const frames = inners.map((inner, index) => hex(signer.sign(inner, vectorMillis + 80 * index)))
    assert.deepStrictEqual([frames[0], frames[2]], [frame1, frame3])
    assert.deepStrictEqual([frame1.length / 2, frame3.length / 2], [210, 83])
  })

  it.effect.prop("chain as the SDK's signer chains", {
    frames: Schema.Array(Schema.Struct({ payload: Payload, dataType: Schema.Literals(["UTF8", "BINARY"]), millis: Millis, whole: Schema.Boolean, left: Schema.Boolean })),
    region: Schema.String.check(Schema.isPattern(/^[a-z]{2}-[a-z]{4,9}-\d$/)),
    secretAccessKey: Name
  }, ({ frames, region, secretAccessKey }) =>
    Effect.gen(function*() {
      const seed = vectors[0].seed
      const signer = makeSigner(signingKeys({ secretAccessKey, region, service: "sagemaker" }), seed)
      const seal = makeSealer(seed, { secretAccessKey, region })
      for (const { dataType, left, millis, payload, whole } of frames) {
        const bytes = payloadOf(payload)
        const expected = yield* Effect.promise(() => seal(part(bytes, { DataType: dataType }), millis))
        if (!whole) assert.strictEqual(hex(signer.sign(payloadPart(dataType, bytes), millis)), hex(expected))
        else {
          const frame = signer.signPart(dataType, bytes, millis)
          assert.strictEqual(hex(frame.bytes), hex(expected))
          if (left) frame.left()
        }
      }
      const end = yield* Effect.promise(() => seal(empty, vectorMillis))
      assert.strictEqual(hex(signer.sign(empty, vectorMillis)), hex(end))
    }), { arbitrary: { runs: 60, seed: "chain" } })

  it.effect("change key and scope at midnight UTC", () =>
    Effect.gen(function*() {
      const midnight = 1_767_398_400_000
      assert.strictEqual(dateOf(midnight).toISOString(), "2026-01-03T00:00:00.000Z")
      const signer = makeSigner(signingKeys(signedAs), vectors[0].seed)
      const seal = makeSealer(vectors[0].seed)
      for (const millis of [midnight - 80, midnight - 1, midnight, midnight + 79, midnight - 1]) {
        const expected = yield* Effect.promise(() => seal(part("x"), millis))
        assert.strictEqual(hex(signer.signPart("UTF8", fromUtf8("x"), millis).bytes), hex(expected), String(millis - midnight))
      }
      assert.strictEqual(signingKey(signedAs, midnight - 1).scope.slice(0, 8), "20260102")
      assert.strictEqual(signingKey(signedAs, midnight).scope.slice(0, 8), "20260103")
    }))

  it("of a date that no calendar holds match nothing, but do not throw", () => {
    const { key, scope } = signingKey(signedAs, vectorMillis)
    for (const millis of [2 ** 63, -(2 ** 63), Number.NaN, 8.64e15 + 1]) {
      assert.strictEqual(chunkSignature({ signingKey: key, scope, millis, prior: vectors[0].seed, inner: empty }).length, 32)
      assert.isString(signingKey(signedAs, millis).scope)
    }
  })
})
