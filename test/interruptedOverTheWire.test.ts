/** Fifty calls that are interrupted, against a server that holds its side: nothing is left open. */
import { assert, describe, it } from "@effect/vitest"
import * as http2 from "node:http2"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as FluxSettings from "../src/FluxSettings.ts"
import * as SageMakerTransport from "../src/SageMakerTransport.ts"
import * as Transcriber from "../src/Transcriber.ts"
import * as bare from "./support/bareServer.ts"
import { becomes } from "./support/becomes.ts"
import { credentials } from "./support/rawClient.ts"
import { connected, turnInfo } from "./support/wire.ts"

/** Where each of the calls is when it is interrupted. */
const moments = ["opening", "accepted", "streaming", "draining"] as const

describe("fifty interrupted calls against a server that holds its side", () => {
  for (const connections of ["isolated", "shared"] as const) {
    it.live(connections, () =>
      Effect.gen(function*() {
        const open = new Set<http2.ServerHttp2Stream>()
        let seen = 0
        const server = yield* bare.serve({
          answer: (stream) => {
            const moment = moments[seen++ % moments.length]
            open.add(stream)
            stream.on("close", () => open.delete(stream))
            // nothing is ever ended here, and CloseStream is not answered
            if (moment === "opening") return
            bare.accept(stream)
            if (moment === "accepted") return
            stream.write(bare.responsePart(connected))
            stream.write(bare.responsePart(turnInfo({ event: "StartOfTurn", transcript: "hello" })))
          }
        })
        const layer = Transcriber.layer.pipe(
          Layer.provide(SageMakerTransport.layer({
            endpointName: "my-flux",
            region: "us-east-2",
            endpointUrl: `http://127.0.0.1:${server.port}`,
            credentials,
            connections
          })),
          Layer.provide(FluxSettings.layer({ disconnectTimeout: "500 millis" }))
        )
        const calls = Effect.gen(function*() {
          const call = (number: number) => {
            const chunk = Stream.make(new Uint8Array(2560))
            const audio = moments[number % moments.length] === "draining" ? chunk : Stream.concat(chunk, Stream.never)
            return Effect.forkChild(Effect.exit(Stream.runDrain(audio.pipe(Transcriber.transcribe()))), { startImmediately: true })
          }
          const fibers = yield* Effect.forEach(Array.from({ length: 50 }, (_, at) => at), call)
          yield* becomes("streams at the server", Effect.sync(() => open.size), 50)
          const clock = yield* Clock.Clock
          const before = clock.currentTimeMillisUnsafe()
          yield* Fiber.interruptAll(fibers)
          // each has three steps of closing, and they go side by side; a second is for the machine
          assert.isBelow(clock.currentTimeMillisUnsafe() - before, 2500)
          yield* becomes("streams at the server", Effect.sync(() => open.size), 0)
          // isolated connections go with their streams, a shared one stays for the next
          if (connections === "isolated") yield* becomes("sockets at the server", Effect.sync(() => server.sockets.size), 0)
        })
        yield* Effect.provide(calls, layer)
        yield* becomes("sockets at the server, with the transport gone", Effect.sync(() => server.sockets.size), 0)
        assert.strictEqual(seen, 50)
      }))
  }
})
