/** The answer to CloseStream and a client that ends its body: whoever does not wait loses the tail (protocol 5.8). */
import { assert, describe, it } from "@effect/vitest"
import * as http2 from "node:http2"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as FakeTransport from "../../src/FakeTransport.ts"
import { FluxTransport, type Frame } from "../../src/FluxTransport.ts"
import * as Endpoint from "../../src/simulator/Endpoint.ts"
import type { Fault } from "../../src/simulator/Fault.ts"
import type { SessionRecord } from "../../src/simulator/Ledger.ts"
import { fromText } from "../../src/simulator/Script.ts"
import * as SimulatorServer from "../../src/simulator/SimulatorServer.ts"
import { tailLost } from "../../src/simulator/wire.ts"
import { baseQuery, closeStream, forceEndTurn, requestId, turnInfos } from "../support/flux.ts"
import * as raw from "../support/rawClient.ts"
import * as recordingWire from "../support/recordingWire.ts"
import { draw } from "../support/sound.ts"

const script = fromText("one two three")
/** Two frames that no slot ends: the Update of the tail is the first message behind StartOfTurn. */
const audio = draw("vv")
/** What a client does, in one go where there is no `wait`. */
type Step = "audio" | "force" | "close" | "end" | "wait"

/** What each client hears of its turn, and how its session ended. */
const clients: ReadonlyArray<readonly [steps: ReadonlyArray<Step>, heard: ReadonlyArray<string>, ending: string, reason: string | undefined]> = [
  [["audio", "close", "wait", "end"], ["StartOfTurn", "Update"], "flux-closed", undefined],
  [["audio", "close", "end"], ["StartOfTurn"], "client-ended", tailLost],
  // Flux's answer to ForceEndTurn needs no decoding; the other way round it is without effect (11.4)
  [["audio", "force", "close", "wait", "end"], ["StartOfTurn", "EndOfTurn"], "flux-closed", undefined],
  [["audio", "force", "close", "end"], ["StartOfTurn", "EndOfTurn"], "client-ended", tailLost],
  [["audio", "close", "force", "wait", "end"], ["StartOfTurn", "Update"], "flux-closed", undefined],
  [["audio", "close", "force", "end"], ["StartOfTurn"], "client-ended", tailLost],
  // without CloseStream nothing was owed
  [["audio", "end"], ["StartOfTurn"], "client-ended", undefined],
  [["close", "end"], [], "client-ended", tailLost]
]

describe("on the fake", () => {
  const textOf = (text: string): Frame => ({ dataType: "UTF8", bytes: new TextEncoder().encode(text) })
  it.effect.each(clients)("%s", ([steps, heard, ending, reason]) =>
    Effect.gen(function*() {
      const connection = yield* (yield* FluxTransport).open(baseQuery)
      const doing = {
        audio: connection.send({ dataType: "BINARY", bytes: audio }),
        force: connection.send(textOf(forceEndTurn)),
        close: connection.send(textOf(closeStream)),
        end: connection.end,
        wait: Effect.void
      } satisfies Record<Step, Effect.Effect<void, unknown>>
      const texts: Array<string> = []
      const read = Stream.runForEach(connection.messages, (text) => Effect.sync(() => void texts.push(text)))
      for (const step of steps) yield* step === "wait" ? read : doing[step]
      yield* read
      assert.deepStrictEqual(turnInfos(texts.slice(1)).map(({ event }) => event), heard)
      const [record] = yield* (yield* FakeTransport.FakeTransport).ledger
      assert.deepStrictEqual([record?.ending, record?.reason], [ending, reason])
    }).pipe(Effect.scoped, Effect.provide(FakeTransport.layer({ script, profile: "hosted-2026-09" }))))
})

describe("over HTTP/2", () => {
  const inner: Readonly<Record<Exclude<Step, "wait">, Uint8Array>> = {
    audio: raw.part(audio),
    force: raw.part(forceEndTurn),
    close: raw.part(closeStream),
    end: new Uint8Array(0)
  }
  const ways = {
    "in one write": (stream: http2.ClientHttp2Stream, frames: ReadonlyArray<Uint8Array>) => void stream.write(Buffer.concat(frames)),
    "frame by frame": (stream: http2.ClientHttp2Stream, frames: ReadonlyArray<Uint8Array>) => {
      for (const frame of frames) stream.write(frame)
    },
    // without the empty frame, as clients do that end their body hastily
    "with END_STREAM alone": (stream: http2.ClientHttp2Stream, frames: ReadonlyArray<Uint8Array>) => void stream.end(Buffer.concat(frames.slice(0, -1)))
  }
  for (const [way, write] of Object.entries(ways)) {
    it.live.each(clients)(`${way}: %s`, ([steps, heard, ending, reason]) =>
      Effect.gen(function*() {
        const { ledger, url } = yield* SimulatorServer.SimulatorServer
        const session = yield* Effect.acquireRelease(
          Effect.sync(() => http2.connect(url)),
          (session) => Effect.sync(() => session.destroy())
        )
        session.on("error", () => {})
        const { answer, headers, stream } = raw.exchange(session, yield* Effect.promise(() => raw.signedHeaders()))
        yield* Effect.promise(() => headers)
        const at = steps.indexOf("wait")
        const frames = (steps: ReadonlyArray<Step>) => steps.flatMap((step) => (step === "wait" ? [] : [raw.unsignedFrame(inner[step])]))
        if (at < 0) write(stream, frames(steps))
        else stream.write(Buffer.concat(frames(steps.slice(0, at))))
        const { body, clean } = yield* Effect.promise(() => answer)
        if (at >= 0) stream.end(Buffer.concat(frames(steps.slice(at))))
        assert.isTrue(clean)
        assert.deepStrictEqual(turnInfos(raw.textsOf(raw.decodeAll(body)).slice(1)).map(({ event }) => event), heard)
        const [record] = yield* ledger
        assert.deepStrictEqual([record?.ending, record?.reason], [ending, reason])
      }).pipe(Effect.scoped, Effect.provide(SimulatorServer.layer({ script, profile: "hosted-2026-09" }))))
  }
})

