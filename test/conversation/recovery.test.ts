/** A conversation whose sessions break: what an application sees, and what the next session hears. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as FakeTransport from "../../src/FakeTransport.ts"
import * as FluxError from "../../src/FluxError.ts"
import * as FluxSettings from "../../src/FluxSettings.ts"
import * as Transcriber from "../../src/Transcriber.ts"
import { collect, reasonOf } from "../support/session.ts"
import { connected, turnInfo } from "../support/wire.ts"

const lost = new FluxError.ConnectionLost({ detail: "gone" })
/** The other side, session by session; the last one for all that come after it. */
const sessions = (...peers: ReadonlyArray<FakeTransport.Peer>) =>
  Transcriber.layer.pipe(
    Layer.provideMerge(FakeTransport.layerPeer((_, session) => peers[session] ?? peers.at(-1) ?? {})),
    Layer.provide(FluxSettings.layer())
  )
const frames = (count: number): Stream.Stream<Uint8Array> =>
  Stream.range(1, count).pipe(Stream.mapEffect(() => Effect.as(Effect.sleep(80), new Uint8Array(2560))))
/** Says Connected, and then does as told with the audio frame of a number, from 0. */
const onFrame = (act: (frame: number, server: FakeTransport.Server) => Effect.Effect<void>): FakeTransport.Peer => {
  let frame = 0
  return {
    opened: (server) => server.say(connected),
    received: ({ dataType }, server) => dataType === "UTF8" ? server.end : act(frame++, server)
  }
}

describe("a conversation whose session breaks", () => {
  it.effect("in mid-turn: one StartOfTurn, one EndOfTurn, and the words of the session that heard it all", () =>
    Effect.gen(function*() {
      const { exit, seen } = yield* Fiber.join(yield* Effect.forkChild(Effect.andThen(
        Effect.void,
        collect(frames(50).pipe(Transcriber.transcribe({ id: "call" })))
      )).pipe(Effect.tap(() => TestClock.adjust("1 minute"))))
      assert.strictEqual(exit._tag, "Success")
      assert.deepStrictEqual(seen, [
        "Connected",
        "StartOfTurn 0: one",
        "Update 0: one two",
        "Reconnecting",
        "Disconnected",
        "Connected",
        "Resumed",
        "Update 0: one two three",
        "EndOfTurn 0 confirmed: one two three four",
        "Disconnected"
      ])
      assert.strictEqual(reasonOf(exit), undefined)
    }).pipe(Effect.provide(sessions(
      onFrame((frame, server) =>
        frame === 20 ? server.say(turnInfo({ event: "StartOfTurn", transcript: "one", end: 1.6 }))
          : frame === 25 ? server.say(turnInfo({ event: "Update", transcript: "one two", end: 2 }))
          : frame === 27 ? server.fail(lost) : Effect.void
      ),
      // it hears from 1.6 s - 2 s on, so from the start
      onFrame((frame, server) =>
        frame === 20 ? server.say(turnInfo({ event: "StartOfTurn", transcript: "one", end: 1.6 }))
          : frame === 24 ? server.say(turnInfo({ event: "Update", transcript: "one to", end: 1.92 }))
          : frame === 30 ? server.say(turnInfo({ event: "Update", transcript: "one two three", end: 2.4 }))
          : frame === 40 ? server.say(turnInfo({ event: "EndOfTurn", transcript: "one two three four", end: 3.2 })) : Effect.void
      )
    ))))
})
