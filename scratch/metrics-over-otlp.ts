/**
 * Metrics, spans and logs of two calls on the simulated endpoint, exported to OTEL_EXPORTER_OTLP_ENDPOINT:
 * `OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 node scratch/metrics-over-otlp.ts`
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Console, Effect, Layer, Schedule, Stream } from "effect"
import { FakeTransport, FluxSettings, Observability, Script, Transcriber } from "../src/index.ts"

/** Half a second of a tone, then a second of silence: one turn. */
const samples = Int16Array.from({ length: 24_000 }, (_, i) => i < 8000 ? 8000 * Math.sin(i / 5) : 0)
const audio = Stream.make(new Uint8Array(samples.buffer))

const Flux = (options: FakeTransport.Options) =>
  Transcriber.layer.pipe(Layer.provide(FakeTransport.layer(options)), Layer.provide(FluxSettings.layer()))
const script = Script.fromText("I would like to cancel")

/** As without it, but not for 30 s. */
const retry = Transcriber.defaultRetry.pipe(Schedule.upTo({ times: 4 }))
const call = (id: string, audio: Stream.Stream<Uint8Array>) =>
  audio.pipe(
    Transcriber.transcribe({ id, retry }),
    Stream.runForEach((event) => event.type === "EndOfTurn" ? Console.log(`${id}: ${event.transcript} (${event.ending})`) : Effect.void)
  )

const program = Effect.gen(function*() {
  yield* call("good", audio).pipe(Effect.provide(Flux({ script })))
  // the caller is still there when the container breaks
  yield* call("broken", Stream.concat(audio, Stream.never)).pipe(
    Effect.provide(Flux({ script, faults: [{ fault: "model-stream-error", turn: 0, after: 0.2 }] })),
    Effect.catchTag("FluxError", (error) => Console.log(`broken: ${error.reason._tag}`))
  )
})

program.pipe(Effect.provide(Observability.layer({ serviceName: "my-voice-agent" })), NodeRuntime.runMain)
