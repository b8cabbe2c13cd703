/** The end of all conversations of a transcriber at once: what each application still hears, and what is reported. */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Scheduler from "effect/Scheduler"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as FakeTransport from "../src/FakeTransport.ts"
import * as FluxError from "../src/FluxError.ts"
import * as FluxSettings from "../src/FluxSettings.ts"
import type { FluxTransport } from "../src/FluxTransport.ts"
import * as Script from "../src/simulator/Script.ts"
import * as Transcriber from "../src/Transcriber.ts"
import { chunk, collect, entries, fork, polite, start, summary, update } from "./support/session.ts"
import { draw } from "./support/sound.ts"
import { connected, turnInfo } from "./support/wire.ts"

const lastWords = turnInfo({ event: "Update", transcript: "hello there again", end: 1.44 })
/** Says its last words after CloseStream. */
const talkative: FakeTransport.Peer = {
  ...polite,
  received: (frame, server) =>
    frame.dataType === "UTF8"
      ? Effect.andThen(server.say(lastWords), server.end)
      : Effect.andThen(server.say(start), server.say(update))
}
const silent: FakeTransport.Peer = { opened: (server) => server.say(connected) }

/** Servers by the tag of their call, which is the id less its number, and by the session of that call. */
const kinds: Record<string, (session: number) => FakeTransport.Peer> = {
  mid: () => talkative,
  pushed: () => talkative,
  rotating: () => talkative,
  unread: () => talkative,
  closing: () => ({ ...polite, received: (frame, server) => frame.dataType === "UTF8" ? Effect.void : server.say(start) }),
  early: () => ({ ...talkative, accept: Effect.sleep(5000), opened: (server) => Effect.delay(server.say(connected), 1000) }),
  broken: (session) =>
    session === 0
      ? {
        ...polite,
        opened: (server) =>
          Effect.andThen(server.say(connected), Effect.delay(server.fail(new FluxError.ConnectionLost({ detail: "gone" })), 1000))
      }
      : { ...talkative, accept: Effect.sleep(4500) },
  trying: (session) =>
    session === 0
      ? { accept: Effect.fail(FluxError.make(new FluxError.Throttled({ detail: "Rate exceeded" }), "open")) }
      : talkative,
  open: () => ({
    ...polite,
    received: (frame, server) =>
      frame.dataType === "UTF8" ? server.say(lastWords) : Effect.andThen(server.say(start), server.say(update))
  }),
  mute: () => silent
}
const counts = { mid: 17, rotating: 2, trying: 3, pushed: 4, unread: 1, closing: 1, early: 8, broken: 8, open: 5, mute: 1 }
const ids = Object.entries(counts).flatMap(([kind, count]) => Array.from({ length: count }, (_, at) => `${kind}-${at}`))

const byTag = () => {
  const sessions = new Map<string, number>()
  return FakeTransport.layerPeer((query) => {
    const tag = new URLSearchParams(query).get("tag") ?? ""
    const session = sessions.get(tag) ?? 0
    sessions.set(tag, session + 1)
    return kinds[tag.split("-")[0] ?? ""]?.(session) ?? talkative
  })
}
const over = (transport: Layer.Layer<FakeTransport.FakeTransport | FluxTransport>, options: Transcriber.Options = {}) =>
  Transcriber.layerWith(options).pipe(Layer.provideMerge(transport), Layer.provide(FluxSettings.layer()))

/** A microphone: it never ends by itself. */
const microphone = (onStop: () => void = () => {}): Stream.Stream<Uint8Array> =>
  Stream.fromEffectRepeat(Effect.as(Effect.sleep(80), chunk(80))).pipe(Stream.ensuring(Effect.sync(onStop)))
const named = (id: string): Transcriber.CallOptions => ({
  id,
  settings: { tag: [id] },
  retry: id.startsWith("trying") ? Schedule.spaced("4 seconds") : undefined
})
const tagOf = (exit: Exit.Exit<unknown, FluxError.FluxError>): string =>
  Exit.findErrorOption(exit).pipe((error) => error._tag === "Some" ? error.value.reason._tag : exit._tag)
