/** Audio in all kinds of memory and from all kinds of sources, as it arrives; and what is refused as no audio. */
import { assert, describe, it } from "@effect/vitest"
import { createReadStream } from "node:fs"
import { Readable } from "node:stream"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as Audio from "../src/Audio.ts"
import * as FakeTransport from "../src/FakeTransport.ts"
import * as FluxError from "../src/FluxError.ts"
import * as FluxSettings from "../src/FluxSettings.ts"
import type { AudioSource, PromiseTranscriber } from "../src/PromiseTranscriber.ts"
import * as Fault from "../src/simulator/Fault.ts"
import * as Script from "../src/simulator/Script.ts"
import * as Stamp from "../src/simulator/Stamp.ts"
import * as Transcriber from "../src/Transcriber.ts"
import * as heardCalls from "./support/heardCalls.ts"
import { Kind, kinds } from "./support/kindsOfBytes.ts"

const drain = async (events: AsyncIterable<unknown>): Promise<void> => {
  for await (const _ of events);
}
const turn = (): Promise<void> => new Promise((resume) => setImmediate(resume))
const failure = (promise: Promise<unknown>): Promise<unknown> => promise.then(() => assert.fail("it did not fail"), (error: unknown) => error)
const refusal = (error: unknown): string => {
  const refused = error instanceof FluxError.FluxError ? error : assert.fail(String(error))
  assert.strictEqual(refused.reason._tag, "UnsupportedAudio")
  return refused.message
}
const fault = (flag: string): Fault.Fault => Result.getOrThrow(Fault.fromFlag(flag))

/** A chunk: so many bytes in such memory, which is used again, or not, once the next chunk is asked for. */
const Piece = Schema.Struct({
  bytes: Schema.Literals([2560, 1, 3, 319, 640, 5001, 20_000]),
  kind: Kind,
  again: Schema.Boolean
})
const lengthOf = (pieces: ReadonlyArray<typeof Piece.Type>): number => pieces.reduce((sum, { bytes }) => sum + bytes, 0)
/** Stamped audio in such chunks. */
function* cut(pieces: ReadonlyArray<typeof Piece.Type>): Generator<Audio.Bytes, void> {
  const audio = Stamp.audio(0, Math.ceil(lengthOf(pieces) / 2))
  let at = 0
  for (const { again, bytes, kind } of pieces) {
    const kept = kinds[kind](audio.subarray(at, at + bytes))
    at += bytes
    yield kept.bytes
    if (again) kept.spoil()
  }
}

/** The same chunks, by all ways of iteration. */
const sources = {
  "a generator": (chunks) => chunks,
  "an async generator": async function*(chunks) {
    yield* chunks
  },
  "an async generator that waits": async function*(chunks) {
    for (const chunk of chunks) {
      await turn()
      yield chunk
    }
  },
  "an iterator of one's own": (chunks) => ({ [Symbol.iterator]: () => ({ next: () => chunks.next() }) }),
  "an async iterator of one's own": (chunks) => ({ [Symbol.asyncIterator]: () => ({ next: async () => chunks.next() }) }),
  "a web stream": (chunks) => ReadableStream.from(chunks)
} satisfies Readonly<Record<string, (chunks: Generator<Audio.Bytes, void>) => AudioSource>>
/** And pushed. */
const pushed = {
  send: async (transcriber: PromiseTranscriber, chunks: Generator<Audio.Bytes, void>) => {
    await using call = await transcriber.open()
    for (const chunk of chunks) await call.send(chunk)
    await call.finish()
  },
  offer: async (transcriber: PromiseTranscriber, chunks: Generator<Audio.Bytes, void>) => {
    await using call = await transcriber.open()
    for (const chunk of chunks) assert.isTrue(call.offer(chunk))
    await call.finish()
  }
}

