/** Whoever asks something of a call, or waits for something from it, when it ends as it is meant to: by every door, and every way to end it. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as FakeTransport from "../src/FakeTransport.ts"
import * as FluxError from "../src/FluxError.ts"
import type { FluxEvent } from "../src/FluxEvent.ts"
import * as FluxSession from "../src/FluxSession.ts"
import * as FluxSettings from "../src/FluxSettings.ts"
import { profiles } from "../src/FluxTransport.ts"
import * as PromiseTranscriber from "../src/PromiseTranscriber.ts"
import * as Transcriber from "../src/Transcriber.ts"
import { lines, seeded } from "./support/conversation.ts"
import { chunk, fork } from "./support/session.ts"
import { connected, requestId, turnInfo } from "./support/wire.ts"

const utf8 = new TextDecoder()
const typeOf = ({ bytes }: { readonly bytes: Uint8Array }): string => /"type":"(\w+)"/.exec(utf8.decode(bytes))?.[1] ?? ""
const configured = JSON.stringify({
  type: "ConfigureSuccess",
  request_id: requestId,
  sequence_id: 2,
  thresholds: { eot_threshold: 0.8, eot_timeout_ms: 5000 },
  keyterms: []
})
const start = turnInfo({ event: "StartOfTurn", transcript: "hello", end: 0.08 })
const endOfTurn = turnInfo({ event: "EndOfTurn", transcript: "hello", end: 0.16 })

/** Opens a turn at its first audio, which never ends; answers no message, and CloseStream with what is left to say, and the end. */
const mute = (last: ReadonlyArray<string> = [], rest: Partial<FakeTransport.Peer> = {}): FakeTransport.Peer => {
  let spoken = false
  return {
    opened: (server) => server.say(connected),
    received: (frame, server) => {
      if (frame.dataType === "UTF8") {
        return typeOf(frame) === "CloseStream"
          ? Effect.andThen(Effect.forEach(last, server.say, { discard: true }), server.end)
          : Effect.void
      }
      const first = !spoken
      spoken = true
      return first ? server.say(start) : Effect.void
    },
    ...rest
  }
}
/** The same, but its turn ends at the first frame of silence that is added, the third in all. */
const endsBySilence = (): FakeTransport.Peer => {
  let frames = 0
  return mute([], {
    received: (frame, server) => {
      if (frame.dataType === "UTF8") return server.end
      frames++
      return frames === 1 ? server.say(start) : frames === 3 ? server.say(endOfTurn) : Effect.void
    }
  })
}
/** Breaks on its second frame of audio. */
const breaks = (): FakeTransport.Peer => {
  let frames = 0
  return mute([], {
    received: (_, server) => {
      frames++
      return frames === 1 ? server.say(start) : server.fail(new FluxError.ConnectionLost({ detail: "gone" }))
    }
  })
}
const unreachable = (): FakeTransport.Peer => ({ accept: Effect.never })

type Asked = "update" | "endTurn"
type Ending = "finish" | "finish with silence" | "shutdown" | "its Scope" | "PromiseTranscriber.close"
const endings: ReadonlyArray<Ending> = ["finish", "finish with silence", "shutdown", "its Scope", "PromiseTranscriber.close"]