const ends = (seen: ReadonlyArray<string>): Array<string> => seen.filter((line) => line.startsWith("EndOfTurn"))

describe("shutdown", () => {
  it.effect("of 50 calls, each somewhere else: the last words of all, within the bounds of the slowest, and a report", () =>
    Effect.gen(function*() {
      const transcriber = yield* Transcriber.Transcriber
      const scopes = new Map<string, Scope.Closeable>()
      const conversations = new Map<string, Transcriber.Conversation>()
      const calls = new Map<string, Fiber.Fiber<{ readonly seen: Array<string>; readonly exit: Exit.Exit<void, FluxError.FluxError> }>>()
      const stopped: Array<string> = []
      for (const id of ids) {
        if (!/^(pushed|rotating|unread|closing)/.test(id)) {
          calls.set(id, yield* fork(collect(transcriber.transcribe(microphone(() => stopped.push(id)), named(id)))))
          continue
        }
        const scope = yield* Scope.make()
        scopes.set(id, scope)
        const conversation = yield* Scope.provide(transcriber.open(named(id)), scope)
        conversations.set(id, conversation)
        yield* fork(Stream.runForEach(microphone(), conversation.send))
        if (!id.startsWith("unread")) calls.set(id, yield* fork(collect(conversation.events)))
      }
      yield* TestClock.adjust("1 second")
      // another session is to take over when no turn is open
      const updates = yield* Effect.forEach(["rotating-0", "rotating-1"], (id) =>
        fork(Effect.exit(conversations.get(id)?.update({ mipOptOut: true }) ?? Effect.die("none"))))
      yield* TestClock.adjust("500 millis")
      for (const updating of updates) assert.isUndefined(updating.pollUnsafe())
      assert.strictEqual(yield* conversations.get("pushed-0")?.status ?? Effect.succeed(""), "ready")

      const began = yield* Clock.currentTimeMillis
      const asked = yield* fork(Effect.zip(transcriber.shutdown, Clock.currentTimeMillis))
      for (const refused of [
        yield* Effect.exit(Effect.scoped(transcriber.open(named("late")))),
        yield* Effect.exit(Stream.runDrain(transcriber.transcribe(microphone(), named("late"))))
      ]) assert.strictEqual(tagOf(refused), "ShuttingDown")
      const again = yield* fork(transcriber.shutdown)
      yield* TestClock.adjust("2 seconds")
      // of those that can, each is over by now
      assert.strictEqual(yield* conversations.get("pushed-0")?.status ?? Effect.succeed(""), "ended")
      yield* Scope.close(scopes.get("closing-0") ?? (yield* Scope.make()), Exit.void)
      yield* TestClock.adjust("1 minute")
      const [report, at] = yield* Fiber.join(asked)

      assert.deepStrictEqual({ ...report, failed: report.failed.map(({ error, id }) => [id, error.reason._tag, error.stage]) }, {
        finished: 48,
        closed: 1,
        failed: [["mute-0", "Stalled", "closing"]]
      })
      assert.strictEqual(yield* Fiber.join(again), report)
      assert.strictEqual(yield* transcriber.shutdown, report)
      // what is mute is asked by one more session: twice the bound of draining, and less than a second for all else
      assert.isBelow(at - began, 31_000)

      for (const updating of updates) assert.strictEqual(tagOf(yield* Fiber.join(updating)), "CallOver")

      // nobody waits for what follows
      const unread = conversations.get("unread-0")
      assert.isAbove((yield* unread?.buffered ?? Effect.die("none")).events, 0)
      if (unread !== undefined) calls.set("unread-0", yield* fork(collect(unread.events)))
      for (const [id, fiber] of calls) {
        const { exit, seen } = yield* Fiber.join(fiber)
        const [kind] = id.split("-")
        assert.strictEqual(tagOf(exit), kind === "mute" ? "Stalled" : "Success", id)
        const expected = kind === "mute" ? [] : [`EndOfTurn 0 closed: ${kind === "closing" ? "hello" : "hello there again"}`]
        assert.deepStrictEqual(ends(seen), expected, id)
        assert.strictEqual(seen.includes("Warning DRAIN_TIMEOUT"), kind === "open", id)
      }
      assert.deepStrictEqual(stopped.toSorted(), ids.filter((id) => !conversations.has(id)).toSorted())

      const reached = yield* entries
      const of = (what: string): Array<number> => reached.flatMap((entry) => entry.what === what ? [entry.session] : []).toSorted((a, b) => a - b)
      assert.deepStrictEqual(of("disconnect"), of("open"))
      assert.isFalse(reached.some(({ detail }) => detail.includes("late")))
    }).pipe(Effect.provide(over(byTag()))))

  it.effect("hears a turn to its end where the call is to finish with silence", () =>
    Effect.gen(function*() {
      const transcriber = yield* Transcriber.Transcriber
      const audio = Stream.concat(Stream.make(draw("vvvvvvvv")), Stream.never)
      const call = yield* fork(collect(transcriber.transcribe(audio, { finish: "silence" })))
      yield* TestClock.adjust("100 millis")
      const shutdown = yield* fork(transcriber.shutdown)
      yield* TestClock.adjust("3 seconds")
      assert.deepStrictEqual(yield* Fiber.join(shutdown), { finished: 1, closed: 0, failed: [] })
      assert.deepStrictEqual(ends((yield* Fiber.join(call)).seen), ["EndOfTurn 0 confirmed: good morning"])
    }).pipe(Effect.provide(over(FakeTransport.layer({ script: Script.fromText("good morning") })))))

  it.effect("interrupts audio that waits at a full outbox", () =>
    Effect.gen(function*() {
      const transcriber = yield* Transcriber.Transcriber
      const hour = new Uint8Array(3600 * 32_000)
      const call = yield* fork(collect(transcriber.transcribe(Stream.make(hour))))
      yield* TestClock.adjust("1 second")
      const shutdown = yield* fork(transcriber.shutdown)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* Fiber.join(shutdown)).finished, 1)
      assert.strictEqual(tagOf((yield* Fiber.join(call)).exit), "Success")
      const sent = (yield* entries).reduce((sum, { detail, what }) => what === "audio" ? sum + Number(detail) : sum, 0)
      assert.isBelow(sent, hour.length / 10)
    }).pipe(Effect.provide(over(FakeTransport.layer()))))

  it.effect("without calls is over at once; those that ended before are none of its", () =>
    Effect.gen(function*() {
      const transcriber = yield* Transcriber.Transcriber
      const good = yield* transcriber.open()
      yield* good.finish
      const bad = yield* transcriber.open({ settings: { tag: ["mute"] }, retry: Schedule.recurs(0) })
      const finish = yield* fork(Effect.exit(Effect.andThen(bad.send(chunk(1000)), bad.finish)))
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(tagOf(yield* Fiber.join(finish)), "Stalled")
      assert.deepStrictEqual(yield* transcriber.shutdown, { finished: 0, closed: 0, failed: [] })
    }).pipe(Effect.provide(over(byTag()))))

  it.effect("waits for at most its own bound, and leaves what is not over to its Scope", () =>
    Effect.gen(function*() {
      const transcriber = yield* Transcriber.Transcriber
      const scope = yield* Scope.make()
      const conversation = yield* Scope.provide(
        // it is tried for ever, and so no bound of the settings ends it
        transcriber.open({ ...named("endless"), retry: Schedule.spaced("1 second") }),
        scope
      )
      yield* transcriber.open(named("mid-0"))
      yield* TestClock.adjust("1 second")
      const shutdown = yield* fork(Effect.zip(transcriber.shutdown, Clock.currentTimeMillis))
      yield* TestClock.adjust("9 seconds")
      assert.isUndefined(shutdown.pollUnsafe())
      const later = yield* fork(Effect.zip(transcriber.shutdown, Clock.currentTimeMillis))
      yield* TestClock.adjust("1 second")
      const [{ failed, finished }, at] = yield* Fiber.join(shutdown)
      assert.deepStrictEqual((yield* Fiber.join(later))[1], 11_000)
      assert.deepStrictEqual([finished, failed.length, failed[0]?.id, at], [1, 1, "endless", 11_000])
      assert.deepInclude(failed[0]?.error.reason, { _tag: "ShutdownTimeout", seconds: 10 })

      // it goes on, until its Scope says otherwise
      const opens = Effect.map(entries, (all) => all.filter(({ what }) => what === "open").length)
      const before = yield* opens
      yield* TestClock.adjust("5 seconds")
      assert.isAbove(yield* opens, before)
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(yield* conversation.status, "ended")
      assert.strictEqual((yield* transcriber.shutdown).failed, failed)
    }).pipe(Effect.provide(over(
      FakeTransport.layerPeer((query) =>
        query.includes("endless")
          ? { accept: Effect.fail(FluxError.make(new FluxError.Throttled({ detail: "Rate exceeded" }), "open")) }
          : talkative),
      { shutdownTimeout: "10 seconds" }
    ))))

  it.effect("goes on for whoever asks again where the first one to ask is interrupted", () =>
    Effect.gen(function*() {
      const transcriber = yield* Transcriber.Transcriber
      yield* transcriber.open(named("open-0"))
      yield* TestClock.adjust("1 second")
      const first = yield* fork(transcriber.shutdown)
      yield* TestClock.adjust("5 seconds")
      yield* Fiber.interrupt(first)
      assert.strictEqual(tagOf(yield* Effect.exit(Effect.scoped(transcriber.open()))), "ShuttingDown")
      const second = yield* fork(Effect.zip(Transcriber.shutdown, Clock.currentTimeMillis))
      yield* TestClock.adjust("20 seconds")
      // 15 s of draining, from when it was first asked for
      assert.deepStrictEqual(yield* Fiber.join(second), [{ finished: 1, closed: 0, failed: [] }, 16_000])
    }).pipe(Effect.provide(over(byTag()))))

  it.effect("opens a conversation before it, or not at all, whatever the moment", () =>
    Effect.gen(function*() {
      const seen = new Set<string>()
      for (let moment = 0; moment < 120; moment++) {
        yield* Effect.gen(function*() {
          const transcriber = yield* Transcriber.Transcriber
          const scope = yield* Scope.make()
          // a fiber that lets others in after each of its steps
          const opening = yield* transcriber.open(named("mid-0")).pipe(
            Scope.provide(scope),
            Effect.provideService(Scheduler.MaxOpsBeforeYield, 4),
            Effect.exit,
            fork
          )
          for (let step = 0; step < moment; step++) yield* Effect.yieldNow
          const { failed, finished } = yield* transcriber.shutdown
          const exit = yield* Fiber.join(opening)
          assert.deepStrictEqual([finished, failed.length], [Exit.isSuccess(exit) ? 1 : 0, 0], `moment ${moment}`)
          const reached = yield* entries
          // although its Scope is open
          const count = (what: string): number => reached.filter((entry) => entry.what === what).length
          assert.strictEqual(count("open"), count("disconnect"), `moment ${moment}`)
          seen.add(`${tagOf(exit)} ${count("open")}`)
          yield* Scope.close(scope, Exit.void)
        }).pipe(Effect.provide(over(byTag())))
      }
      // too late, and in time
      assert.includeMembers([...seen], ["ShuttingDown 0", "Success 1"])
    }))

  it.effect("has the last words in the events when it completes", () =>
    Effect.gen(function*() {
      const transcriber = yield* Transcriber.Transcriber
      const conversation = yield* transcriber.open(named("mid-0"))
      yield* conversation.send(chunk(80))
      yield* TestClock.adjust("100 millis")
      const done = yield* Deferred.make<number>()
      yield* fork(Effect.andThen(transcriber.shutdown, Effect.flatMap(conversation.buffered, ({ events }) => Deferred.succeed(done, events))))
      const waiting = yield* Deferred.await(done)
      const events = yield* Stream.runCollect(conversation.events)
      assert.strictEqual(waiting, events.length)
      assert.deepStrictEqual(events.slice(-2).map(summary), ["EndOfTurn 0 closed: hello there again", "Disconnected"])
    }).pipe(Effect.provide(over(byTag()))))
})