describe("audio as it comes", () => {
  it.effect.prop(
    "arrives whole and in order, however it is cut, kept and handed over",
    {
      pieces: Schema.Array(Piece).check(Schema.isMinLength(1), Schema.isMaxLength(12)),
      way: Schema.Literals([
        "a generator", "an async generator", "an async generator that waits", "an iterator of one's own", "an async iterator of one's own",
        "a web stream", "send", "offer"
      ]),
      outboxLimit: Schema.Literals([1_048_576, 2560])
    },
    ({ outboxLimit, pieces, way }) => Effect.promise(async () => {
      // whole at last: what is stamped in less is not surely told from other audio
      const all = [...pieces, { bytes: 2560, kind: "a Uint8Array", again: true } as const]
      await using calls = await heardCalls.open(way === "offer" ? {} : { outboxLimit })
      if (way === "send" || way === "offer") await pushed[way](calls.transcriber, cut(all))
      else await drain(calls.transcriber.transcribe(sources[way](cut(all))))
      assert.deepStrictEqual(await calls.heard(), [{ from: 0, to: Math.floor(lengthOf(all) / 2) }])
    }),
    { arbitrary: { runs: 120, seed: "flux" }, timeout: 120_000 }
  )

  for (const kind of Kind.literals) {
    it(`${kind}: as a chunk, as all there is, sent and offered`, async () => {
      const audio = Stamp.audio(0, 40_000)
      for (const way of ["chunk", "whole", "send", "offer"] as const) {
        await using calls = await heardCalls.open()
        const { bytes } = kinds[kind](audio)
        if (way === "chunk") await drain(calls.transcriber.transcribe([bytes]))
        else if (way === "whole") await drain(calls.transcriber.transcribe(bytes))
        else await pushed[way](calls.transcriber, (function*() { yield bytes })())
        assert.deepStrictEqual(await calls.heard(), [{ from: 0, to: 40_000 }], way)
      }
    })
  }

  it("all there is may be more than the outbox holds, and is there for another call", async () => {
    await using calls = await heardCalls.open({ outboxLimit: 2560 })
    const whole = calls.transcriber.transcribe(Buffer.from(Stamp.audio(0, 64_000)))
    await drain(whole)
    await drain(whole)
    assert.deepStrictEqual(await calls.heard(), [{ from: 0, to: 64_000 }, { from: 0, to: 64_000 }])
  })

  it("what was transferred, or has shrunk to before its view, is no bytes, and no harm", async () => {
    await using calls = await heardCalls.open()
    const [gone, view, shrunk] = [new ArrayBuffer(640), new DataView(new ArrayBuffer(640)), new ArrayBuffer(640, { maxByteLength: 640 })]
    const behind = [new DataView(shrunk, 320, 100), new Uint8Array(shrunk, 320)]
    structuredClone([gone, view.buffer], { transfer: [gone, view.buffer] })
    shrunk.resize(100)
    await drain(calls.transcriber.transcribe([gone, view, ...behind, new ArrayBuffer(0), Stamp.audio(0, 1280)]))
    assert.deepStrictEqual(await calls.heard(), [{ from: 0, to: 1280 }])
  })
})

describe("a stream over a source that fills one buffer", () => {
  const format = { encoding: "linear16", sampleRate: 16_000 } as const
  /** In chunks of a frame and a half. */
  function* refilled() {
    const [audio, buffer] = [Stamp.audio(0, 30 * 1280), new Uint8Array(3840)]
    for (let at = 0; at < audio.length; at += buffer.length) {
      buffer.set(audio.subarray(at, at + buffer.length))
      yield buffer
    }
  }
  const oneByOne = Stream.suspend(() => Stream.fromIterable(refilled(), { chunkSize: 1 }))
  const streams: Readonly<Record<string, Stream.Stream<Uint8Array>>> = {
    "as it is": oneByOne,
    "in frames": Audio.frames(oneByOne, format),
    "at the pace of speech": Audio.paced(oneByOne, format),
    "in frames, at the pace of speech": Audio.paced(Audio.frames(oneByOne, format), format),
    "of an async iterable": Stream.orDie(Stream.fromAsyncIterable((async function*() { yield* refilled() })(), (cause) => cause))
  }
  for (const [what, audio] of Object.entries(streams)) {
    it.effect(`${what}: arrives whole, where chunks are taken one at a time`, () =>
      Effect.gen(function*() {
        const call = yield* Effect.forkChild(Stream.runDrain(Transcriber.transcribe(audio)), { startImmediately: true })
        yield* Effect.promise(turn)
        yield* TestClock.adjust("10 seconds")
        yield* Fiber.join(call)
        const [record] = yield* Effect.flatMap(FakeTransport.FakeTransport, (fake) => fake.ledger)
        assert.deepStrictEqual(record?.received.stamped, [{ from: 0, to: 30 * 1280 }])
      }).pipe(Effect.provide(Transcriber.layer.pipe(
        Layer.provideMerge(FakeTransport.layer({ script: Script.placeholders })),
        Layer.provide(FluxSettings.layer())
      ))))
  }
})