describe("while Flux decodes what is left", () => {
  /** A session whose Flux has decoded when the test says so. */
  const sit = (...faults: ReadonlyArray<Fault>) => {
    const endpoint = Endpoint.make({ script, faults })
    const wire = recordingWire.make()
    const decoding: Array<() => void> = []
    const player = endpoint.open(
      { query: baseQuery, requestId: "r", fluxRequestId: requestId, endpointName: "e", region: "us-east-1" },
      wire.wire,
      { ...wire.surroundings, decoded: (run) => void decoding.push(run) }
    )
    player.audio(audio)
    player.text(closeStream)
    const decode = (): void => decoding.splice(0).forEach((run) => run())
    const record = (): SessionRecord => endpoint.ledger()[0] ?? assert.fail("no record")
    return { ...wire, player, decode, record }
  }
  const before = ["accept", "Connected", "StartOfTurn 80"]

  it("nothing is answered yet, then all of it", () => {
    const sitting = sit()
    assert.deepStrictEqual(sitting.done(), before)
    sitting.decode()
    assert.deepStrictEqual(sitting.done(), [...before, "Update 160", "end"])
    assert.strictEqual(sitting.record().reason, undefined)
  })
  it("audio and texts are no more heard, whatever they are", () => {
    const sitting = sit()
    sitting.player.audio(audio)
    for (const text of [closeStream, forceEndTurn, "rubbish"]) sitting.player.text(text)
    sitting.decode()
    assert.deepStrictEqual(sitting.done(), [...before, "Update 160", "end"])
  })
  it("a client that is gone, resets or sends a bad frame gets nothing either", () => {
    const gone = sit()
    gone.player.gone()
    gone.decode()
    assert.deepStrictEqual([gone.done(), gone.record().ending], [before, "lost"])
    const bad = sit()
    bad.player.refused({ name: "InvalidSignatureException", message: "m", as: "exception" })
    bad.decode()
    assert.deepStrictEqual(bad.done(), [...before, "fail InvalidSignatureException exception", "end"])
  })
  it("the session may come to its longest life", () => {
    const sitting = sit({ fault: "lifetime", seconds: 1, as: "end" })
    sitting.advance(1000)
    sitting.decode()
    assert.deepStrictEqual([sitting.done(), sitting.record().ending], [[...before, "end"], "fault"])
  })
  it("a fault at close comes at once, one at the end behind the answer, and neither after the client has ended", () => {
    const close = sit({ fault: "reset", at: "close" })
    assert.deepStrictEqual(close.done(), [...before, "reset 2"])
    close.decode()
    assert.deepStrictEqual(close.done(), [...before, "reset 2"])
    const end = sit({ fault: "say", at: "end", text: "last" })
    end.decode()
    assert.deepStrictEqual(end.done(), [...before, "Update 160", "last", "end"])
    const ended = sit({ fault: "say", at: "end", text: "last" })
    ended.player.bodyEnded()
    ended.decode()
    assert.deepStrictEqual([ended.done(), ended.record().faults], [[...before, "end"], []])
  })
  it("and before Connected: the record tells of it all the same", () => {
    const sitting = sit({ fault: "no-connected" })
    sitting.player.bodyEnded()
    assert.deepStrictEqual([sitting.done(), sitting.record().ending, sitting.record().reason], [["accept", "end"], "client-ended", tailLost])
  })
  it("what was said but lags is lost with the rest, and the record tells so; what was said is not lost", () => {
    const lagging = sit({ fault: "lag", delay: 500 })
    lagging.decode()
    lagging.advance(499)
    lagging.player.bodyEnded()
    assert.deepStrictEqual([lagging.done(), lagging.record().ending, lagging.record().reason], [["accept", "end"], "client-ended", tailLost])
    const open = sit({ fault: "stay-open" })
    open.decode()
    open.player.bodyEnded()
    assert.deepStrictEqual([open.done(), open.record().reason], [[...before, "Update 160", "end"], undefined])
    const mute = sit({ fault: "mute", at: "close" })
    mute.decode()
    mute.player.bodyEnded()
    assert.deepStrictEqual([mute.done(), mute.record().reason], [[...before, "end"], tailLost])
  })
})
