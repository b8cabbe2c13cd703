/** Whole calls over a transport on TestClock, captured and replayed. */
import { assert } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as Audio from "../../src/Audio.ts"
import * as Capture from "../../src/Capture.ts"
import * as FakeTransport from "../../src/FakeTransport.ts"
import type { FluxError } from "../../src/FluxError.ts"
import type { FluxEvent } from "../../src/FluxEvent.ts"
import * as FluxSettings from "../../src/FluxSettings.ts"
import type { FluxTransport } from "../../src/FluxTransport.ts"
import * as Recording from "../../src/simulator/Recording.ts"
import * as Transcriber from "../../src/Transcriber.ts"
import { once } from "./session.ts"
import { cut, pcm16 } from "./sound.ts"

/** What came of a call. */
export interface Outcome {
  readonly events: ReadonlyArray<FluxEvent>
  /** When each came, ms since the call began. */
  readonly times: ReadonlyArray<number>
  readonly error: FluxError | undefined
}

/** A call at real-time pace, in frames of 80 ms; takes at most a minute of TestClock. */
export const call = (
  transport: Layer.Layer<FluxTransport>,
  speech: Uint8Array,
  settings: FluxSettings.SettingsPatch = {}
): Effect.Effect<Outcome> =>
  Effect.gen(function*() {
    const since = yield* Clock.currentTimeMillis
    const events: Array<FluxEvent> = []
    const frames = Audio.paced(Stream.fromIterable(cut(speech, [2560])), pcm16)
    const running = yield* Effect.gen(function*() {
      const transcriber = yield* Transcriber.Transcriber
      yield* Stream.runForEach(transcriber.transcribe(frames, { id: "call", retry: once }), (event) =>
        Effect.sync(() => void events.push(event)))
    }).pipe(
      Effect.provide(Transcriber.layer.pipe(Layer.provide(transport), Layer.provide(FluxSettings.layer(settings)))),
      Effect.exit,
      Effect.forkChild({ startImmediately: true })
    )
    yield* TestClock.adjust("60 seconds")
    const exit = yield* Fiber.join(running)
    return {
      events,
      times: events.map(({ receivedAt }) => receivedAt - since),
      error: Exit.isSuccess(exit) ? undefined : Option.getOrThrow(Exit.findErrorOption(exit))
    }
  })

/** What two outcomes must have in common; words only where they were captured. */
export const essence = (outcome: Outcome, content: boolean): unknown => essenceOf(withoutDrops(outcome), content)

const essenceOf = ({ error, events, times }: Outcome, content: boolean): unknown => ({
  times,
  events: events.map((received) => {
    const event = { ...received, id: "", receivedAt: 0 }
    if (event.type === "Connected" || event.type === "Disconnected") return { ...event, requestId: "" }
    if (content) return event
    if (event.type === "Unrecognized") return { ...event, body: undefined }
    if (!("transcript" in event)) return event
    return {
      ...event,
      transcript: event.transcript === "",
      words: event.words.map(({ confidence, end, start }) => [confidence, start, end])
    }
  }),
  error: error === undefined ? undefined : { stage: error.stage, reason: error.reason._tag, message: error.reason.message }
})

/** How much of the audio a session that failed had not taken is a matter of the wire, which a replay has not. */
const withoutDrops = ({ error, events, times }: Outcome): Outcome => ({
  events: events.filter(({ type }) => type !== "AudioDropped"),
  times: times.filter((_, at) => events[at]?.type !== "AudioDropped"),
  error
})

/** The same outcome but for what was on its way when the call ended: in real time that is a matter of moments. */
export const withoutRest = (outcome: Outcome): Outcome => ({
  ...outcome,
  events: outcome.events.map((event) =>
    event.type === "Disconnected" ? { ...event, usage: { audioSeconds: 0, injectedSeconds: 0 } } : event)
})

/** A call that is captured: what came of it, and the file. */
export const captured = (
  transport: Layer.Layer<FluxTransport>,
  speech: Uint8Array,
  settings: FluxSettings.SettingsPatch,
  options: Partial<Capture.Options> = {}
): Effect.Effect<{ readonly outcome: Outcome; readonly file: string }> =>
  Effect.gen(function*() {
    let file = ""
    const write = (lines: string): Effect.Effect<void> => Effect.sync(() => void (file += lines))
    const outcome = yield* call(Layer.provide(Capture.layer({ write, ...options }), transport), speech, settings)
    return { outcome, file }
  })

/** A file that must be readable. */
export const read = (file: string): Recording.Recording => {
  const recording = Recording.parse(file)
  return Result.isSuccess(recording) ? recording.success : assert.fail(recording.failure.join("\n"))
}

/** The server of a file. */
export const replay = (file: string): Layer.Layer<FluxTransport> => FakeTransport.layer({ replay: read(file) })