/** What waits, and what it comes to by each way to end the call: at a good end, at one that is heard out with silence, at a Scope that is closed. */
interface Row {
  readonly asked: Asked
  readonly profile: keyof typeof profiles
  readonly patch?: FluxSettings.SettingsPatch
  /** Session by session. */
  readonly peers: ReadonlyArray<() => FakeTransport.Peer>
  readonly expected: readonly [finish: string, silence: string, scope: string]
  /** A session alone has it, too. */
  readonly alone?: true
}
const wide = "hosted-2026-09"
const narrow = "flux-english-20260311"
const eot = { eotThreshold: 0.8 }
const keyterm = { keyterm: ["x"] }
const rows: Readonly<Record<string, Row>> = {
  "an update by Configure that is not answered": {
    asked: "update", profile: wide, patch: eot, peers: [mute], alone: true, expected: ["CallOver", "CallOver", "CallOver"]
  },
  "an update by Configure that is answered with the last words": {
    asked: "update", profile: wide, patch: eot, peers: [() => mute([configured])], alone: true, expected: ["configured", "configured", "CallOver"]
  },
  "an update by a session that does not come": {
    asked: "update", profile: narrow, patch: keyterm, peers: [mute, unreachable], expected: ["CallOver", "CallOver", "CallOver"]
  },
  "an update by a session that waits for the end of the turn, which does not come": {
    asked: "update", profile: narrow, patch: keyterm, peers: [mute], expected: ["CallOver", "CallOver", "CallOver"]
  },
  "an update by a session that waits for the end of the turn, which silence brings": {
    asked: "update", profile: narrow, patch: keyterm, peers: [endsBySilence, mute], expected: ["CallOver", "rotated", "CallOver"]
  },
  "an update while there is no session, and another one comes": {
    asked: "update", profile: narrow, patch: keyterm, peers: [breaks, mute], expected: ["rotated", "rotated", "CallOver"]
  },
  "an update while there is no session, and none comes": {
    asked: "update", profile: narrow, patch: keyterm, peers: [breaks, unreachable], expected: ["RetriesExhausted", "RetriesExhausted", "CallOver"]
  },
  "an end of the turn by force": {
    asked: "endTurn", profile: wide, peers: [mute], alone: true, expected: ["done", "done", "CallOver"]
  },
  "an end of the turn by force that comes with the last words": {
    asked: "endTurn", profile: wide, peers: [() => mute([endOfTurn])], alone: true, expected: ["done", "done", "CallOver"]
  },
  "an end of the turn by silence": {
    asked: "endTurn", profile: narrow, peers: [mute], alone: true, expected: ["done", "done", "CallOver"]
  },
  "an end of the turn while there is no session, and another one comes": {
    asked: "endTurn", profile: narrow, peers: [breaks, mute], expected: ["done", "done", "CallOver"]
  },
  "an end of the turn while there is no session, and none comes": {
    asked: "endTurn", profile: narrow, peers: [breaks, unreachable], expected: ["RetriesExhausted", "RetriesExhausted", "CallOver"]
  }
}
const expectedOf = ({ expected: [finish, silence, scope] }: Row, ending: Ending): string =>
  ending === "finish with silence" ? silence : ending === "its Scope" ? scope : finish

const transport = (peers: ReadonlyArray<() => FakeTransport.Peer>, profile: keyof typeof profiles) =>
  FakeTransport.layerPeer((_, session) => (peers[session] ?? peers.at(-1) ?? mute)(), { capabilities: profiles[profile] })
const servicesOf = ({ peers, profile }: Pick<Row, "peers" | "profile">) =>
  Transcriber.layer.pipe(Layer.provideMerge(transport(peers, profile)), Layer.provideMerge(FluxSettings.layer(patient)))
/** Only the end of the call ends the waiting. */
const patient: FluxSettings.SettingsPatch = { configureTimeout: "1 minute", catchUpSpeed: 1_000_000 }

const outcome = (exit: Exit.Exit<unknown, unknown>): string => {
  if (Exit.isSuccess(exit)) return typeof exit.value === "string" ? exit.value : "done"
  const error = Option.getOrUndefined(Exit.findErrorOption(exit))
  return error instanceof FluxError.FluxError ? error.reason._tag : Exit.hasInterrupts(exit) ? "interrupted" : "died"
}
const of = (fiber: Fiber.Fiber<Exit.Exit<unknown, unknown>>): string => {
  const exit = fiber.pollUnsafe()
  return exit === undefined ? "hangs" : outcome(Exit.isSuccess(exit) ? exit.value : exit)
}
const finishOf = (ending: Ending): FluxSession.Finish => ending === "finish with silence" ? "silence" : "close"

