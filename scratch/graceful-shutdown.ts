/** A process with many calls that ends gracefully: `node scratch/graceful-shutdown.ts [CALLS] [FAULT]`, on the simulator. */
import { Console, Data, Deferred, Effect, Exit, Fiber, Layer, References, Result, Runtime, Stream } from "effect"
import { Audio, Fault, FluxSettings, SageMakerTransport, Script, SimulatorServer, Transcriber } from "../src/index.ts"

const [calls = "3", fault] = process.argv.slice(2)
const faults = fault === undefined ? [] : [Result.getOrThrow(Fault.fromFlag(fault))]
const Transport = Layer.unwrap(Effect.map(SimulatorServer.SimulatorServer, ({ url }) =>
  SageMakerTransport.layer({
    endpointName: "any-name",
    region: "us-east-1",
    endpointUrl: url,
    credentials: { accessKeyId: "any", secretAccessKey: "any" }
  })))
// less than whoever ends the process waits: 30 s on Kubernetes and ECS, unless told otherwise
const Flux = Transcriber.layerWith({ shutdownTimeout: "25 seconds" }).pipe(
  Layer.provide(Transport),
  Layer.provide(FluxSettings.layer({ drainTimeout: "8 seconds" })),
  Layer.provide(SimulatorServer.layer({ script: Script.fromText("one two three four five six seven eight nine ten"), faults }))
)

/** A caller who speaks for ten seconds, and stays on the line. */
const samples = Int16Array.from({ length: 160_000 }, (_, i) => 8000 * Math.sin(i / 5))
const format = { encoding: "linear16", sampleRate: 16_000 } as const
const microphone = Stream.make(new Uint8Array(samples.buffer)).pipe(
  Audio.frames(format),
  Audio.paced(format),
  Stream.concat(Stream.never)
)

const call = (id: string) =>
  microphone.pipe(
    Transcriber.transcribe({ id }),
    Stream.runForEach((event) =>
      event.type === "StartOfTurn" ? Console.log(`${id} speaks`)
        : event.type === "EndOfTurn" ? Console.log(`${id}: ${event.transcript} (${event.ending})`)
        : Effect.void),
    Effect.catchTag("FluxError", (error) => Console.error(`${id}: ${error.message}`))
  )

/** The first signal asks for an end, the next one interrupts. */
const asked = Deferred.makeUnsafe<void>()
const runMain = Runtime.makeRunMain(({ fiber, teardown }) => {
  const onSignal = () => {
    if (!Deferred.doneUnsafe(asked, Exit.void)) fiber.interruptUnsafe(fiber.id)
  }
  process.on("SIGINT", onSignal)
  process.on("SIGTERM", onSignal)
  fiber.addObserver((exit) => teardown(exit, (status) => process.exit(status)))
})

/** Ends the process with status 1; the report has told why. */
class CallsFailed extends Data.TaggedError("CallsFailed") {
  override readonly [Runtime.errorReported] = false
}

const program = Effect.gen(function*() {
  const ids = Array.from({ length: Number(calls) }, (_, at) => `call-${at}`)
  const all = yield* Effect.forkChild(Effect.forEach(ids, call, { concurrency: "unbounded", discard: true }))
  yield* Deferred.await(asked)
  yield* Console.log("finishing; once more to stop at once")
  const { failed, finished } = yield* Transcriber.shutdown
  // the last words are in the events by now; a call that was not over in time is interrupted
  yield* Effect.timeoutOption(Fiber.join(all), "1 second")
  yield* Console.log(`${finished} finished, ${failed.length} failed`)
  for (const { error, id } of failed) yield* Console.log(`${id} failed: ${error.reason._tag}`)
  if (failed.length > 0) return yield* new CallsFailed()
})

program.pipe(Effect.provide(Flux), Effect.provideService(References.MinimumLogLevel, "Error"), runMain)
