/** Conversations side by side: what befalls one does not touch another. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as FakeTransport from "../../src/FakeTransport.ts"
import * as FluxError from "../../src/FluxError.ts"
import type { FluxEvent } from "../../src/FluxEvent.ts"
import * as FluxSettings from "../../src/FluxSettings.ts"
import * as Transcriber from "../../src/Transcriber.ts"
import { atFrames, lines, onFrame, speaking, turnsOf } from "../support/conversation.ts"
import { turnInfo } from "../support/wire.ts"

/** Endpoints by the tag of a call, for its first session and for those after it. */
type Kinds = Readonly<Record<string, (session: number) => FakeTransport.Peer>>

const good = (): FakeTransport.Peer =>
  atFrames({
    5: turnInfo({ event: "StartOfTurn", transcript: "hello", end: 0.4 }),
    20: turnInfo({ event: "EndOfTurn", transcript: "hello", end: 1.6 })
  })
const hangs = (): FakeTransport.Peer => ({ accept: Effect.never })
const lost = new FluxError.ConnectionLost({ detail: "gone" })

const kinds: Kinds = {
  good,
  hangs,
  refused: () => ({ accept: Effect.fail(FluxError.make(new FluxError.ServiceUnavailable({ status: 503, detail: "no" }), "open")) }),
  dies: () => ({ accept: Effect.die("a defect in a transport") }),
  // breaks with its first frame, and never again
  breaks: (session) => session === 0 ? onFrame((_, server) => server.fail(lost)) : good(),
  // breaks with its first frame, and then hangs
  strands: (session) => session === 0 ? onFrame((_, server) => server.fail(lost)) : hangs(),
  deaf: () => ({ ...good(), received: () => Effect.never })
}
const endpoint = Layer.unwrap(Effect.sync(() => {
  const counts = new Map<string, number>()
  return FakeTransport.layerPeer((query) => {
    const tag = new URLSearchParams(query).get("tag") ?? ""
    const session = counts.get(tag) ?? 0
    counts.set(tag, session + 1)
    return kinds[tag.split("-")[0] ?? ""]?.(session) ?? {}
  })
}))
const layer = (options: Transcriber.Options = {}) =>
  Effect.provide(Transcriber.layerWith(options).pipe(Layer.provideMerge(endpoint), Layer.provide(FluxSettings.layer())))

/** Calls of three seconds that begin together; the events of each, and how long it took, in ms. */
const calls = Effect.fnUntraced(function*(names: ReadonlyArray<string>, seconds: number) {
  const seen = new Map<string, Array<FluxEvent>>(names.map((name) => [name, []]))
  const over = new Set<string>()
  yield* Effect.forkChild(Random.withSeed(Effect.forEach(names, (name) =>
    speaking(3).pipe(
      Transcriber.transcribe({ id: name, settings: { tag: [name] } }),
      Stream.runForEach((event) => Effect.sync(() => void seen.get(name)?.push(event))),
      Effect.exit,
      Effect.andThen(Effect.sync(() => void over.add(name)))
    ), { concurrency: "unbounded", discard: true }), "flux"), { startImmediately: true })
  yield* TestClock.adjust(`${seconds} seconds`)
  return { over, events: (name: string): ReadonlyArray<FluxEvent> => seen.get(name) ?? [] }
})
const many = (name: string, count: number): ReadonlyArray<string> => Array.from({ length: count }, (_, at) => `${name}-${at}`)

describe("conversations side by side", () => {
  it.effect("those that fail in every way do not touch those that are well", () =>
    Effect.gen(function*() {
      const bad = ["hangs", "refused", "dies", "strands", "deaf"].flatMap((name) => many(name, 5))
      const { events, over } = yield* calls([...bad, ...many("good", 10)], 4)
      for (const name of many("good", 10)) {
        assert.isTrue(over.has(name), name)
        assert.deepStrictEqual(lines(events(name)), ["Connected 0", "StartOfTurn 0: hello", "EndOfTurn 0 confirmed: hello", "Disconnected 0"])
        assert.isTrue(events(name).every(({ id }) => id === name))
        // as if alone: Connected at once, and the end of the turn with the frame that ends at 1.68 s
        assert.deepStrictEqual(events(name).flatMap((event) => event.type === "Connected" || event.type === "EndOfTurn" ? [event.receivedAt] : []), [0, 1680])
      }
      yield* TestClock.adjust("2 minutes")
      assert.strictEqual(over.size, 35)
    }).pipe(layer()))

  it.effect("more openings than there are permits wait for each other; a recovery does not wait for them", () =>
    Effect.gen(function*() {
      const { events, over } = yield* calls(["breaks-0", ...many("hangs", 40), "good-0"], 4)
      // it had its permit before, and needs another kind now
      assert.deepStrictEqual(turnsOf(events("breaks-0")), ["hello"])
      assert.isTrue(over.has("breaks-0"))
      // 32 hang for 15 s each, so this one has to wait
      assert.deepStrictEqual(events("good-0"), [])
      yield* TestClock.adjust("16 seconds")
      assert.deepStrictEqual(turnsOf(events("good-0")), ["hello"])
      yield* TestClock.adjust("3 minutes")
      assert.strictEqual(over.size, 42)
    }).pipe(layer()))

  it.effect("recoveries that hang do not hold up new calls", () =>
    Effect.gen(function*() {
      const { events, over } = yield* calls([...many("strands", 4), ...many("good", 4)], 4)
      for (const name of many("good", 4)) assert.deepStrictEqual(turnsOf(events(name)), ["hello"])
      yield* TestClock.adjust("3 minutes")
      assert.strictEqual(over.size, 8)
    }).pipe(layer({ opens: 4, recoveries: 1 })))

  it.effect("permits are given back, whatever came of them", () =>
    Effect.gen(function*() {
      const { over } = yield* calls([...many("refused", 20), ...many("dies", 5), ...many("breaks", 20)], 60)
      assert.strictEqual(over.size, 45)
      const { events } = yield* calls(["good-0"], 4)
      assert.deepStrictEqual(turnsOf(events("good-0")), ["hello"])
    }).pipe(layer({ opens: 1, recoveries: 1 })))
})