describe("what is no audio", () => {
  // not every caller has a type checker
  const refused: ReadonlyArray<readonly [what: string, value: unknown, says: RegExp]> = [
    ["text", "RIFF", /is text, not bytes: base64 .*setEncoding/],
    ["undefined", undefined, /is undefined, not bytes/],
    ["null", null, /is null, not bytes/],
    ["a number", 7, /is a number, not bytes: .*Uint8Array/],
    ["a bigint", 7n, /is a bigint, not bytes/],
    ["an Int16Array", new Int16Array(8), /is an Int16Array, not bytes: .*samples\.buffer, samples\.byteOffset, samples\.byteLength/],
    ["a Uint16Array", new Uint16Array(8), /is a Uint16Array, not bytes/],
    ["an Int32Array", new Int32Array(8), /is an Int32Array, not bytes/],
    ["a Float32Array", new Float32Array(8), /is a Float32Array, not bytes: make 16-bit samples/],
    ["a Float64Array", new Float64Array(8), /is a Float64Array, not bytes: make 16-bit samples/],
    ["a BigInt64Array", new BigInt64Array(8), /is a BigInt64Array, not bytes/],
    ["a plain object", { data: [1, 2] }, /is an object, not bytes/],
    ["a Buffer as JSON has it", Buffer.from("ab").toJSON(), /is an object, not bytes/],
    ["an event", new MessageEvent("message"), /is a MessageEvent, not bytes/],
    ["a promise", Promise.resolve(new Uint8Array(8)), /is a Promise, not bytes: await it/],
    ["a function", function*() { yield new Uint8Array(8) }, /is a function, not bytes: call it/],
    ["a Blob", new Blob(["ab"]), /is a Blob, not bytes: give its stream\(\)/],
    ["a Response", new Response("ab"), /is a Response, not bytes: give its body/]
  ]
  for (const [what, value, says] of refused) {
    it(`${what} is called by its name, as a source, as a chunk, sent and offered`, async () => {
      await using calls = await heardCalls.open()
      const { transcriber } = calls
      const bytes = value as Uint8Array
      assert.match(refusal(await failure(drain(transcriber.transcribe(bytes)))), new RegExp(`the source of audio ${says.source}`))
      assert.deepStrictEqual(await calls.heard(), [], "nothing was connected")
      const chunks = [Stamp.audio(0, 1280), bytes, Stamp.audio(1280, 1280)]
      assert.match(refusal(await failure(drain(transcriber.transcribe(chunks)))), new RegExp(`a chunk of audio ${says.source}`))
      // what came before it was heard to its end
      assert.deepStrictEqual(await calls.heard(), [{ from: 0, to: 1280 }])
      await using call = await transcriber.open()
      const chunk = new RegExp(`a chunk of audio ${says.source}`)
      assert.match(refusal(await failure(call.send(bytes))), chunk)
      const offered = Result.try(() => call.offer(bytes))
      assert.match(refusal(Result.isFailure(offered) ? offered.failure : assert.fail("it was taken")), chunk)
      // and the call lives
      await call.send(Stamp.audio(0, 1280))
      await call.finish()
      assert.lengthOf(await calls.heard(), 2)
    })
  }

  const text = () => Readable.from([Buffer.from("abcd")]).setEncoding("latin1")
  const wrong: ReadonlyArray<readonly [what: string, source: () => unknown, says: RegExp]> = [
    ["an array of numbers", () => [1, 2, 3], /a chunk of audio is a number, not bytes/],
    ["an array of arrays", () => [[1, 2]], /a chunk of audio is an array, not bytes/],
    ["a Map", () => new Map([[1, 2]]), /a chunk of audio is an array, not bytes/],
    ["a Node stream after setEncoding", text, /a chunk of audio is text, not bytes: .*setEncoding/],
    ["a Node stream of objects", () => Readable.from([{ data: 1 }]), /a chunk of audio is an object, not bytes/],
    ["a web stream of text", () => ReadableStream.from(["ab"]), /a chunk of audio is text, not bytes/],
    ["an iterator that gives no results", () => ({ [Symbol.iterator]: () => ({ next: () => undefined }) }), /undefined/],
    ["an iterable that is none", () => ({ [Symbol.asyncIterator]: 7 }), /is not a function/]
  ]
  for (const [what, source, says] of wrong) {
    it(`${what} ends in an error`, async () => {
      await using calls = await heardCalls.open()
      const error = await failure(drain(calls.transcriber.transcribe(source() as Iterable<Uint8Array>)))
      assert.match(error instanceof Error ? error.message : "", says)
    })
  }
})

