/**
 * Whole calls of which time decides something: each of them at its bounds, paces and ages. What came of one is what was
 * told, what reached the other side, and what was answered, all with their times.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as Audio from "../../src/Audio.ts"
import * as EagerReply from "../../src/EagerReply.ts"
import * as FakeTransport from "../../src/FakeTransport.ts"
import * as FluxError from "../../src/FluxError.ts"
import type { FluxEvent } from "../../src/FluxEvent.ts"
import * as FluxSettings from "../../src/FluxSettings.ts"
import type { ProfileName } from "../../src/FluxTransport.ts"
import * as Fault from "../../src/simulator/Fault.ts"
import type { SessionRecord } from "../../src/simulator/Ledger.ts"
import * as Script from "../../src/simulator/Script.ts"
import * as Transcriber from "../../src/Transcriber.ts"
import { fork } from "../support/session.ts"
import { draw, pcm16 } from "../support/sound.ts"
import { connected, turnInfo } from "../support/wire.ts"

/** What came of a call; times in monotonic ms from its beginning, but for those that events and replies tell. */
export interface Outcome {
  readonly events: ReadonlyArray<FluxEvent>
  readonly heardAt: ReadonlyArray<number>
  readonly entries: ReadonlyArray<FakeTransport.Entry>
  readonly ledger: ReadonlyArray<SessionRecord>
  /** What was asked for, what came of it and when; and what an agent did. */
  readonly answers: ReadonlyArray<readonly [at: number, what: string]>
}

interface Watch {
  /** Hears events to their end. */
  readonly listen: <R>(events: Stream.Stream<FluxEvent, FluxError.FluxError, R>) => Effect.Effect<void, never, R>
  readonly note: (what: string) => void
  /** Asks in a fiber of its own. */
  readonly ask: (what: string, asked: Effect.Effect<unknown, FluxError.FluxError>) => Effect.Effect<void>
}

/** A call, and how long it takes at most. */
export interface TimedCall {
  readonly seconds: number
  /** What must have come of it, or its clock was never asked. */
  readonly shows: ReadonlyArray<string>
  readonly services: Layer.Layer<Transcriber.Transcriber | FakeTransport.FakeTransport | FluxSettings.FluxSettings>
  readonly run: (watch: Watch) => Effect.Effect<void, FluxError.FluxError, Transcriber.Transcriber | Scope.Scope>
}

/** Whole ms come of it: the clocks of TestClock part on fractions of a nanosecond. */
const middling = { nextDoubleUnsafe: (): number => 0.5, nextIntUnsafe: (): number => 0 }

const outcomeOf = (exit: Exit.Exit<unknown, FluxError.FluxError>): string => {
  if (Exit.isSuccess(exit)) return JSON.stringify(exit.value) ?? "done"
  return Option.match(Exit.findErrorOption(exit), { onNone: () => "interrupted or died", onSome: ({ message }) => message })
}

/** Plays a call on TestClock, whatever its wall clock does. */
export const play = ({ run, seconds, services }: TimedCall): Effect.Effect<Outcome> =>
  Effect.gen(function*() {
    const clock = yield* Clock.Clock
    const start = clock.monotonicTimeNanosUnsafe()
    const now = (): number => Number(clock.monotonicTimeNanosUnsafe() - start) / 1e6
    const events: Array<FluxEvent> = []
    const heardAt: Array<number> = []
    const answers: Array<readonly [number, string]> = []
    const note = (what: string): void => void answers.push([now(), what])
    const watch: Watch = {
      note,
      listen: (stream) =>
        Effect.exit(Stream.runForEach(stream, (event) =>
          Effect.sync(() => {
            events.push(event)
            heardAt.push(now())
          }))).pipe(Effect.map((exit) => note(`events: ${outcomeOf(exit)}`))),
      ask: (what, asked) => Effect.asVoid(fork(Effect.map(Effect.exit(asked), (exit) => note(`${what}: ${outcomeOf(exit)}`))))
    }
    const running = yield* fork(Effect.exit(Effect.provideService(Effect.scoped(run(watch)), Random.Random, middling)))
    yield* TestClock.adjust(`${seconds} seconds`)
    if (running.pollUnsafe() === undefined) return yield* Effect.die(`not over after ${seconds} s: ${events.map(({ type }) => type).join(" ")}`)
    note(`call: ${outcomeOf(yield* Fiber.join(running))}`)
    const fake = yield* FakeTransport.FakeTransport
    return { events, heardAt, entries: yield* fake.entries, ledger: yield* fake.ledger, answers }
  }).pipe(Effect.provide(services), Effect.orDie)

