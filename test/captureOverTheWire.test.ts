/** Calls to the simulator over HTTP/2 that go wrong, captured, and the simulator that answers as it did then. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as References from "effect/References"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as Audio from "../src/Audio.ts"
import * as Capture from "../src/Capture.ts"
import type { FluxEvent } from "../src/FluxEvent.ts"
import * as FluxSettings from "../src/FluxSettings.ts"
import * as SageMakerTransport from "../src/SageMakerTransport.ts"
import * as Fault from "../src/simulator/Fault.ts"
import * as Script from "../src/simulator/Script.ts"
import * as SimulatorServer from "../src/simulator/SimulatorServer.ts"
import * as Transcriber from "../src/Transcriber.ts"
import { essence, type Outcome, read, withoutRest } from "./support/capturedCall.ts"
import { credentials } from "./support/rawClient.ts"
import { once } from "./support/session.ts"
import { cut, draw, pcm16 } from "./support/sound.ts"

const script = Script.fromText("good morning\nhow are you today\nfine thank you")
const speech = draw(`${"vvvvvvvv...............".repeat(2)}${"v".repeat(60)}...............`)
const verifyCredentials = {
  accessKeyId: credentials.accessKeyId,
  secretAccessKey: Redacted.make(credentials.secretAccessKey)
}

/** A call to a simulator at ten times real time, and the file of its capture. Both are gone when it is over. */
const call = (
  options: SimulatorServer.Options
): Effect.Effect<{ readonly outcome: Outcome; readonly file: string }, unknown> =>
  Effect.gen(function*() {
    const server = yield* Effect.provideService(
      SimulatorServer.make({ ...options, verifyCredentials }),
      References.MinimumLogLevel,
      "None"
    )
    let file = ""
    const write = (lines: string) => Effect.sync(() => void (file += lines))
    const transport = Layer.provide(
      Capture.layer({ write }),
      SageMakerTransport.layer({ endpointName: "my-flux", region: "us-east-2", endpointUrl: server.url, credentials })
    )
    const services = Transcriber.layer.pipe(
      Layer.provide(transport),
      Layer.provide(FluxSettings.layer({ keyterm: ["customer"], sendTimeout: "1200 millis" }))
    )
    const events: Array<FluxEvent> = []
    const exit = yield* Stream.fromIterable(cut(speech, [2560])).pipe(
      Audio.paced({ ...pcm16, speed: 10 }),
      Transcriber.transcribe({ id: "call", retry: once }),
      // how many of them are superseded before they are read is a matter of moments
      Stream.filter((event) => event.type !== "Update"),
      Stream.runForEach((event) => Effect.sync(() => void events.push(event))),
      Effect.provide(services),
      Effect.exit
    )
    const error = Exit.isSuccess(exit) ? undefined : Option.getOrThrow(Exit.findErrorOption(exit))
    assert.isTrue(error === undefined || error._tag === "FluxError")
    return { outcome: { events, times: [], error: error?._tag === "FluxError" ? error : undefined }, file }
  }).pipe(Effect.scoped)

describe("a call captured over the wire", () => {
  const faults = [
    ["drop-socket,turn=1,after=0.4", "ConnectionLost"],
    ["reset,turn=1,after=0.4", "ConnectionLost"],
    ["model-stream-error,turn=1,after=0.4,errorCode=StreamBroken", "ModelStreamError"],
    ["corrupt-crc,turn=1,after=0.4", "MalformedFrame"],
    ["stop-reading,turn=2", "SendTimeout"],
    ["reject-424", "Rejected"],
    ["deny-403", "Unauthorized"],
    ["throttle-400", "Throttled"],
    ["error-500", "ServiceUnavailable"]
  ] as const
  for (const [flag, tag] of faults) {
    it.live(`with ${flag} is answered the same by its replay`, () =>
      Effect.gen(function*() {
        const fault = Result.getOrThrowWith(Fault.fromFlag(flag), (problem) => new Error(problem))
        const { file, outcome } = yield* call({ script, faults: [fault] })
        assert.strictEqual(outcome.error?.reason._tag, tag)
        const again = yield* call({ replay: read(file) })
        assert.deepStrictEqual(essence(withoutRest(again.outcome), false), essence(withoutRest(outcome), false))
        for (const secret of [credentials.accessKeyId, credentials.secretAccessKey, "ignature", "AWS4", "good", "customer"]) {
          assert.notInclude(file, secret)
        }
      }))
  }
})
