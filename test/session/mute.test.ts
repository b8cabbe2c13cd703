/** Mute: silence while a turn is open, then keep-alive only. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { TestClock } from "effect/testing"
import * as FakeTransport from "../../src/FakeTransport.ts"
import * as FluxSession from "../../src/FluxSession.ts"
import { chunk, entries, quiet, settings, withPeer } from "../support/session.ts"
import { connected, turnInfo } from "../support/wire.ts"

const voice = (millis: number): Uint8Array => new Uint8Array(32 * millis).fill(0x11)
const listener = (says: (frames: number) => string | undefined): FakeTransport.Peer => {
  let frames = 0
  return {
    opened: (server) => server.say(connected),
    received: (frame, server) => {
      if (frame.dataType === "UTF8") return server.end
      frames += 1
      const message = says(frames)
      return message === undefined ? Effect.void : server.say(message)
    }
  }
}
const sizes = Effect.map(entries, (all) => all.flatMap(({ at, detail, what }) => (what === "audio" ? [[at, Number(detail)]] : [])))
const open = Effect.gen(function*() {
  const session = yield* FluxSession.open(settings, { id: "call" })
  yield* session.connected
  return session
})

describe("mute", () => {
  it.effect("in an open turn sends silence at once and in real time, whatever the source does, until the turn ends", () =>
    Effect.gen(function*() {
      const session = yield* open
      yield* session.send(voice(80))
      yield* TestClock.adjust("40 millis")
      yield* session.setMuted(true)
      for (let i = 0; i < 25; i++) {
        yield* session.send(voice(40))
        yield* TestClock.adjust("40 millis")
      }
      // the fifth frame ends the turn
      assert.deepStrictEqual(yield* sizes, [[0, 2560], [40, 2560], [120, 2560], [200, 2560], [280, 2560]])
    }).pipe(withPeer(listener((frames) =>
      turnInfo({ event: frames === 5 ? "EndOfTurn" : "Update", transcript: "hello", end: frames * 0.08 })))))

  it.effect("outside a turn sends nothing but keep-alives", () =>
    Effect.gen(function*() {
      const session = yield* open
      yield* session.setMuted(true)
      for (let i = 0; i < 100; i++) {
        yield* session.send(voice(250))
        yield* TestClock.adjust("250 millis")
      }
      assert.deepStrictEqual(yield* sizes, [[10_000, 2], [20_000, 2]])
    }).pipe(withPeer(quiet)))

  it.effect("lets out the part of a frame that was offered before it, and nothing that was offered under it", () =>
    Effect.gen(function*() {
      const session = yield* open
      yield* session.send(voice(50))
      yield* session.setMuted(true)
      assert.isTrue(session.offerUnsafe(voice(1000)))
      yield* session.setMuted(false)
      yield* session.send(voice(30))
      yield* session.finish
      assert.deepStrictEqual((yield* sizes).map(([, bytes]) => bytes), [1600, 960])
    }).pipe(withPeer(quiet)))

  it.effect("that is lifted in a turn lets the source go on from there", () =>
    Effect.gen(function*() {
      const session = yield* open
      yield* session.send(voice(80))
      yield* TestClock.adjust("80 millis")
      yield* session.setMuted(true)
      yield* TestClock.adjust("160 millis")
      yield* session.setMuted(false)
      yield* session.send(voice(80))
      yield* TestClock.adjust("400 millis")
      assert.deepStrictEqual((yield* sizes).map(([at]) => at), [0, 80, 160, 240, 240])
    }).pipe(withPeer(listener((frames) => turnInfo({ event: "Update", transcript: "hello", end: frames * 0.08 })))))

  it.effect("has a cap on its silence, although the source goes on", () =>
    Effect.gen(function*() {
      const session = yield* open
      yield* session.send(voice(80))
      yield* TestClock.adjust(0)
      yield* session.setMuted(true)
      for (let i = 0; i < 150; i++) {
        yield* session.send(voice(80))
        yield* TestClock.adjust("80 millis")
      }
      // eotTimeoutMs and 5 s are 125 frames
      assert.strictEqual((yield* sizes).length, 126)
    }).pipe(withPeer(listener((frames) => turnInfo({ event: "Update", transcript: "hello", end: frames * 0.08 })))))

  it.effect("needs no memory: what is muted waits nowhere", () =>
    Effect.gen(function*() {
      const session = yield* open
      yield* session.setMuted(true)
      for (let i = 0; i < 1000; i++) assert.isTrue(session.offerUnsafe(chunk(1000)))
      assert.strictEqual((yield* session.buffered).outboxBytes, 0)
    }).pipe(withPeer(quiet)))
})
