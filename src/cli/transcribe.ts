/** `flux-stt transcribe`: the turns of a file, of standard input, or of the bundled sample. */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import * as Audio from "../Audio.ts"
import type * as AudioFile from "../AudioFile.ts"
import * as FluxSettings from "../FluxSettings.ts"
import { FluxTransport } from "../FluxTransport.ts"
import type { SessionRecord } from "../simulator/Ledger.ts"
import * as Transcriber from "../Transcriber.ts"
import { type Broken, CannotStart } from "./Failure.ts"
import * as flags from "./flags.ts"
import * as outputs from "./outputs.ts"
import { print, quiet, say } from "./print.ts"
import { Shutdown } from "./Shutdown.ts"
import * as simulation from "./simulation.ts"
import * as source from "./source.ts"
import * as transports from "./transports.ts"
import * as watching from "./watching.ts"

const config = {
  file: Argument.Path("file", { pathType: "either" }).pipe(
    Argument.map(flags.asGiven),
    Argument.withMetavar("FILE|-"),
    Argument.withDescription("WAV file, or - for standard input; may be left out with --simulate"),
    Argument.optional
  ),
  json: Flag.Boolean("json").pipe(
    Flag.withDescription("One event as JSON a line, the schema version in the first one"),
    Flag.withDefault(false)
  ),
  simulate: Flag.Boolean("simulate").pipe(
    Flag.withDescription("Start a simulator of the endpoint in this process; it does not recognise speech"),
    Flag.withDefault(false)
  ),
  simulation: simulation.flags,
  raw: Flag.Boolean("raw").pipe(
    Flag.withDescription("The audio is raw: see --encoding and --sample-rate"),
    Flag.withDefault(false)
  ),
  channel: flags.optional(Flag.Literals("channel", ["left", "right", "mix"])).pipe(
    Flag.withDescription("Which channel of a WAV file with several to take, for calls with a leg a channel (default mix)")
  ),
  pace: Flag.Literals("pace", ["realtime", "fast"]).pipe(
    Flag.withDescription("fast: as fast as a simulator in this process takes it, twice real time elsewhere"),
    Flag.withDefault("realtime")
  ),
  finish: Flag.Literals("finish", ["close", "silence"]).pipe(
    Flag.withDescription("At the end of the audio close at once, or send silence until the last turn is confirmed"),
    Flag.withDefault("close")
  ),
  capture: flags.optional(flags.file("capture")).pipe(
    Flag.withMetavar("FILE"),
    Flag.withDescription("Write what goes both ways to FILE, for simulate --replay; no credentials, audio or words")
  ),
  captureContent: Flag.Boolean("capture-content").pipe(
    Flag.withDescription("Let the capture hold audio, transcripts and keyterms too"),
    Flag.withDefault(false)
  ),
  capabilities: flags.capabilities,
  endpoint: flags.endpoint,
  settings: flags.settings
}

type Input = Command.Command.Config.Infer<typeof config>

/** The command. */
export const transcribe = Command.make("transcribe", config, (input) =>
  quiet(Effect.flatMap(watching.watchers(input.json), (watchers) =>
    watching.aboveLine(watchers)(outputs.whole(run(input, watchers)))))
).pipe(
  Command.withDescription("Prints the turns of a recording or a live stream as they come"),
  Command.withExamples([
    { command: "flux-stt transcribe --simulate", description: "The bundled sample on the simulator" },
    { command: "flux-stt transcribe call.wav --endpoint-name my-flux --region us-east-1", description: "A file on SageMaker" },
    {
      command: "flux-stt transcribe --simulate --fault model-stream-error,turn=1,after=0.5",
      description: "What a container that breaks in mid-turn looks like (see flux-stt faults)"
    },
    {
      command: "arecord -f S16_LE -r 16000 | flux-stt transcribe - --json --endpoint-name my-flux",
      description: "A microphone, as NDJSON"
    }
  ])
)

