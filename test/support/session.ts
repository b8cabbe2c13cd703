/** A session on the fake in a test: servers to be had, what reached them, what the session said. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import * as FakeTransport from "../../src/FakeTransport.ts"
import * as FluxError from "../../src/FluxError.ts"
import type { FluxEvent } from "../../src/FluxEvent.ts"
import * as FluxSettings from "../../src/FluxSettings.ts"
import { profiles } from "../../src/FluxTransport.ts"
import { connected, turnInfo } from "./wire.ts"

/** Valid settings, of the widest endpoint; audio that had to wait goes in one go. */
export const settingsOf = (patch: FluxSettings.SettingsPatch = {}): FluxSettings.Settings =>
  Result.getOrThrow(FluxSettings.resolve(FluxSettings.defaults, { catchUpSpeed: 1_000_000, ...patch }, profiles["hosted-2026-09"]))
export const settings = settingsOf()
/** A session that fails is the last one. */
export const once: Schedule.Schedule<number> = Schedule.recurs(0)
/** Silence of 16 kHz linear16. */
export const chunk = (millis: number): Uint8Array => new Uint8Array(32 * millis)
export const start = turnInfo({ event: "StartOfTurn", transcript: "hello" })
export const update = turnInfo({ event: "Update", transcript: "hello there", end: 0.48 })

/** A server that says Connected, opens a turn at the first audio, and ends cleanly at CloseStream. */
export const polite: FakeTransport.Peer = {
  opened: (server) => server.say(connected),
  received: (frame, server) =>
    frame.dataType === "UTF8" ? server.end : Effect.andThen(server.say(start), server.say(update))
}
/** The same, but it opens no turn. */
export const quiet: FakeTransport.Peer = {
  ...polite,
  received: (frame, server) => (frame.dataType === "UTF8" ? server.end : Effect.void)
}
/** Opens a turn at the first audio, and then does as told at CloseStream. */
export const atCloseStream = (then: (server: FakeTransport.Server) => Effect.Effect<void, FluxError.FluxError>): FakeTransport.Peer => ({
  ...polite,
  received: (frame, server) =>
    frame.dataType === "UTF8" ? then(server) : Effect.andThen(server.say(start), server.say(update))
})
export const withPeer = (peer: FakeTransport.Peer) => Effect.provide(FakeTransport.layerPeer(() => peer))

/** What reached the server. */
export const entries = Effect.flatMap(FakeTransport.FakeTransport, (fake) => fake.entries)
/** What reached the server, without the audio: `open`, `text CloseStream`, `end`, `disconnect Success`. */
export const steps = Effect.map(entries, (all) =>
  all.flatMap((entry) =>
    entry.what === "audio" || entry.what === "open" ? (entry.what === "open" ? ["open"] : []) : [
      `${entry.what} ${entry.what === "text" ? JSON.parse(entry.detail).type : entry.detail}`.trim()
    ]
  ))
/** When audio was sent, ms. */
export const audioTimes = Effect.map(entries, (all) => all.filter((entry) => entry.what === "audio").map((entry) => entry.at))

export const summary = (event: FluxEvent): string => {
  switch (event.type) {
    case "EndOfTurn":
      return `EndOfTurn ${event.turn} ${event.ending}: ${event.transcript}`
    case "StartOfTurn":
    case "Update":
      return `${event.type} ${event.turn}: ${event.transcript}`
    case "Warning":
      return `Warning ${event.code}`
    default:
      return event.type
  }
}

/** Runs a session whose events are collected; the outcome tells them and how the stream ended. */
export const collect = <E, R>(stream: Stream.Stream<FluxEvent, E, R>) =>
  Effect.gen(function*() {
    const seen: Array<string> = []
    const exit = yield* Effect.exit(Stream.runForEach(stream, (event) => Effect.sync(() => void seen.push(summary(event)))))
    return { seen, exit }
  })

export const fork = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.forkChild(effect, { startImmediately: true })
export const errorOf = (exit: Exit.Exit<unknown, unknown>): FluxError.FluxError | undefined => {
  const error = Exit.findErrorOption(exit)
  return error._tag === "Some" && error.value instanceof FluxError.FluxError ? error.value : undefined
}
export const reasonOf = (exit: Exit.Exit<unknown, unknown>): unknown => errorOf(exit)?.reason
