/** A transport that is wrapped is asked for every frame and message, although the one inside could do without. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as FluxSession from "../src/FluxSession.ts"
import * as FluxSettings from "../src/FluxSettings.ts"
import { FluxTransport } from "../src/FluxTransport.ts"
import * as SageMakerTransport from "../src/SageMakerTransport.ts"
import * as SimulatorServer from "../src/simulator/SimulatorServer.ts"
import { credentials } from "./support/rawClient.ts"

const sent: Array<string> = []
const heard: Array<string> = []
const Wrapped = Layer.unwrap(Effect.map(SimulatorServer.SimulatorServer, ({ url }) =>
  Layer.effect(FluxTransport, Effect.map(FluxTransport, (inner) =>
    FluxTransport.of({
      ...inner,
      open: (query) =>
        Effect.map(inner.open(query), (connection) => ({
          ...connection,
          send: (frame) => Effect.suspend(() => {
            sent.push(frame.dataType)
            return connection.send(frame)
          }),
          messages: Stream.tap(connection.messages, (text) => Effect.sync(() => void heard.push(text)))
        }))
    }))).pipe(Layer.provide(SageMakerTransport.layer({ endpointName: "e", region: "us-east-1", endpointUrl: url, credentials })))
)).pipe(Layer.provideMerge(SimulatorServer.layer()))

describe("a wrapper of a transport", () => {
  it.live("sees every frame that is sent and every message that comes", () =>
    Effect.gen(function*() {
      const voice = Int16Array.from({ length: 1280 }, (_, at) => 8000 * Math.sin(at / 5))
      const audio = Stream.range(1, 25).pipe(Stream.map(() => new Uint8Array(voice.buffer)))
      yield* Stream.runDrain(FluxSession.transcribe(audio, { settings: FluxSettings.defaults, id: "wrapped" }))
      const [record] = yield* (yield* SimulatorServer.SimulatorServer).ledger
      assert.strictEqual(record?.received.audioMessages, 25)
      assert.deepStrictEqual(sent, [...Array.from({ length: 25 }, () => "BINARY"), "UTF8"])
      assert.lengthOf(heard, Object.values(record?.sent.messages ?? {}).reduce((sum, count) => sum + count, 0))
    }).pipe(Effect.provide(Wrapped)))
})
