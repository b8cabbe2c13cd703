/** The real client against the real simulator over HTTP/2. */
import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as References from "effect/References"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Audio from "../src/Audio.ts"
import * as AudioFile from "../src/AudioFile.ts"
import type { FluxEvent } from "../src/FluxEvent.ts"
import * as FluxSettings from "../src/FluxSettings.ts"
import * as SageMakerTransport from "../src/SageMakerTransport.ts"
import * as Script from "../src/simulator/Script.ts"
import * as SimulatorServer from "../src/simulator/SimulatorServer.ts"
import * as Transcriber from "../src/Transcriber.ts"
import { becomes } from "./support/becomes.ts"
import { credentials } from "./support/rawClient.ts"
import { cut, draw, pcm16 } from "./support/sound.ts"
import { once } from "./support/session.ts"
import * as tamperingProxy from "./support/tamperingProxy.ts"

const sample = new URL("../src/simulator/sample/", import.meta.url)
const sampleScript = Script.fromText(readFileSync(new URL("sample.txt", sample), "utf8"))
const verifyCredentials = {
  accessKeyId: credentials.accessKeyId,
  secretAccessKey: Redacted.make(credentials.secretAccessKey)
}

const transcriberAt = (endpointUrl: string, given: Partial<SageMakerTransport.Options> = {}) =>
  Transcriber.layer.pipe(
    Layer.provide(SageMakerTransport.layer({
      endpointName: "my-flux",
      region: "us-east-2",
      endpointUrl,
      credentials,
      ...given
    })),
    Layer.provide(FluxSettings.layer())
  )

const transcribe = (
  endpointUrl: string,
  audio: Stream.Stream<Uint8Array>,
  options: Transcriber.CallOptions = {},
  given: Partial<SageMakerTransport.Options> = {}
) =>
  Effect.gen(function*() {
    const transcriber = yield* Transcriber.Transcriber
    return yield* Stream.runCollect(transcriber.transcribe(audio, { retry: once, ...options }))
  }).pipe(Effect.provide(transcriberAt(endpointUrl, given)))

const turnsOf = (events: ReadonlyArray<FluxEvent>) =>
  events.flatMap((event) =>
    event.type === "StartOfTurn" || event.type === "EndOfTurn"
      ? [`${event.type} ${event.turn} ${event.audioStart}-${event.audioEnd} ${event.transcript}`]
      : []
  )
/** The sample as it is, in the pieces in which Flux wants it. */
const sampleFrames = Effect.gen(function*() {
  const file = yield* AudioFile.open(new URL("sample.wav", sample).pathname)
  assert.deepStrictEqual(file.format, pcm16)
  return yield* Stream.runCollect(Audio.frames(file.audio, file.format))
})

/** A simulator that keeps its log to itself. */
const simulator = (options?: SimulatorServer.Options) =>
  Effect.provideService(SimulatorServer.make(options), References.MinimumLogLevel, "None")

