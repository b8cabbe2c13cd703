/** Two clients that share no code pass the same scripts: this project's, and one on the SDK's standard middleware. */
import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as References from "effect/References"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as Audio from "../src/Audio.ts"
import * as AudioFile from "../src/AudioFile.ts"
import { type FluxEvent, isTurnEvent } from "../src/FluxEvent.ts"
import * as FluxMessage from "../src/FluxMessage.ts"
import * as FluxSettings from "../src/FluxSettings.ts"
import * as SageMakerTransport from "../src/SageMakerTransport.ts"
import * as Script from "../src/simulator/Script.ts"
import * as SimulatorServer from "../src/simulator/SimulatorServer.ts"
import * as Transcriber from "../src/Transcriber.ts"
import { credentials } from "./support/rawClient.ts"
import * as sdkClient from "./support/sdkClient.ts"
import { cut, draw, pcm16 } from "./support/sound.ts"

const verifyCredentials = {
  accessKeyId: credentials.accessKeyId,
  secretAccessKey: Redacted.make(credentials.secretAccessKey)
}
const sample = new URL("../src/simulator/sample/", import.meta.url)

/** A script, the audio that goes with it, and the transcripts that are to come of it. */
interface Case {
  readonly name: string
  readonly script: Script.Script
  readonly audio: Effect.Effect<ReadonlyArray<Uint8Array>>
  readonly settings?: FluxSettings.SettingsPatch
  readonly changes: ReadonlyArray<string>
}

/** Silence of so many seconds: a timed script needs no more. */
const silence = (seconds: number): ReadonlyArray<Uint8Array> => cut(new Uint8Array(seconds * 32_000), [2560])

const cases: ReadonlyArray<Case> = [
  {
    name: "a transcript, following the speech of a recording",
    script: Script.fromText(readFileSync(new URL("sample.txt", sample), "utf8")),
    audio: Effect.scoped(Effect.gen(function*() {
      const file = yield* AudioFile.open(new URL("sample.wav", sample).pathname)
      assert.deepStrictEqual(file.format, pcm16)
      return yield* Stream.runCollect(Audio.frames(file.audio, file.format))
    })).pipe(Effect.orDie),
    changes: readFileSync(new URL("sample.txt", sample), "utf8").trim().split("\n").flatMap((line) => [
      `StartOfTurn ${line.split(" ")[0]}`,
      `EndOfTurn ${line}`
    ])
  },
  {
    name: "words at their times, with a pause that is nearly an end",
    script: Script.make({
      turns: [
        { at: 0.4, words: ["I", "would", { pause: 0.6 }, "like", { word: "t\u00e9a.", start: 2.4, end: 2.6 }] },
        { at: 5, words: "Now, please." }
      ]
    }),
    audio: Effect.succeed(silence(7.2)),
    settings: { eagerEotThreshold: 0.5 },
    // eager after half a second of the pause of 0.6 s, and in the one between 1.96 and 2.4 s not
    changes: [
      "StartOfTurn I",
      "EagerEndOfTurn I would",
      "TurnResumed I would like",
      "EagerEndOfTurn I would like t\u00e9a.",
      "EndOfTurn I would like t\u00e9a.",
      "StartOfTurn Now,",
      "EagerEndOfTurn Now, please.",
      "EndOfTurn Now, please."
    ]
  },
  {
    name: "a curve of confidence that rises, falls and rises",
    script: Script.make({
      turns: [{
        at: 0,
        words: ["Yes", "and", "no"],
        endOfTurnConfidence: [
          { at: 0.9, value: 0 },
          { at: 1.2, value: 0.6 },
          { at: 1.5, value: 0 },
          { at: 2, value: 0 },
          { at: 2.5, value: 0.9 }
        ]
      }]
    }),
    audio: Effect.succeed(silence(3.2)),
    settings: { eagerEotThreshold: 0.5 },
    changes: ["StartOfTurn Yes", "EagerEndOfTurn Yes and no", "TurnResumed Yes and no", "EagerEndOfTurn Yes and no", "EndOfTurn Yes and no"]
  },
  {
    name: "a turn in another language, cut off by the end of the call, over torn frames",
    script: Script.make({
      turns: [{ words: "Gr\u00fc\u00df Gott \u4f60\u597d", languages: ["de", "zh"] }],
      faults: [{ fault: "split-parts", bytes: 3 }, { fault: "chop-data" }],
      closeMode: "end-of-turn"
    }),
    audio: Effect.succeed(cut(draw("..vvvvvvvvvv"), [2560])),
    settings: { model: "flux-general-multi", languageHints: ["de"] },
    changes: ["StartOfTurn Gr\u00fc\u00df", "EndOfTurn Gr\u00fc\u00df Gott \u4f60\u597d"]
  }
]

