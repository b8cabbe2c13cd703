/** A machine whose clock is off from AWS's, or is set right between two calls: it costs a request, and no call. */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as References from "effect/References"
import * as Stream from "effect/Stream"
import * as FluxSettings from "../src/FluxSettings.ts"
import * as SageMakerTransport from "../src/SageMakerTransport.ts"
import * as Script from "../src/simulator/Script.ts"
import * as SimulatorServer from "../src/simulator/SimulatorServer.ts"
import * as Transcriber from "../src/Transcriber.ts"
import { credentials, dateOf } from "./support/rawClient.ts"
import { once } from "./support/session.ts"
import { draw } from "./support/sound.ts"
import * as steppedClock from "./support/steppedClock.ts"

const hour = 3_600_000

const call = Stream.make(draw("vvvvvvvv...............")).pipe(
  // one attempt: what is right is right at once
  Transcriber.transcribe({ retry: once }),
  Stream.runFold(() => "", (words, event) => event.type === "EndOfTurn" ? event.transcript : words)
)

describe("a clock that is off", () => {
  for (const off of [hour, -hour, 30 * 24 * hour]) {
    it.live(`by ${off / hour} h: the first request is refused, and each call is heard, also when the clock is set right`, () =>
      Effect.gen(function*() {
        const { clock, setOff } = yield* steppedClock.make
        const server = yield* SimulatorServer.make({
          script: Script.fromText("hello there"),
          verifyCredentials: { accessKeyId: credentials.accessKeyId, secretAccessKey: Redacted.make(credentials.secretAccessKey) }
        }).pipe(Effect.provideService(Clock.Clock, clock), Effect.provideService(References.MinimumLogLevel, "None"))
        const endings = Effect.map(server.ledger, (records) => records.map(({ ending }) => ending))
        // by a clock that is ahead of AWS's they look as if they had expired: others each time
        const now = yield* Clock.currentTimeMillis
        let asked = 0
        const provider = () => Promise.resolve({ ...credentials, sessionToken: `token-${asked++}`, expiration: dateOf(now + off + hour / 2) })
        yield* Effect.gen(function*() {
          setOff(off)
          assert.strictEqual(yield* call, "hello there")
          assert.deepStrictEqual(yield* endings, ["refused", "flux-closed"])
          assert.strictEqual(yield* call, "hello there")
          assert.deepStrictEqual(yield* endings, ["refused", "flux-closed", "flux-closed"])
          setOff(0)
          assert.strictEqual(yield* call, "hello there")
          assert.deepStrictEqual(yield* endings, ["refused", "flux-closed", "flux-closed", "refused", "flux-closed"])
        }).pipe(Effect.provide(Transcriber.layer.pipe(
          Layer.provide(SageMakerTransport.layer({ endpointName: "my-flux", region: "us-east-2", endpointUrl: server.url, credentials: provider })),
          Layer.provide(FluxSettings.layer())
        )))
      }))
  }
})