/** An open turn, and time for what is sent to be heard; none where a session is to be missing. */
const spoken = (send: (pcm: Uint8Array) => Effect.Effect<void, FluxError.FluxError>) =>
  Effect.gen(function*() {
    yield* TestClock.adjust(0)
    yield* send(chunk(80))
    yield* TestClock.adjust(0)
    yield* send(chunk(80))
    yield* TestClock.adjust(0)
  })

describe("what waits when a call ends", () => {
  for (const [what, row] of Object.entries(rows)) {
    for (const ending of endings.filter((ending) => ending !== "PromiseTranscriber.close")) {
      it.effect(`${what}: ${ending}`, () =>
        seeded(Effect.gen(function*() {
          const transcriber = yield* Transcriber.Transcriber
          const scope = yield* Scope.make()
          const call = yield* Scope.provide(transcriber.open({ id: "call", finish: finishOf(ending) }), scope)
          const events: Array<FluxEvent> = []
          yield* fork(Effect.ignore(Stream.runForEach(call.events, (event) => Effect.sync(() => void events.push(event)))))
          yield* spoken(call.send)
          const asking = yield* fork(Effect.exit<unknown, FluxError.FluxError, never>(row.asked === "update" ? call.update(row.patch ?? {}) : call.endTurn))
          yield* TestClock.adjust(0)
          assert.strictEqual(of(asking), "hangs", "is waiting")
          const end: Effect.Effect<unknown, FluxError.FluxError> = ending === "shutdown"
            ? transcriber.shutdown
            : ending === "its Scope" ? Scope.close(scope, Exit.void) : call.finish
          const finishing = yield* fork(Effect.exit(end))
          yield* TestClock.adjust("40 seconds")
          assert.notStrictEqual(of(finishing), "hangs")
          assert.strictEqual(of(asking), expectedOf(row, ending))
          assert.strictEqual(yield* call.status, "ended")
          if (row.expected[0] === "CallOver") assert.deepStrictEqual(lines(events).filter((line) => line.startsWith("SettingsRejected")), [])
        })).pipe(Effect.provide(servicesOf(row))))
    }
  }

  for (const [what, row] of Object.entries(rows).filter(([, { alone }]) => alone)) {
    for (const ending of ["finish", "finish with silence", "its Scope"] as const) {
      it.effect(`${what}, of a session alone: ${ending}`, () =>
        seeded(Effect.gen(function*() {
          const scope = yield* Scope.make()
          const resolved = Result.getOrThrow(FluxSettings.resolve(FluxSettings.defaults, patient, profiles[row.profile]))
          const session = yield* Scope.provide(FluxSession.open(resolved, { id: "call", finish: finishOf(ending) }), scope)
          yield* spoken(session.send)
          const changed = Result.getOrThrow(FluxSettings.resolve(resolved, row.patch ?? {}, profiles[row.profile]))
          const asking = yield* fork(Effect.exit<unknown, FluxError.FluxError, never>(row.asked === "update" ? session.update(changed) : session.endTurn))
          yield* TestClock.adjust(0)
          assert.strictEqual(of(asking), "hangs", "is waiting")
          const finishing = yield* fork(Effect.exit(ending === "its Scope" ? Scope.close(scope, Exit.void) : session.finish))
          yield* TestClock.adjust("40 seconds")
          assert.notStrictEqual(of(finishing), "hangs")
          assert.strictEqual(of(asking), expectedOf(row, ending))
        })).pipe(Effect.provide(transport(row.peers, row.profile))))
    }
  }

  it("and PromiseTranscriber is closed: what waits there", async () => {
    const outcomes = await Promise.all(Object.entries(rows).map(async ([what, row]) => {
      const transcriber = PromiseTranscriber.createTranscriber({
        transport: transport(row.peers, row.profile),
        // how long a turn is waited for that does not end, less 2 s
        settings: { ...patient, drainTimeout: "500 millis", eotTimeoutMs: 500 }
      })
      const call = await transcriber.open({ id: "call" })
      const missing = row.peers[0] === breaks
      await call.send(chunk(160))
      while (call.status() !== (missing ? "reconnecting" : "ready") || call.buffered().outboxBytes > (missing ? 1e9 : 0)) {
        await new Promise((resume) => setImmediate(resume))
      }
      const asking = Promise.allSettled([row.asked === "update" ? call.update(row.patch ?? {}) : call.endTurn()])
      await transcriber.close()
      const [settled] = await asking
      const came = settled.status === "fulfilled"
        ? settled.value ?? "done"
        : settled.reason instanceof FluxError.FluxError ? settled.reason.reason._tag : String(settled.reason)
      return [what, came]
    }))
    assert.deepStrictEqual(outcomes, Object.entries(rows).map(([what, row]) => [what, expectedOf(row, "PromiseTranscriber.close")]))
  })
})