// --- what is said, and to whom

const served = (options: Transcriber.Options, transport: Layer.Layer<Layer.Success<ReturnType<typeof FakeTransport.layer>>>): TimedCall["services"] =>
  Transcriber.layerWith(options).pipe(Layer.provideMerge(transport), Layer.provideMerge(Layer.orDie(FluxSettings.layer())))
const script = Script.fromText("one two three\nfour five six\nseven eight\nnine ten eleven\ntwelve thirteen")
const simulated = (faults: ReadonlyArray<string> = [], profile: ProfileName = "flux-english-20260311", options: Transcriber.Options = {}) =>
  served(options, FakeTransport.layer({
    script,
    oneCall: true,
    profile,
    faults: faults.map((flag) => Result.getOrThrow(Fault.fromFlag(flag)))
  }))
const peers = (...all: ReadonlyArray<FakeTransport.Peer>) => served({}, FakeTransport.layerPeer((_, session) => all[session] ?? all.at(-1) ?? {}))

/** A turn at the first audio that never ends; CloseStream is answered. */
const endless: FakeTransport.Peer = {
  opened: (server) => server.say(connected),
  received: (frame, server) => frame.dataType === "UTF8" ? server.end : server.say(turnInfo({ event: "Update", transcript: "hello", end: 0.08 }))
}
const breaks: FakeTransport.Peer = {
  opened: (server) => Effect.andThen(server.say(connected), Effect.delay(server.fail(new FluxError.ConnectionLost({ detail: "gone" })), 700))
}

/** Says Connected, ends a turn at its fifteenth frame of audio, and breaks. */
const turnThenBreak = (): FakeTransport.Peer => {
  let frame = 0
  return {
    opened: (server) => server.say(connected),
    received: ({ dataType }, server) =>
      dataType === "UTF8" ? server.end : ++frame < 15 ? Effect.void : Effect.andThen(
        server.say(turnInfo({ event: "EndOfTurn", transcript: "hello", end: 1.2 })),
        server.fail(new FluxError.ConnectionLost({ detail: "gone" }))
      )
  }
}
const rejected = FluxError.make(new FluxError.Rejected({ detail: "ModelError" }), "open")

const twoTurns = "vvvvvvvvvvvv..............vvvvvvvvvvvv.............."
const frames = (pattern: string): ReadonlyArray<Uint8Array> => [...pattern].map((mark) => draw(mark))
/** A caller in real time; a digit is so many seconds without audio. */
const speaking = (pattern: string): Stream.Stream<Uint8Array> =>
  Stream.fromIterable([...pattern], { chunkSize: 1 }).pipe(
    Stream.mapEffect((mark) => Effect.as(Effect.sleep(/\d/.test(mark) ? Number(mark) * 1000 : 80), mark)),
    Stream.filter((mark) => !/\d/.test(mark)),
    Stream.map((mark) => draw(mark))
  )
/** The same of a file, which is paced; a digit is a source that stalls. */
const paced = (pattern: string): Stream.Stream<Uint8Array> =>
  Stream.fromIterable([...pattern], { chunkSize: 1 }).pipe(
    Stream.mapEffect((mark) => Effect.as(/\d/.test(mark) ? Effect.sleep(Number(mark) * 1000) : Effect.void, mark)),
    Stream.filter((mark) => !/\d/.test(mark)),
    Stream.map((mark) => draw(mark)),
    Audio.paced(pcm16)
  )
const transcribed = (audio: Stream.Stream<Uint8Array>, options: Transcriber.CallOptions = {}): TimedCall["run"] => ({ listen }) =>
  Effect.flatMap(Transcriber.Transcriber, (transcriber) => listen(transcriber.transcribe(audio, { id: "call", ...options })))
/** A call that is pushed: `use` speaks, asks and sleeps, and then it is finished. */
const pushed = (
  use: (call: Transcriber.Conversation, say: (pattern: string) => Effect.Effect<void, FluxError.FluxError>, watch: Watch) => Effect.Effect<void, FluxError.FluxError>,
  options: Transcriber.CallOptions = {}
): TimedCall["run"] => (watch) =>
  Effect.gen(function*() {
    const call = yield* Effect.flatMap(Transcriber.Transcriber, (transcriber) => transcriber.open({ id: "call", ...options }))
    const listening = yield* fork(watch.listen(call.events))
    yield* Effect.exit(use(call, (pattern) => Stream.runForEach(speaking(pattern), call.send), watch))
    yield* watch.ask("finish", call.finish)
    yield* Fiber.join(listening)
  })