describe("a source", () => {
  const loud = new Uint8Array(2560).fill(0x40)
  /** Endless; tells how often it was pulled, and how often left. */
  const endless = (chunk: Uint8Array = new Uint8Array(2560)) => {
    const seen = { pulled: 0, left: 0 }
    const next = () => {
      seen.pulled += 1
      return { done: false, value: chunk } as const
    }
    const leave = () => {
      seen.left += 1
      return { done: true, value: undefined } as const
    }
    return {
      seen,
      sync: { [Symbol.iterator]: () => ({ next, return: leave }) },
      async: { [Symbol.asyncIterator]: () => ({ next: async () => next(), return: async () => leave() }) }
    }
  }
  const both = ["sync", "async"] as const
  /** Until something is so; other work goes on. */
  const until = async (isSo: () => boolean): Promise<void> => {
    while (!isSo()) await turn()
  }

  for (const how of both) {
    it(`that is ${how} and never waits is pulled no further ahead than may wait, while other work has its turn`, async () => {
      await using calls = await heardCalls.open({ outboxLimit: 10 * 2560 }, { faults: [fault("no-headers")] })
      const { seen, [how]: source } = endless()
      const events = calls.transcriber.transcribe(source)[Symbol.asyncIterator]()
      const first = events.next()
      // ten wait, and one is at the door
      await until(() => seen.pulled === 11)
      for (let i = 0; i < 100; i++) await turn()
      assert.strictEqual(seen.pulled, 11)
      await events.return?.()
      await first
      assert.strictEqual(seen.left, 1)
    })

    it(`that is ${how} and never waits leaves other work its turn also where audio is dropped`, async () => {
      await using calls = await heardCalls.open({ outboxLimit: 2560, outboxPolicy: "drop-oldest" }, { faults: [fault("no-headers")] })
      const { seen, [how]: source } = endless()
      const events = calls.transcriber.transcribe(source)[Symbol.asyncIterator]()
      const first = events.next()
      await until(() => seen.pulled > 1000)
      const before = seen.pulled
      await turn()
      await turn()
      assert.isAtMost(seen.pulled - before, 1024)
      await events.return?.()
      await first
    })

    it(`that is ${how} is told when it is left: by the loop, for a chunk that is none, and by a call that fails`, async () => {
      const left = endless(loud)
      await using calls = await heardCalls.open()
      for await (const event of calls.transcriber.transcribe(left[how])) if (event.type === "StartOfTurn") break
      assert.strictEqual(left.seen.left, 1)

      const broken = endless("noise" as unknown as Uint8Array)
      refusal(await failure(drain(calls.transcriber.transcribe(broken[how]))))
      assert.deepStrictEqual(broken.seen, { pulled: 1, left: 1 })

      await using cut = await heardCalls.open({}, { faults: [fault("reset,turn=0,after=0.5")] })
      const unheard = endless(loud)
      const call = cut.transcriber.transcribe(unheard[how], { retry: Schedule.recurs(0) })
      assert.match(String(await failure(drain(call))), /The connection was lost/)
      assert.strictEqual(unheard.seen.left, 1)
    })
  }

  it("that has ended, or thrown, is not told that it is left", async () => {
    await using calls = await heardCalls.open()
    const broken = new Error("unplugged")
    for (const last of [() => ({ done: true, value: undefined } as const), () => { throw broken }]) {
      let left = 0
      const source = { [Symbol.iterator]: () => ({ next: last, return: () => ({ done: true, value: void left++ } as const) }) }
      const error: unknown = await drain(calls.transcriber.transcribe(source)).catch((error: unknown) => error)
      assert.strictEqual(error, left === 0 && error !== undefined ? broken : undefined)
      assert.strictEqual(left, 0)
    }
  })

  it("whose async iterator is undefined is one that is not async, as for for-await", async () => {
    await using calls = await heardCalls.open()
    const source = { [Symbol.asyncIterator]: undefined, [Symbol.iterator]: () => [Stamp.audio(0, 1280)][Symbol.iterator]() }
    await drain(calls.transcriber.transcribe(source))
    assert.deepStrictEqual(await calls.heard(), [{ from: 0, to: 1280 }])
  })

  it("that throws when it is left, or never comes back, holds up nobody", async () => {
    const leaves = [
      () => { throw new Error("no") },
      async () => { throw new Error("no") },
      () => 7 as never,
      () => new Promise<never>(() => undefined)
    ]
    for (const leave of leaves) {
      await using calls = await heardCalls.open()
      const source = { [Symbol.asyncIterator]: () => ({ next: async () => ({ done: false, value: loud } as const), return: leave }) }
      for await (const event of calls.transcriber.transcribe(source)) if (event.type === "StartOfTurn") break
      // while it is pulled
      let pulled = 0
      const waits = { [Symbol.asyncIterator]: () => ({
        next: () => pulled++ === 0 ? Promise.resolve({ done: false, value: loud } as const) : new Promise<never>(() => undefined),
        return: leave
      }) }
      for await (const event of calls.transcriber.transcribe(waits)) if (event.type === "Connected") break
      await turn()
    }
  })

  it("that breaks before it is read is an error of the loop, and not the end of the process", async () => {
    await using calls = await heardCalls.open()
    const missing = calls.transcriber.transcribe(createReadStream("/no/such/file.raw"))
    assert.match(String(await failure(drain(missing))), /ENOENT/)
    const torn = new Readable({ read: () => undefined })
    torn.destroy(new Error("torn"))
    assert.match(String(await failure(drain(calls.transcriber.transcribe(torn)))), /torn/)
  })
})