/** A turn event as both clients can tell it. */
const told = (event: string, turn: number, start: number, end: number, transcript: string, languages: ReadonlyArray<string> | undefined) =>
  JSON.stringify([event, turn, start, end, transcript, languages ?? []])
const ofEvents = (events: ReadonlyArray<FluxEvent>): ReadonlyArray<string> =>
  events.flatMap((event) =>
    isTurnEvent(event) && event.type !== "Update"
      ? [told(event.type, event.turn, event.audioStart, event.audioEnd, event.transcript, event.languages)]
      : []
  )
const ofTexts = (texts: ReadonlyArray<string>): ReadonlyArray<string> =>
  texts.map(FluxMessage.parse).flatMap((message) =>
    message.type === "TurnInfo" && message.event !== "Update"
      ? [told(message.event, message.turn_index, message.audio_window_start, message.audio_window_end, message.transcript, message.languages ?? undefined)]
      : []
  )
const changesOf = (events: ReadonlyArray<FluxEvent>): ReadonlyArray<string> =>
  events.flatMap((event) => (isTurnEvent(event) && event.type !== "Update" ? [`${event.type} ${event.transcript}`] : []))

describe.concurrent("two clients", { timeout: 30_000 }, () => {
  for (const { audio, changes, name, script, settings = {} } of cases) {
    for (const { tls, verified } of [{ tls: false, verified: false }, { tls: false, verified: true }, { tls: true, verified: true }]) {
      it.live(`${name} (${tls ? "TLS" : "h2c"}, signatures ${verified ? "" : "not "}verified)`, () =>
        Effect.gen(function*() {
          const frames = yield* audio
          const server = yield* SimulatorServer.make({ script, tls, ...(verified ? { verifyCredentials } : {}) })
          const transport = SageMakerTransport.layer({
            endpointName: "my-flux",
            region: "us-east-2",
            endpointUrl: server.url,
            ca: server.certificate,
            credentials
          })
          const resolved = Result.getOrThrow(FluxSettings.resolve(FluxSettings.defaults, settings))
          const ours = yield* Stream.fromIterable(frames).pipe(
            Transcriber.transcribe({ settings }),
            Stream.runCollect,
            Effect.provide(Transcriber.layer.pipe(Layer.provide(transport), Layer.provide(FluxSettings.layer())))
          )
          const theirs = yield* Effect.promise(() =>
            sdkClient.call({ url: server.url, ca: server.certificate, credentials, query: FluxSettings.query(resolved), audio: frames })
          )
          assert.deepStrictEqual(changesOf(ours), changes)
          assert.deepStrictEqual(ofEvents(ours), ofTexts(theirs))
          const sessions = yield* server.ledger
          assert.deepStrictEqual(sessions.map(({ received }) => received.audioBytes), [0, 0].map(() => frames.reduce((sum, { length }) => sum + length, 0)))
          assert.deepStrictEqual(sessions.map(({ ending }) => ending), ["flux-closed", "flux-closed"])
        }).pipe(Effect.provideService(References.MinimumLogLevel, "None")))
    }
  }
})
