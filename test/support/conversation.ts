/** Conversations on the fake in a test: position-stamped audio in real time, and what came of it. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as FakeTransport from "../../src/FakeTransport.ts"
import type { FluxError, Reason } from "../../src/FluxError.ts"
import type { FluxEvent } from "../../src/FluxEvent.ts"
import * as FluxSettings from "../../src/FluxSettings.ts"
import { profiles } from "../../src/FluxTransport.ts"
import * as Stamp from "../../src/simulator/Stamp.ts"
import * as Transcriber from "../../src/Transcriber.ts"
import { connected } from "./wire.ts"

/** Samples a second, and in a frame of 80 ms. */
export const rate = 16_000
export const frame = 1280

/** The simulated endpoint. */
export const simulated = (options: FakeTransport.Options, settings: FluxSettings.SettingsPatch = {}) =>
  Transcriber.layer.pipe(
    Layer.provideMerge(FakeTransport.layer(options)),
    Layer.provideMerge(FluxSettings.layer(settings))
  )

/** The other side as written, session by session; the last one for all that come after it. */
export const peers = (all: ReadonlyArray<() => FakeTransport.Peer>, profile: keyof typeof profiles = "flux-english-20260311") =>
  Transcriber.layer.pipe(
    Layer.provideMerge(FakeTransport.layerPeer((_, session) => (all[session] ?? all.at(-1) ?? (() => ({})))(), { capabilities: profiles[profile] })),
    Layer.provideMerge(FluxSettings.layer())
  )
export const sessions = (...all: ReadonlyArray<() => FakeTransport.Peer>) => peers(all)

/** Says Connected, and then does as told with the audio frame of a number, from 0. */
export const onFrame = (act: (frame: number, server: FakeTransport.Server) => Effect.Effect<void>): FakeTransport.Peer => {
  let frame = 0
  return {
    opened: (server) => server.say(connected),
    received: ({ dataType }, server) => dataType === "UTF8" ? server.end : act(frame++, server)
  }
}

/** Says Connected, and then a message, or breaks for a reason, with the audio frames of these numbers. */
export const atFrames = (what: Readonly<Record<number, string | Reason>>): FakeTransport.Peer =>
  onFrame((frame, server) => {
    const one = what[frame]
    return one === undefined ? Effect.void : typeof one === "string" ? server.say(one) : server.fail(one)
  })

/** Stamped audio in real time, in frames of 80 ms; from and to in seconds of the call. */
export const spoken = (from: number, to: number): Stream.Stream<Uint8Array> =>
  Stream.range(Math.round(from / 0.08), Math.round(to / 0.08) - 1).pipe(
    Stream.mapEffect((at) => Effect.as(Effect.sleep(80), Stamp.audio(at * frame, frame)))
  )
export const speaking = (seconds: number): Stream.Stream<Uint8Array> => spoken(0, seconds)

/** What a call came to. */
export interface Call {
  readonly events: ReadonlyArray<FluxEvent>
  readonly exit: Exit.Exit<void, FluxError>
  /** ms on the Clock. */
  readonly endedAt: number
}

/** Lets a call go on until it ends, at most for so many seconds. */
export const listened = Effect.fnUntraced(function*<R>(
  events: Stream.Stream<FluxEvent, FluxError, R>,
  seconds: number
): Effect.fn.Return<Call, never, Exclude<R, Scope.Scope>> {
  const seen: Array<FluxEvent> = []
  const listening = yield* Effect.forkChild(
    Random.withSeed(Stream.runForEach(events, (event) => Effect.sync(() => void seen.push(event))), "flux").pipe(Effect.exit, Effect.scoped),
    { startImmediately: true }
  )
  let waited = 0
  while (listening.pollUnsafe() === undefined) {
    if (waited >= seconds * 1000) return yield* Effect.die(`hangs: ${lines(seen).join(", ")}`)
    yield* TestClock.adjust(100)
    waited += 100
  }
  return { events: seen, exit: yield* Fiber.join(listening), endedAt: waited }
})

/** A call that goes on until it is finished, and settings to be changed in it. */
export const opened = Effect.fnUntraced(function*(options: Transcriber.CallOptions = {}) {
  const conversation = yield* Effect.flatMap(Transcriber.Transcriber, (transcriber) => transcriber.open({ id: "call", ...options }))
  const events: Array<FluxEvent> = []
  yield* Effect.forkChild(
    Effect.ignore(Stream.runForEach(conversation.events, (event) => Effect.sync(() => void events.push(event)))),
    { startImmediately: true }
  )
  let position = 0
  /** Speaks for some seconds. */
  const speak = Effect.fnUntraced(function*(seconds: number) {
    for (const end = position + seconds * rate; position < end; position += frame) {
      yield* conversation.send(Stamp.audio(position, frame))
      yield* TestClock.adjust(80)
    }
  })
  const finish = Effect.gen(function*() {
    const finishing = yield* Effect.forkChild(Effect.exit(conversation.finish), { startImmediately: true })
    yield* TestClock.adjust("40 seconds")
    return yield* Fiber.join(finishing)
  })
  /** Changes settings; what comes of it is there later. */
  const change = (patch: FluxSettings.SettingsPatch) =>
    Effect.forkChild(Effect.exit(conversation.update(patch)), { startImmediately: true })
  return { conversation, events, speak, finish, change }
})
export const seeded = <A, E, R>(effect: Effect.Effect<A, E, R>) => Random.withSeed(Effect.scoped(effect), "flux")

/** Events in short, without Updates. */
export const lines = (events: ReadonlyArray<FluxEvent>): ReadonlyArray<string> =>
  events.flatMap((event) => {
    switch (event.type) {
      case "Update":
        return []
      case "StartOfTurn":
      case "EagerEndOfTurn":
      case "TurnResumed":
        return [`${event.type} ${event.turn}: ${event.transcript}`]
      case "EndOfTurn":
        return [`EndOfTurn ${event.turn} ${event.ending}: ${event.transcript}`]
      case "Reconnecting":
        return [`Reconnecting ${event.attempt}: ${event.reason}`]
      case "Connected":
      case "Disconnected":
      case "Resumed":
        return [`${event.type} ${event.session}`]
      case "SettingsApplied":
      case "SettingsRejected":
        return [`${event.type}: ${event.settings.join(", ")}`]
      default:
        return [event.type]
    }
  })

/** What was said, turn by turn. */
export const turnsOf = (events: ReadonlyArray<FluxEvent>): ReadonlyArray<string> =>
  events.flatMap((event) => (event.type === "EndOfTurn" ? [event.transcript] : []))

/** What each session heard, in seconds of the call. */
export const heard = Effect.flatMap(FakeTransport.FakeTransport, (fake) =>
  Effect.map(fake.ledger, (records) => records.map(({ received }) => received.stamped.map(({ from, to }) => [from / rate, to / rate]))))
/** How often a session was opened. */
export const opens = Effect.flatMap(FakeTransport.FakeTransport, (fake) =>
  Effect.map(fake.entries, (entries) => entries.filter(({ what }) => what === "open").length))
/** Settings that each session was opened with. */
export const queries = Effect.flatMap(FakeTransport.FakeTransport, (fake) =>
  Effect.map(fake.entries, (entries) => entries.flatMap(({ detail, what }) => (what === "open" ? [new URLSearchParams(detail)] : []))))
