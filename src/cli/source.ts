/** The audio of a call: a file, standard input, or the bundled sample; and the words that the simulator gives it. */
import { fileURLToPath } from "node:url"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as PlatformError from "effect/PlatformError"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import * as Audio from "../Audio.ts"
import * as AudioFile from "../AudioFile.ts"
import type { SessionRecord } from "../simulator/Ledger.ts"
import type { Recording } from "../simulator/Recording.ts"
import * as Replay from "../simulator/Replay.ts"
import * as Script from "../simulator/Script.ts"
import type { FluxError } from "../FluxError.ts"
import { Broken } from "./Failure.ts"
import { type Checked, faultsOf } from "./flags.ts"
import * as inputs from "./inputs.ts"

/** The bundled sample and what is said in it. */
export const sample = fileURLToPath(new URL("../simulator/sample/sample.wav", import.meta.url))

/** What was asked for. */
export interface Request {
  /** A path, or `-` for standard input. */
  readonly path: string
  /** Raw audio rather than WAV. */
  readonly raw: boolean
  /** Of a WAV file with several. */
  readonly channel: AudioFile.Options["channel"]
  /** As flags say, where they make sense, which a file must not contradict. */
  readonly explicit: { readonly encoding?: string | undefined; readonly sampleRate?: number | undefined }
  /** As flags or the environment say, for audio that does not say itself. */
  readonly format: { readonly encoding: Audio.Encoding | undefined; readonly sampleRate: number | undefined }
  readonly onWarning: (warning: string) => Effect.Effect<void>
}

/** Opens the audio of a call. */
export const open = Effect.fnUntraced(function*(
  request: Request
): Effect.fn.Return<Checked<AudioFile.AudioFile<Broken>>, never, Scope.Scope | Stdio.Stdio> {
  const { channel, explicit, format, path, raw } = request
  const name = path === "-" ? "standard input" : path
  const stdio = yield* Stdio.Stdio
  const bytes = path === "-" ? stdio.stdin : AudioFile.bytes(path)
  if (raw) {
    const { encoding = "linear16", sampleRate = 16_000 } = format
    return Result.succeed(readable(AudioFile.raw(bytes, { encoding, sampleRate }), name))
  }
  const opened = yield* Effect.result(
    AudioFile.openWav(bytes, { sampleRate: format.sampleRate, channel, linger: "1 second", onWarning: request.onWarning })
  )
  if (Result.isFailure(opened)) return Result.fail(explain(name, path, opened.failure))
  const file = opened.success
  const faults: Array<string> = []
  if (explicit.encoding !== undefined && explicit.encoding !== file.format.encoding) {
    faults.push(`encoding: ${name} is ${file.source}, which is sent as ${file.format.encoding}; leave --encoding out`)
  }
  if (explicit.sampleRate !== undefined && explicit.sampleRate !== file.format.sampleRate) {
    faults.push(`sampleRate: ${name} is ${file.source}; leave --sample-rate out`)
  }
  return faults.length > 0 ? Result.fail(faults) : Result.succeed(readable(file, name))
})

/**
 * The audio of a captured call, or as much silence; nothing where there is no capture to take it from. Where the captured
 * session broke, silence follows until the sessions that replay the capture, by their ledger, have had what it takes.
 */
export const replayed = (
  recording: Recording | undefined,
  ledger: Effect.Effect<ReadonlyArray<SessionRecord>>
): Checked<AudioFile.AudioFile<Broken> | undefined> => {
  if (recording === undefined) return Result.succeed(undefined)
  const audio = Replay.audio(recording)
  if (audio === undefined) return Result.fail(["file: the capture does not tell its audio's format; give a file"])
  const isSatisfied = Replay.satisfaction(recording)
  const satisfied = Effect.map(ledger, (records) => isSatisfied(records.map(({ received }) => received)))
  const rest = Stream.fromIterable(audio.rest).pipe(
    // the server breaks the session in its own time: silence as fast as can be would be far ahead by then
    Audio.paced({ ...audio.format, speed: restSpeed }),
    Stream.takeUntilEffect(() => satisfied)
  )
  return Result.succeed(AudioFile.raw(Stream.concat(Stream.fromIterable(audio.pieces), rest), audio.format))
}

/** At which the silence after a captured call is sent at most, in times of real time. */
const restSpeed = 8

const readable = (
  file: AudioFile.AudioFile<PlatformError.PlatformError>,
  name: string
): AudioFile.AudioFile<Broken> => ({
  ...file,
  audio: Stream.mapError(file.audio, (cause) => new Broken({ what: `${name} cannot be read`, cause }))
})

const explain = (
  name: string,
  path: string,
  error: FluxError | PlatformError.PlatformError
): ReadonlyArray<string> => {
  if (error._tag === "PlatformError") return [`${name}: ${error.reason.description ?? error.message}`]
  return faultsOf(error).map((fault) =>
    `${name}: ${fault}${path === "-" && fault.includes("not a WAV file") ? "; raw audio needs --raw" : ""}`
  )
}

/** Words for the simulator, and where they come from. */
export interface Words {
  readonly script: Script.Script
  /** For people: `words come from call.txt`. */
  readonly from: string
}

/** Words from a script, else from a transcript beside the audio (the same name with `.txt`), else placeholders. */
export const words = Effect.fnUntraced(function*(
  script: string | undefined,
  path: string | undefined
): Effect.fn.Return<Checked<Words>, never, FileSystem.FileSystem> {
  const beside = path === undefined || path === "-" ? undefined : path.replace(/(\.[^./\\]*)?$/, ".txt")
  const file = script ?? beside
  if (file === undefined || file === path) return placeholders
  const text = script === undefined ? yield* inputs.find("script", file) : Result.map(yield* inputs.read("script", file), Option.some)
  if (Result.isFailure(text)) return Result.fail(text.failure.map((fault) => script === undefined ? `${fault} (it lies beside the audio; give --script for another one)` : fault))
  if (Option.isNone(text.success)) return placeholders
  return Result.mapBoth(Script.parse(text.success.value), {
    onSuccess: (parsed) => ({ script: parsed, from: `words come from ${file}` }),
    onFailure: (problems) => problems.map((problem) => `script: ${file}: ${problem}`)
  })
})

const placeholders: Checked<Words> = Result.succeed({ script: Script.placeholders, from: "words are placeholders: give --script FILE" })