describe("what is asked of a call that is over", () => {
  const all = (call: Pick<Transcriber.Conversation, "send" | "endTurn" | "finish">, update: Effect.Effect<unknown, FluxError.FluxError>) =>
    Effect.map(
      Effect.all({ update: Effect.exit(update), endTurn: Effect.exit(call.endTurn), send: Effect.exit(call.send(chunk(80))), finish: Effect.exit(call.finish) }),
      (exits) => Object.entries(exits).map(([what, exit]) => `${what} ${outcome(exit)}`)
    )
  /** No turn is open at a good end, and audio after it is ignored. */
  const afterGoodEnd = ["update CallOver", "endTurn done", "send done", "finish done"]
  const afterClosing = ["update CallOver", "endTurn CallOver", "send CallOver", "finish CallOver"]

  for (const ending of ["finish", "shutdown", "its Scope"] as const) {
    it.effect(`by ${ending}`, () =>
      Effect.gen(function*() {
        const transcriber = yield* Transcriber.Transcriber
        const scope = yield* Scope.make()
        const call = yield* Scope.provide(transcriber.open(), scope)
        yield* spoken(call.send)
        yield* ending === "finish" ? call.finish : ending === "shutdown" ? transcriber.shutdown : Scope.close(scope, Exit.void)
        const expected = ending === "its Scope" ? afterClosing : afterGoodEnd
        for (const patch of [eot, keyterm, { minConfidence: 0.5 }]) assert.deepStrictEqual(yield* all(call, call.update(patch)), expected)
        // also where it is closed after that
        yield* Scope.close(scope, Exit.void)
        assert.deepStrictEqual(yield* all(call, call.update(eot)), expected)
      }).pipe(Effect.provide(servicesOf({ peers: [mute], profile: wide }))))

    if (ending === "shutdown") continue
    it.effect(`by ${ending}, of a session alone`, () =>
      Effect.gen(function*() {
        const scope = yield* Scope.make()
        const session = yield* Scope.provide(FluxSession.open(FluxSettings.defaults, { id: "call" }), scope)
        yield* spoken(session.send)
        yield* ending === "finish" ? session.finish : Scope.close(scope, Exit.void)
        for (const minConfidence of [0, 0.5]) {
          assert.deepStrictEqual(
            yield* all(session, session.update({ ...FluxSettings.defaults, minConfidence })),
            ending === "finish" ? afterGoodEnd : afterClosing
          )
        }
      }).pipe(Effect.provide(transport([mute], wide))))
  }

  it.effect("by a Scope that is closed before it is Connected", () =>
    Effect.gen(function*() {
      const transcriber = yield* Transcriber.Transcriber
      const scope = yield* Scope.make()
      const session = yield* Scope.provide(FluxSession.open(FluxSettings.defaults, { id: "call" }), scope)
      const call = yield* Scope.provide(transcriber.open(), scope)
      for (const one of [session, call]) yield* spoken(one.send)
      const waiting = yield* Effect.forEach(
        [session.connected, session.endTurn, session.finish, call.endTurn, call.update(keyterm), call.update(eot), call.finish],
        (asked) => fork(Effect.exit<unknown, FluxError.FluxError, never>(asked))
      )
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(waiting.map(of), waiting.map(() => "hangs"))
      yield* Scope.close(scope, Exit.void)
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(waiting.map(of), waiting.map(() => "CallOver"))
    }).pipe(Effect.provide(servicesOf({ peers: [unreachable], profile: wide }))))

  it.effect("an update after the end of the audio, however long that takes to be heard", () =>
    Effect.gen(function*() {
      const session = yield* FluxSession.open(FluxSettings.defaults, { id: "call" })
      const call = yield* Effect.flatMap(Transcriber.Transcriber, (transcriber) => transcriber.open())
      for (const one of [session, call]) yield* spoken(one.send)
      const finishing = yield* Effect.forEach([session.finish, call.finish], (finish) => fork(Effect.exit(finish)))
      assert.deepStrictEqual(finishing.map(of), ["hangs", "hangs"])
      const changed = { ...FluxSettings.defaults, minConfidence: 0.5 }
      for (const update of [session.update(changed), call.update({ minConfidence: 0.5 }), call.update(eot)]) {
        assert.strictEqual(outcome(yield* Effect.exit(update)), "CallOver")
      }
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(finishing.map(of), ["done", "done"])
    }).pipe(Effect.provide(servicesOf({
      // takes its time over each frame
      peers: [() => mute([], { received: (frame, server) => frame.dataType === "UTF8" ? server.end : Effect.sleep(1000) })],
      profile: wide
    }))))

  it.effect("a call that failed says why, as before", () =>
    seeded(Effect.gen(function*() {
      const session = yield* FluxSession.open(FluxSettings.defaults, { id: "call" })
      const call = yield* Effect.flatMap(Transcriber.Transcriber, (transcriber) => transcriber.open())
      for (const one of [session, call]) yield* Effect.ignore(spoken(one.send))
      yield* TestClock.adjust("1 minute")
      const failed = (reason: string) => ["update", "endTurn", "send", "finish"].map((what) => `${what} ${reason}`)
      const changed = { ...FluxSettings.defaults, minConfidence: 0.5 }
      assert.deepStrictEqual(yield* all(session, session.update(changed)), failed("ConnectionLost"))
      assert.deepStrictEqual(yield* all(call, call.update({ minConfidence: 0.5 })), failed("RetriesExhausted"))
      const [one, other] = [yield* Effect.flip(session.update(changed)), yield* Effect.flip(session.finish)]
      assert.deepStrictEqual(one, other)
    })).pipe(Effect.provide(servicesOf({ peers: [breaks], profile: wide }))))

  it.effect("an update that waited for the answer of a session which broke says what broke it", () =>
    Effect.gen(function*() {
      const session = yield* FluxSession.open(FluxSettings.defaults, { id: "call" })
      yield* TestClock.adjust(0)
      const update = yield* fork(Effect.exit(session.update({ ...FluxSettings.defaults, ...eot })))
      assert.strictEqual(of(update), "hangs")
      yield* Effect.ignore(spoken(session.send))
      assert.strictEqual(of(update), "ConnectionLost")
    }).pipe(Effect.provide(transport([breaks], wide))))
})