const run = Effect.fnUntraced(function*(input: Input, watchers: watching.Watchers) {
  const shutdown = yield* Shutdown
  const { file, settings, transport } = yield* prepare(input)
  const services = Transcriber.layer.pipe(
    Layer.provide(Layer.succeed(FluxTransport, transport)),
    Layer.provide(FluxSettings.layer(settings))
  )
  const watched = watching.make(watchers, settings)
  yield* shutdown.graceful((asked) =>
    Stream.interruptWhen(paced(file, input), Effect.andThen(asked, say("finishing; once more to stop at once"))).pipe(
      watched.audio(file.format),
      Transcriber.transcribe({ finish: input.finish }),
      Stream.provide(services),
      Stream.tap(watched.event),
      print({
        json: input.json,
        minConfidence: settings.minConfidence,
        erase: watchers.Screen?.erase,
        onAbandoned: watched.event
      })
    )
  ).pipe(watched.around)
})

const paced = (
  { audio, format }: AudioFile.AudioFile<Broken>,
  { pace, simulate }: Input
): Stream.Stream<Uint8Array, Broken> => {
  const frames = Audio.frames(audio, format)
  if (pace === "fast" && simulate) return frames
  return Audio.paced(frames, { ...format, speed: pace === "fast" ? 2 : 1 })
}

/** Finds everything that can be found wrong before there is a connection, and tells it in one go. */
const prepare = Effect.fnUntraced(function*(input: Input) {
  const faults = flags.makeFaults()
  const { all, add, collect } = faults
  const { capture, captureContent, simulate } = input
  const asked = yield* flags.askedSettings(faults, input.settings)
  const profile = collect(yield* flags.profile(input.capabilities))
  // a simulator in this process is not overrun
  const unhurried = simulate && input.pace === "fast" ? { catchUpSpeed: 1_000_000 } : {}
  const settings = collect(flags.checkSettings(flags.overlay<Record<string, unknown>>(unhurried, asked), profile))

  const { ledger, replay } = input.simulation
  const stdio = yield* Stdio.Stdio
  const args = yield* stdio.args
  const given = Option.getOrElse(input.file, () => simulate && replay === undefined ? source.sample : undefined)
  // a file may have that name
  const path = given === "-" && !args.includes("-") ? "./-" : given
  if (input.raw && Option.isNone(input.file)) add("raw: give a file of raw audio, or - for standard input")
  if (input.channel !== undefined && input.raw) add("channel: raw audio is mono; leave --channel out")
  if (input.channel !== undefined && path === undefined) add("channel: is for a WAV file; give one, or leave --channel out")
  if (path === "-" && (yield* stdio.stdinIsTerminal)) add("file: standard input is a terminal: pipe audio into it, or give a file")
  if (path === undefined && !simulate) add("file: give a WAV file, or - for standard input, or try --simulate")
  for (const [flag, value] of Object.entries(simulate ? input.endpoint : input.simulation)) {
    if (value !== undefined) add(`${flag}: ${simulate ? "--simulate has its own endpoint" : "is for --simulate only"}`)
  }
  if (captureContent && capture === undefined) add("captureContent: says what --capture FILE may hold; give that too")
  add(...(yield* outputs.check({ capture, ledger })))
  const simulated = simulate ? collect(yield* simulation.read(input.simulation, profile, path)) : undefined
  const onSageMaker = simulate ? undefined : collect(yield* transports.sageMaker(input.endpoint, profile))
  // known once the simulator runs
  let records: Effect.Effect<ReadonlyArray<SessionRecord>> = Effect.succeed([])
  const openAudio = Effect.fnUntraced(function*(path: string | undefined) {
    if (path === undefined) return collect(source.replayed(simulated?.behaviour.replay, Effect.suspend(() => records)))
    // standard input may keep us waiting for what cannot be used
    if (path === "-" && all.length > 0) return undefined
    return collect(
      yield* source.open({
        path,
        raw: input.raw,
        channel: input.channel,
        explicit: settings === undefined ? {} : input.settings,
        format: { encoding: settings?.encoding, sampleRate: settings?.sampleRate },
        onWarning: (warning) => say(`warning: ${warning}`)
      })
    )
  })
  const file = yield* openAudio(path)
  const endpoint = onSageMaker === undefined
    ? simulated && Effect.map(transports.simulator(simulated, profile, ledger), (simulator) => {
      records = simulator.ledger
      return simulator.transport
    })
    : Effect.succeed(onSageMaker)
  if (all.length > 0 || file === undefined || settings === undefined || endpoint === undefined) {
    return yield* new CannotStart({ faults: [...new Set(all)] })
  }

  const transport = capture === undefined ? yield* endpoint : yield* transports.captured(yield* endpoint, capture, captureContent)
  return { file, settings: { ...settings, ...file.format }, transport }
})
