/** The two doors of this package, as an application has them: audio is pushed, events are a stream. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as References from "effect/References"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as FluxSession from "../../../src/FluxSession.ts"
import type { FluxError } from "../../../src/FluxError.ts"
import type { FluxEvent } from "../../../src/FluxEvent.ts"
import * as FluxSettings from "../../../src/FluxSettings.ts"
import type { FluxTransport } from "../../../src/FluxTransport.ts"
import * as SageMakerTransport from "../../../src/SageMakerTransport.ts"
import * as Transcriber from "../../../src/Transcriber.ts"
import type { Call, Caller, MakeClient } from "./client.ts"
import type { Job } from "./job.ts"

const transport = ({ ca, url }: Job): Layer.Layer<FluxTransport, FluxError> =>
  SageMakerTransport.layer({
    endpointName: "my-flux",
    region: "us-east-1",
    endpointUrl: url,
    ca,
    credentials: { accessKeyId: "any", secretAccessKey: "any" }
  })

/** What both have. */
type Open = Pick<FluxSession.FluxSession, "offerUnsafe" | "finish" | "events">

const calls = <R>(
  runtime: ManagedRuntime.ManagedRuntime<R, FluxError>,
  open: Effect.Effect<Open, FluxError, Scope.Scope | R>
) =>
(caller: Caller): Call => {
  const hear = (event: FluxEvent): void => {
    if (event.type === "Connected") caller.connected()
    else if (event.type === "EndOfTurn") caller.endOfTurn(event.audioEnd)
    if (event.type === "EndOfTurn" || event.type === "Disconnected") caller.injected(event.usage.injectedSeconds)
  }
  let opened: Open | undefined
  const over = runtime.runPromise(Effect.scoped(Effect.gen(function*() {
    opened = yield* open
    yield* Stream.runForEach(opened.events, (event) => Effect.sync(() => hear(event)))
  })))
  return {
    push: (chunk) => {
      if (opened?.offerUnsafe(chunk) !== true) throw new Error("audio was refused")
    },
    finish: async () => {
      if (opened !== undefined) await Effect.runPromise(opened.finish)
      await over
    },
    failed: new Promise((_, reject) => over.catch(reject))
  }
}

const quiet = Layer.succeed(References.MinimumLogLevel, "Error")

/** (a) */
export const transcriber: MakeClient = async (job) => {
  const layer = Transcriber.layer.pipe(Layer.provide(transport(job)), Layer.provide(FluxSettings.layer()))
  const runtime = ManagedRuntime.make(Layer.merge(layer, quiet))
  await runtime.runPromise(Effect.void)
  return { call: calls(runtime, Effect.flatMap(Transcriber.Transcriber, (transcriber) => transcriber.open())) }
}

/** (b) */
export const session: MakeClient = async (job) => {
  const runtime = ManagedRuntime.make(Layer.merge(transport(job), quiet))
  await runtime.runPromise(Effect.void)
  let next = 0
  const open = Effect.suspend(() => FluxSession.open(FluxSettings.defaults, { id: `call-${next++}` }))
  return { call: calls(runtime, open) }
}
