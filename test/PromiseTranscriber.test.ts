/** The door for programs without Effect: the same conversations, by promises and async iterables. Nothing here is an Effect but what it is compared with. */
import { afterEach, assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as FakeTransport from "../src/FakeTransport.ts"
import * as FluxError from "../src/FluxError.ts"
import type { FluxEvent } from "../src/FluxEvent.ts"
import * as FluxSettings from "../src/FluxSettings.ts"
import * as PromiseTranscriber from "../src/PromiseTranscriber.ts"
import * as Fault from "../src/simulator/Fault.ts"
import * as Script from "../src/simulator/Script.ts"
import * as Transcriber from "../src/Transcriber.ts"
import { draw } from "./support/sound.ts"

const script = Script.fromText("good morning\nhow are you today")
/** Two turns, and one that the end of the audio cuts off. */
const twoTurns = draw("vvvvvvvv............... vvvvvvvvvvvvvvvv...............")
const cutOff = draw("vvvvvvvv............... vvvvvvvv")
const frames = (audio: Uint8Array): ReadonlyArray<Uint8Array> =>
  Array.from({ length: Math.ceil(audio.length / 2560) }, (_, at) => audio.subarray(at * 2560, (at + 1) * 2560))

const made: Array<PromiseTranscriber.PromiseTranscriber> = []
const make = (options: FakeTransport.Options = {}, others: Partial<PromiseTranscriber.Options> = {}) => {
  const transcriber = PromiseTranscriber.createTranscriber({ transport: FakeTransport.layer({ script, ...options }), ...others })
  made.push(transcriber)
  return transcriber
}
afterEach(async () => {
  await Promise.all(made.splice(0).map((transcriber) => transcriber.close()))
})

const collect = async (events: AsyncIterable<FluxEvent>): Promise<Array<FluxEvent>> => {
  const all: Array<FluxEvent> = []
  for await (const event of events) all.push(event)
  return all
}
const told = (events: ReadonlyArray<FluxEvent>): ReadonlyArray<string> =>
  events.flatMap((event) => event.type === "EndOfTurn" ? [`${event.transcript} (${event.ending})`] : [])
const both = ["good morning (confirmed)", "how are you today (confirmed)"]
const fault = (flag: string): Fault.Fault => Result.getOrThrow(Fault.fromFlag(flag))
const failure = async (promise: Promise<unknown>): Promise<unknown> => promise.then(() => assert.fail("it did not fail"), (error: unknown) => error)
const reasonOf = (error: unknown): string => error instanceof FluxError.FluxError ? error.reason._tag : assert.fail(String(error))

async function* slowly(audio: Uint8Array, end: () => Promise<void> | void = () => undefined) {
  for (const frame of frames(audio)) {
    yield frame
    await Promise.resolve()
  }
  await end()
}

describe("createTranscriber", () => {
  it("gives the very events of Transcriber", async () => {
    const byPromises = await collect(make().transcribe(slowly(twoTurns), { id: "call" }))
    const byEffect = await Effect.runPromise(
      Stream.runCollect(Transcriber.transcribe(Stream.fromIterable(frames(twoTurns)), { id: "call" })).pipe(
        Effect.provide(Transcriber.layer.pipe(Layer.provide(FakeTransport.layer({ script })), Layer.provide(FluxSettings.layer())))
      )
    )
    // superseded Updates are left out where the consumer is slower
    const comparable = (events: ReadonlyArray<FluxEvent>) =>
      events.flatMap((event) => event.type === "Update" ? [] : [Object.assign({}, event, { receivedAt: 0, requestId: "" })])
    assert.deepStrictEqual(comparable(byPromises), comparable(byEffect))
    assert.deepStrictEqual(told(byPromises), both)
  })

  it("takes chunks that are there already, and each iteration is a call of its own", async () => {
    const calls = make().transcribe(frames(twoTurns))
    assert.deepStrictEqual(told(await collect(calls)), both)
    assert.deepStrictEqual(told(await collect(calls)), both)
  })

  it("a source that throws is heard to its last word, and then the iteration throws the same", async () => {
    const hungUp = new Error("the caller hung up")
    const events: Array<FluxEvent> = []
    const error = await failure((async () => {
      for await (const event of make().transcribe(slowly(cutOff, () => Promise.reject(hungUp)))) events.push(event)
    })())
    assert.strictEqual(error, hungUp)
    assert.deepStrictEqual(told(events), ["good morning (confirmed)", "how are (closed)"])
  })

  it("leaving the loop ends the call and its source, without waiting for the last words", async () => {
    const transcriber = make()
    const { promise: left, resolve: leave } = Promise.withResolvers<void>()
    const endless = (async function*() {
      try {
        for (;;) yield* slowly(twoTurns, () => new Promise((resume) => setImmediate(resume)))
      } finally {
        leave()
      }
    })()
    for await (const event of transcriber.transcribe(endless)) if (event.type === "EndOfTurn") break
    await left
    // a source that waits for what never comes cannot be ended by anybody, and holds up nobody
    for await (const event of transcriber.transcribe(slowly(twoTurns, () => new Promise(() => undefined)))) {
      if (event.type === "EndOfTurn") break
    }
    assert.deepStrictEqual(await transcriber.close(), { finished: 0, closed: 0, failed: [] })
  })

  it("survives what a conversation survives, and throws a FluxError for what it does not", async () => {
    const survives = await collect(make({ faults: [fault("reset,session=0,turn=1,after=0.5")] }).transcribe(slowly(twoTurns)))
    assert.include(survives.map(({ type }) => type), "Resumed")
    const events: Array<FluxEvent> = []
    const error = await failure((async () => {
      for await (const event of make({ faults: [fault("deny-403")] }).transcribe(slowly(twoTurns))) events.push(event)
    })())
    assert.strictEqual(reasonOf(error), "Unauthorized")
    assert.match(error instanceof Error ? error.message : "", /sagemaker:InvokeEndpointWithBidirectionalStream/)
    assert.deepStrictEqual(told(events), [])
  })

  it("rejects, with every broken rule named, before anything is connected", async () => {
    const wrong = make({}, { settings: { eotThreshold: 2, sampleRate: 7 } })
    for (const error of [await failure(wrong.open()), await failure(collect(wrong.transcribe(slowly(twoTurns))))]) {
      assert.strictEqual(reasonOf(error), "InvalidSettings")
      assert.match(error instanceof Error ? error.message : "", /eotThreshold: .*; sampleRate: |sampleRate: .*; eotThreshold: /)
    }
    const perCall = await failure(make().open({ settings: { eotTimeoutMs: 1 } }))
    assert.strictEqual(reasonOf(perCall), "InvalidSettings")
    const onSageMaker = PromiseTranscriber.createTranscriber({ endpointName: "my flux", region: "us-east-1" })
    made.push(onSageMaker)
    assert.strictEqual(reasonOf(await failure(onSageMaker.open())), "InvalidSettings")
  })

  it("tells of chunks that are no bytes, instead of sending noise", async () => {
    const samples: Iterable<never> = [new Int16Array(10)] as unknown as Iterable<never>
    assert.strictEqual(reasonOf(await failure(collect(make().transcribe(samples)))), "UnsupportedAudio")
    for (const nothing of ["text", undefined, 7]) {
      const source = nothing as unknown as Iterable<Uint8Array>
      assert.strictEqual(reasonOf(await failure(collect(make().transcribe(source)))), "UnsupportedAudio")
    }
    const call = await make().open()
    assert.strictEqual(reasonOf(await failure(call.send("text" as unknown as Uint8Array))), "UnsupportedAudio")
    assert.throws(() => call.offer(new Float32Array(4) as unknown as Uint8Array), FluxError.FluxError)
  })

  describe("open", () => {
    it("takes audio that is pushed, gives events, and finishes with the last words", async () => {
      const call = await make().open({ id: "pushed" })
      const events = collect(call.events)
      for (const frame of frames(cutOff)) await call.send(frame)
      await call.finish()
      assert.strictEqual(call.status(), "ended")
      assert.deepStrictEqual(told(await events), ["good morning (confirmed)", "how are (closed)"])
      assert.isTrue((await events).every(({ id }) => id === "pushed"))
    })

    it("takes audio of callbacks, and says what waits", async () => {
      const call = await make({ faults: [fault("no-headers")] }, { settings: { outboxLimit: 64_000, outboxPolicy: "fail" } }).open()
      assert.isTrue(call.offer(new Uint8Array(32_000)))
      assert.strictEqual(call.buffered().outboxBytes, 32_000)
      assert.isFalse(call.offer(new Uint8Array(64_000)))
      assert.strictEqual(call.status(), "opening")
      await call.close()
    })

    it("changes settings of a call, and of all", async () => {
      const transcriber = make({ profile: "hosted-2026-09" }, { settings: { eotThreshold: 0.8 } })
      const [one, own] = [await transcriber.open(), await transcriber.open({ settings: { keyterm: ["own"] } })]
      for (const call of [one, own]) await call.send(frames(twoTurns)[0] ?? new Uint8Array())
      assert.strictEqual(await one.update({ eotThreshold: 0.6 }), "configured")
      assert.deepStrictEqual([one.settings().eotThreshold, own.settings().eotThreshold], [0.6, 0.8])
      const rejected = await failure(one.update({ encoding: "mulaw" }))
      assert.strictEqual(reasonOf(rejected), "UnsupportedByEndpoint")

      assert.deepStrictEqual((await transcriber.update({ keyterm: ["all"] })).keyterm, ["all"])
      const applied = (async () => {
        for await (const event of one.events) if (event.type === "SettingsApplied" && event.settings.includes("keyterm")) return
      })()
      await applied
      assert.deepStrictEqual([one.settings().keyterm, own.settings().keyterm], [["all"], ["own"]])
    })

    it("ends a turn on demand, and mutes", async () => {
      const call = await make({ profile: "hosted-2026-09" }).open()
      const events = collect(call.events)
      for (const frame of frames(draw("vvvvvvvv"))) await call.send(frame)
      await call.endTurn()
      call.setMuted(true)
      for (const frame of frames(draw("vvvvvvvv"))) await call.send(frame)
      await call.finish()
      assert.deepStrictEqual(told(await events), ["good morning (confirmed)"])
    })

    it("close ends it at once; so does `await using`", async () => {
      const transcriber = make()
      const call = await transcriber.open()
      const events = collect(call.events)
      await call.send(cutOff)
      await call.close()
      await call.close()
      assert.strictEqual(call.status(), "ended")
      await events
      let inside: PromiseTranscriber.PromiseConversation
      {
        await using other = await transcriber.open()
        inside = other
        assert.notStrictEqual(other.status(), "ended")
      }
      assert.strictEqual(inside.status(), "ended")
    })
  })

  describe("close", () => {
    it("ends all calls with their last words, and nothing can be opened any more", async () => {
      const transcriber = make()
      const call = await transcriber.open()
      const pushed = collect(call.events)
      await call.send(cutOff)
      // the caller stays on the line
      const pulled = collect(transcriber.transcribe(slowly(cutOff, () => new Promise(() => undefined))))
      const seen = (async () => {
        while (call.buffered().behindSeconds > 0.5) await new Promise((resume) => setImmediate(resume))
      })()
      await seen
      const { failed, finished } = await transcriber.close()
      assert.deepStrictEqual([finished, failed], [2, []])
      const expected = ["good morning (confirmed)", "how are (closed)"]
      assert.deepStrictEqual(told(await pushed), expected)
      assert.deepStrictEqual(told(await pulled), expected)
      assert.deepStrictEqual(await transcriber.close(), { finished: 2, closed: 0, failed: [] })
      assert.strictEqual(reasonOf(await failure(transcriber.open())), "ShuttingDown")
      assert.strictEqual(reasonOf(await failure(transcriber.update({ eotThreshold: 0.6 }))), "ShuttingDown")
      assert.strictEqual(reasonOf(await failure(collect(transcriber.transcribe(slowly(twoTurns))))), "ShuttingDown")
    })

    it("last words wait for a consumer that comes late", async () => {
      const transcriber = make()
      const call = await transcriber.open()
      await call.send(twoTurns)
      await transcriber.close()
      assert.deepStrictEqual(told(await collect(call.events)), both)
    })

    it("tells what was not over in time", async () => {
      const transcriber = make({ faults: [fault("stay-open")] }, { shutdownTimeout: "100 millis" })
      const call = await transcriber.open({ id: "stuck" })
      await call.send(twoTurns)
      const { failed } = await transcriber.close()
      assert.deepStrictEqual(failed.map(({ error, id }) => [id, error.reason._tag]), [["stuck", "ShutdownTimeout"]])
      assert.strictEqual(call.status(), "ended")
    })

    it("of what was never used, or cannot be, is nothing", async () => {
      assert.deepStrictEqual(await make().close(), { finished: 0, closed: 0, failed: [] })
      assert.deepStrictEqual(await make({}, { settings: { eotThreshold: 2 } }).close(), { finished: 0, closed: 0, failed: [] })
    })
  })
})