/** The calls, by what decides in them. */
export const calls: Readonly<Record<string, TimedCall>> = {
  "a paced file whose source stalls": {
    shows: ["five six", "confirmed"],
    seconds: 12, services: simulated(), run: transcribed(paced(`${twoTurns.slice(0, 20)}2${twoTurns.slice(20)}`))
  },
  "a file that is not paced, caught up after a late Connected": {
    shows: ["five six", "confirmed"],
    seconds: 30, services: simulated(["late-connected,delay=3000", "late-headers,delay=1500"]), run: transcribed(Stream.fromIterable(frames(twoTurns), { chunkSize: 1 }))
  },
  "audio that is no whole frames, with what is heard late": {
    shows: ['"session":1', "confirmed"],
    seconds: 30,
    services: simulated(["lag,delay=300", "lifetime,seconds=3,session=0"]),
    run: pushed((call, say) =>
      Effect.gen(function*() {
        for (let chunk = 0; chunk < 40; chunk++) {
          yield* call.send(draw("v").subarray(0, 1600))
          yield* Effect.sleep(chunk % 3 === 2 ? 200 : 50)
        }
        yield* say("..............")
      }))
  },
  "a break, with recovery, replay and catching up": {
    shows: ["Resumed", "five six"],
    seconds: 20, services: simulated(["reset,at=2.4,session=0"]), run: transcribed(speaking(twoTurns))
  },
  "an outage that takes all of its time": {
    shows: ["Gave up after", "503"],
    seconds: 60, services: peers(breaks, { accept: Effect.fail(FluxError.make(new FluxError.ServiceUnavailable({ status: 503, detail: "x" }), "open")) }), run: transcribed(speaking("vvvvvvvvvvvv.....................5555"))
  },
  "a retry of the caller's own, by elapsed time": {
    shows: ["Gave up after 7 attempts"],
    seconds: 60,
    services: peers(breaks),
    run: transcribed(speaking("vvvvvvvvvvvv.....................9"), { retry: Schedule.upTo(Schedule.spaced("900 millis"), { duration: "8 seconds" }) })
  },
  "a call whose sessions break again and again": {
    shows: ["Gave up after 20 sessions"],
    seconds: 60,
    services: served({}, FakeTransport.layerPeer(turnThenBreak)),
    run: transcribed(speaking("v".repeat(450)))
  },
  "a 424 to settings that the endpoint took before": {
    shows: ['"attempt":5'],
    seconds: 60,
    services: served({}, FakeTransport.layerPeer((_, session) => session === 0 || session >= 5 ? endless : { accept: Effect.fail(rejected) })),
    run: (watch) =>
      Effect.gen(function*() {
        yield* transcribed(speaking("vvvv"))(watch)
        yield* transcribed(speaking("vvvv"))(watch)
      })
  },
  "a Flux that stalls, and one that goes mute at the end": {
    shows: ["for 10 s although", "for 15 s although"],
    seconds: 90, services: simulated(["mute,at=1.2,session=0", "mute,at=14,session=1"]), run: transcribed(speaking(`${twoTurns}${twoTurns}${twoTurns}${twoTurns}vvvv`))
  },
  "a stuck turn that the watchdog ends": {
    shows: ["confirmed"],
    seconds: 30, services: simulated(), run: pushed((_, say) => Effect.andThen(say("vvvvvvvv"), Effect.sleep("6 seconds")))
  },
  "a stuck turn that nothing ends": {
    shows: ["closed"],
    seconds: 40, services: peers(endless), run: pushed((_, say) => Effect.andThen(say("vvvvvvvv"), Effect.sleep("14 seconds")))
  },
  "silence that is kept alive": {
    shows: ['"detail":"2"'],
    seconds: 60, services: simulated(), run: pushed((_, say) => Effect.andThen(say(twoTurns.slice(0, 26)), Effect.sleep("35 seconds")))
  },
  "sessions that grow old, one of them in a turn": {
    shows: ['"session":3'],
    seconds: 40,
    services: simulated(),
    run: transcribed(speaking(`${twoTurns}${twoTurns}${"v".repeat(40)}..............`), { settings: { maxSessionAge: "3 seconds" } })
  },
  "updates that are answered, and are not": {
    shows: ["first: Flux did not answer", "second: Flux did not answer"],
    seconds: 40,
    services: simulated(["configure-lost,session=0"], "hosted-2026-09"),
    run: pushed((call, say, { ask }) =>
      Effect.gen(function*() {
        yield* say("vvvv")
        yield* ask("first", call.update({ eotThreshold: 0.8 }))
        yield* say("vvvv")
        yield* ask("second", call.update({ eotTimeoutMs: 6000 }))
        yield* say(`..............${twoTurns}`)
        yield* Effect.sleep("6 seconds")
      }))
  },
  "ends of turns by silence": {
    shows: ["one: done", "two: done"],
    seconds: 30,
    services: simulated(),
    run: pushed((call, say, { ask }) =>
      Effect.gen(function*() {
        yield* say("vvvvvvvv")
        yield* ask("one", call.endTurn)
        yield* say("vvvvvvvvvvvv")
        yield* ask("two", call.endTurn)
        yield* Effect.sleep("4 seconds")
      }))
  },
  "ends of turns that do not come": {
    shows: ["one: done", "closed"],
    seconds: 60,
    services: peers(endless),
    run: pushed((call, say, { ask }) =>
      Effect.gen(function*() {
        yield* say("vv")
        yield* ask("one", call.endTurn)
        yield* say("vv")
        yield* Effect.sleep("9 seconds")
      }), { finish: "silence" })
  },
  "an agent that drafts early": {
    shows: ["Spoken", "Interrupted", "Discarded"],
    seconds: 30,
    services: simulated(),
    run: ({ listen, note }) =>
      Effect.gen(function*() {
        const transcriber = yield* Transcriber.Transcriber
        // a pause that goes on, a turn that ends, and one that is interrupted
        const audio = speaking("vvvvvvvvvvvv......vvvv..............vvvvvvvvvvvv..............vvvvvvvvvvvv..............3")
        const events = transcriber.transcribe(audio, { id: "call", settings: { eagerEotThreshold: 0.4 } })
        const told: Array<FluxEvent> = []
        const replies = EagerReply.reply(Stream.tap(events, (event) => Effect.sync(() => void told.push(event))), {
          draft: ({ transcript }) => Effect.delay(Effect.succeed(transcript), 300),
          speak: () => Effect.sleep(1500)
        })
        yield* Stream.runForEach(replies, (reply) => Effect.sync(() => note(JSON.stringify(reply))))
        yield* listen(Stream.fromIterable(told))
      })
  },
  "an end that is answered, and does not come": {
    shows: ["DRAIN_TIMEOUT"],
    seconds: 60, services: simulated(["stay-open"]), run: transcribed(speaking("vvvvvvvv"), { finish: "silence" })
  },
  "a shutdown that takes too long": {
    shows: ["not over 5 s after", "again: "],
    seconds: 40,
    services: simulated(["stay-open"], "flux-english-20260311", { shutdownTimeout: "5 seconds" }),
    run: (watch) =>
      Effect.gen(function*() {
        const transcriber = yield* Transcriber.Transcriber
        const call = yield* transcriber.open({ id: "call" })
        yield* watch.ask("events", watch.listen(call.events))
        yield* Stream.runForEach(speaking("vvvvvvvv"), call.send)
        yield* watch.ask("again", Effect.delay(transcriber.shutdown, "2 seconds"))
        yield* watch.ask("finish", call.finish)
        const { failed, finished } = yield* transcriber.shutdown
        watch.note(`${finished} finished, failed: ${failed.map(({ error }) => error.message).join()}`)
      })
  },
  "a server that never answers": {
    shows: ["No response headers within 15 s"],
    seconds: 60, services: simulated(["no-headers"]), run: transcribed(speaking("vvvv9"), { retry: Schedule.recurs(1) })
  },
  "a Flux that never says Connected": {
    shows: ["Connected within 10 s"],
    seconds: 60, services: simulated(["no-connected"]), run: transcribed(speaking("vvvv9"), { retry: Schedule.recurs(1) })
  },
  "a peer that stops reading, and a connection that is not freed": {
    shows: ["did not take a frame for 5 s"],
    seconds: 60,
    services: peers({ opened: (server) => server.say(connected), received: () => Effect.never, released: Effect.never }),
    run: transcribed(speaking("vvvvvvvv9"), { retry: Schedule.recurs(1) })
  }
}