describe("over the wire", () => {
  for (const closeMode of ["update", "end-of-turn"] as const) {
    it.live(`a file cut in mid-word gives its last words (close mode ${closeMode})`, () =>
      Effect.gen(function*() {
        const server = yield* simulator({ script: Script.fromText("one two three four"), closeMode })
        // 10 voiced frames and a bit: words begin every fourth, so the third has just begun
        const audio = draw("vvvvvvvvvvv").subarray(0, 10 * 2560 + 1000)
        const events = yield* transcribe(server.url, Stream.fromIterable(cut(audio, [3200])))
        const end = events.at(-2)
        assert.deepInclude(end, {
          type: "EndOfTurn",
          transcript: "one two three",
          ending: closeMode === "update" ? "closed" : "confirmed"
        })
      }))
  }

  it.live("a wrong secret is refused with 403, which is not worth another try", () =>
    Effect.gen(function*() {
      const server = yield* simulator({ verifyCredentials })
      const error = yield* Effect.flip(transcribe(server.url, Stream.make(draw("vv")), {}, {
        credentials: { ...credentials, secretAccessKey: "wrong" }
      }))
      assert.deepInclude(error.reason, { _tag: "Unauthorized", status: 403 })
      assert.strictEqual(error.stage, "open")
      // what AWS support asks for first
      assert.strictEqual(error.requestId, (yield* server.ledger)[0]?.requestId)
      assert.isFalse(error.isRetryable)
    }))

  it.live("a chunk that was tampered with on the way ends the session with a named error", () =>
    Effect.gen(function*() {
      const server = yield* simulator({ verifyCredentials })
      const proxy = yield* tamperingProxy.make(server.url, 3)
      const audio = Stream.concat(Stream.fromIterable(cut(draw("vvvvvv"), [2560])), Stream.never)
      const error = yield* Effect.flip(transcribe(proxy, audio))
      assert.strictEqual(error.reason._tag, "Unauthorized")
      assert.match(error.message, /InvalidSignatureException/)
      assert.isDefined(error.requestId)
    }))

  it.live("settings that the container refuses are an opaque 424 that says where to look", () =>
    Effect.gen(function*() {
      const server = yield* simulator()
      const error = yield* Effect.flip(
        transcribe(server.url, Stream.never, { settings: { numerals: true } }, { capabilities: "hosted-2026-09" })
      )
      assert.strictEqual(error.reason._tag, "Rejected")
      assert.match(error.message, /CloudWatch/)
    }))

  it.live("a server that goes away in mid-turn: the turn is lost, then ConnectionLost", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const server = yield* simulator({ script: Script.fromText("hello there") }).pipe(Scope.provide(scope))
      const events: Array<FluxEvent> = []
      const error = yield* Effect.gen(function*() {
        const transcriber = yield* Transcriber.Transcriber
        const audio = Stream.concat(Stream.make(draw("vvvvvv")), Stream.never)
        return yield* Stream.runForEach(transcriber.transcribe(audio, { retry: once }), (event) => {
          events.push(event)
          const heard = event.type === "Update" && event.transcript === "hello there"
          return heard ? Scope.close(scope, Exit.void) : Effect.void
        })
      }).pipe(Effect.provide(transcriberAt(server.url)), Effect.flip)
      assert.strictEqual(error.reason._tag, "ConnectionLost")
      assert.deepInclude(events.at(-2), { type: "EndOfTurn", ending: "lost", transcript: "hello there" })
    }))

  it.live("many calls at once, isolated or on shared connections, do not mix", () =>
    Effect.gen(function*() {
      const server = yield* simulator({ script: sampleScript })
      const frames = yield* sampleFrames
      for (const connections of ["isolated", "shared"] as const) {
        yield* Effect.gen(function*() {
          const transcriber = yield* Transcriber.Transcriber
          const calls = yield* Effect.forEach(Array.from({ length: 20 }, (_, i) => `call-${i}`), (id) =>
            Stream.runCollect(transcriber.transcribe(Stream.fromIterable(frames), { id })), { concurrency: "unbounded" })
          const first = turnsOf(calls[0] ?? [])
          assert.strictEqual(first.length, 6)
          calls.forEach((events, i) => {
            assert.deepStrictEqual(turnsOf(events), first)
            assert.isTrue(events.every((event) => event.id === `call-${i}`))
          })
        }).pipe(Effect.provide(transcriberAt(server.url, { connections })))
      }
      yield* becomes("sessions", server.sessions, 0)
    }), 30_000)

  it.live("a call that is interrupted leaves no session at the server", () =>
    Effect.gen(function*() {
      const server = yield* simulator()
      yield* transcribeForever(server.url)
      yield* becomes("sessions", server.sessions, 0)
    }))
})

const transcribeForever = (url: string) =>
  Effect.gen(function*() {
    const transcriber = yield* Transcriber.Transcriber
    const audio = Stream.concat(Stream.make(draw("vvvv")), Stream.never)
    yield* Stream.runDrain(Stream.take(transcriber.transcribe(audio), 2))
  }).pipe(Effect.provide(transcriberAt(url)))