describe("a call that is not over", () => {
  it.effect("does not say so where a session has to go before Flux has answered: the next one has what was asked for", () =>
    seeded(Effect.gen(function*() {
      const call = yield* Effect.flatMap(Transcriber.Transcriber, (transcriber) => transcriber.open({ settings: { maxSessionAge: "20 seconds" } }))
      yield* TestClock.adjust(0)
      const update = yield* fork(Effect.exit(call.update(eot)))
      yield* TestClock.adjust("23 seconds")
      assert.strictEqual(of(update), "hangs")
      // 1.16 times its age, and no other one could be had by then
      yield* TestClock.adjust("1 second")
      assert.strictEqual(of(update), "rotated")
      assert.deepInclude(yield* call.settings, eot)
      assert.strictEqual(yield* call.status, "ready")
    })).pipe(Effect.provide(servicesOf({
      peers: [() => mute([], { received: () => Effect.void }), unreachable, () => mute([], { received: () => Effect.void })],
      profile: wide
    }))))
})

describe("a call that is over", () => {
  it.effect("tells of no settings that its defaults asked for at the last moment", () =>
    Effect.gen(function*() {
      for (const [row, patch] of [
        [rows["an update by Configure that is not answered"], eot],
        [rows["an update by a session that does not come"], keyterm],
        [rows["an update by a session that waits for the end of the turn, which does not come"], keyterm]
      ] as const) {
        if (row === undefined) return assert.fail()
        const events: Array<FluxEvent> = []
        yield* Effect.gen(function*() {
          const call = yield* Effect.flatMap(Transcriber.Transcriber, (transcriber) => transcriber.open())
          const heard = yield* fork(Stream.runForEach(call.events, (event) => Effect.sync(() => void events.push(event))))
          yield* spoken(call.send)
          yield* FluxSettings.FluxSettings.use((defaults) => defaults.update(patch))
          yield* TestClock.adjust(0)
          const finishing = yield* fork(Effect.exit(call.finish))
          yield* TestClock.adjust("40 seconds")
          assert.strictEqual(of(finishing), "done")
          yield* FluxSettings.FluxSettings.use((defaults) => defaults.update({ minConfidence: 0.5, sampleRate: 8000 }))
          yield* TestClock.adjust("1 second")
          yield* Fiber.join(heard)
        }).pipe(Effect.provide(servicesOf(row)), seeded)
        assert.isTrue(events.some(({ type }) => type === "EndOfTurn"))
        assert.deepStrictEqual(lines(events).filter((line) => line.startsWith("Settings")), [])
      }
    }))

  it.effect("whose Scope was closed is counted as closed by a shutdown, and who waits for its last words is told so", () =>
    Effect.gen(function*() {
      const transcriber = yield* Transcriber.Transcriber
      const scope = yield* Scope.make()
      const call = yield* Scope.provide(transcriber.open(), scope)
      yield* spoken(call.send)
      const finishing = yield* fork(Effect.exit(call.finish))
      const down = yield* fork(transcriber.shutdown)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual([of(finishing), down.pollUnsafe()], ["hangs", undefined])
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(yield* Fiber.join(down), { finished: 0, closed: 1, failed: [] })
      assert.strictEqual(of(finishing), "CallOver")
    }).pipe(Effect.provide(servicesOf({
      peers: [() => mute([], { received: (frame, server) => frame.dataType === "UTF8" ? Effect.void : server.say(start) })],
      profile: wide
    }))))

  it("is closed, and who waits for its last words is told so, by promises", async () => {
    const transcriber = PromiseTranscriber.createTranscriber({ transport: transport([unreachable], wide) })
    const call = await transcriber.open()
    await call.send(chunk(80))
    const waiting = Promise.allSettled([call.endTurn(), call.update(keyterm), call.finish()])
    await call.close()
    const after = Promise.allSettled([call.finish(), call.endTurn(), call.update(keyterm), call.send(chunk(80))])
    const reasons = [...await waiting, ...await after].map((settled) =>
      settled.status === "rejected" && settled.reason instanceof FluxError.FluxError ? settled.reason.reason._tag : settled)
    assert.deepStrictEqual(reasons, reasons.map(() => "CallOver"))
    assert.deepStrictEqual(await transcriber.close(), { finished: 0, closed: 0, failed: [] })
  })

  it("says that nothing is wrong", () => {
    for (const ending of ["finished", "closed"] as const) {
      const error = FluxError.make(new FluxError.CallOver({ ending }), "closing")
      assert.isFalse(error.isRetryable)
      assert.match(error.message, /^The call is over.*nothing is to be done/i)
      assert.notMatch(error.message, /lost|network|reconnect|log/i)
    }
  })
})
