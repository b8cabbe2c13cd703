/**
 * Reading audio for Flux: WAV from a file, a pipe or any stream of bytes, or raw audio.
 *
 * What Flux takes (16-bit PCM, mu-law or A-law, mono, at one of its rates) is passed on as it arrives. Anything else
 * that can be read is converted to linear16 mono on the way, so a live pipe works in any coding.
 */
import { createReadStream } from "node:fs"
import * as NodeStream from "@effect/platform-node/NodeStream"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as PlatformError from "effect/PlatformError"
import type * as Pull from "effect/Pull"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { type Format, sampleRates } from "./Audio.ts"
import type { FluxError } from "./FluxError.ts"
import * as ByteReader from "./internal/byteReader.ts"
import * as wavConvert from "./internal/wavConvert.ts"
import * as wavHeader from "./internal/wavHeader.ts"

/** Audio that Flux takes, and what it was made from. */
export interface AudioFile<E = never> {
  /** How `audio` is to be read: the file's own format where Flux takes it. */
  readonly format: Format
  /** Raw mono audio in chunks of any size. To be run once, within the Scope it was opened in. */
  readonly audio: Stream.Stream<Uint8Array, E>
  /** Length as declared; undefined where nobody knows, as for a pipe. */
  readonly seconds: number | undefined
  /** What the file itself holds, for people: `stereo 24-bit PCM at 96000 Hz`. */
  readonly source: string
  /** Whether `audio` is converted from it. */
  readonly converted: boolean
}

/** How to read a file. */
export interface Options {
  /** Rate in Hz to convert to where Flux does not take the file's own; default 16000. */
  readonly sampleRate?: number | undefined
  /**
   * Told of what is wrong with the file and does not stop it, at once or when its audio ends: no size declared, less
   * audio than declared, no audio at all. Default: a warning in the log.
   */
  readonly onWarning?: ((warning: string) => Effect.Effect<void>) | undefined
}

/** Raw audio, taken as it is. */
export const raw = <E>(audio: Stream.Stream<Uint8Array, E>, format: Format): AudioFile<E> => ({
  format,
  audio,
  seconds: undefined,
  source: `mono ${format.encoding} at ${format.sampleRate} Hz`,
  converted: false
})

/**
 * A WAV file from any stream of bytes; succeeds when its header has been read. Sizes in the header are not believed:
 * the audio goes on to the end of the input, or of the data declared, whichever is first.
 *
 * Fails with `UnsupportedAudio`, which says what the input is instead of a WAV file, or what is wrong with it.
 *
 * @example
 * const { audio, format } = yield* AudioFile.openWav(stdio.stdin)
 */
export const openWav = Effect.fnUntraced(function*<E, R>(
  bytes: Stream.Stream<Uint8Array, E, R>,
  options: Options = {}
): Effect.fn.Return<AudioFile<E>, FluxError | E, R | Scope.Scope> {
  const onWarning = options.onWarning ?? Effect.logWarning
  const input = yield* ByteReader.make(bytes)
  const header = yield* wavHeader.read(input)
  if (header.dataBytes === undefined) {
    yield* onWarning("the WAV header does not say how long its audio is: it is read to the end of the input")
  }
  const { wav } = header
  const seconds = wavHeader.secondsOf(header)
  const data = readData(input, header, onWarning)
  const source = wavHeader.describe(wav)
  const encoding = wavHeader.encodingOf(wav)
  if (encoding !== undefined && sampleRates.includes(wav.sampleRate)) {
    return { format: { encoding, sampleRate: wav.sampleRate }, audio: data, seconds, source, converted: false }
  }
  const sampleRate = sampleRates.includes(wav.sampleRate) ? wav.sampleRate : options.sampleRate ?? 16_000
  const WaveFile = yield* Effect.promise(wavConvert.load)
  const audio = Stream.suspend(() => {
    const converter = wavConvert.make(WaveFile, wav, sampleRate)
    return Stream.concat(
      Stream.flattenIterable(Stream.map(data, converter.push)),
      Stream.suspend(() => Stream.fromIterable(converter.flush()))
    )
  })
  return { format: { encoding: "linear16", sampleRate }, audio, seconds, source, converted: true }
})

/**
 * A WAV file by its path; a FIFO or `/dev/stdin` will do. Fails as {@link openWav} does, or with a `PlatformError`
 * (`NotFound`, `PermissionDenied`, `BadResource` for a directory, ...) that names the path.
 */
export const open = (
  path: string,
  options?: Options
): Effect.Effect<
  AudioFile<PlatformError.PlatformError>,
  FluxError | PlatformError.PlatformError,
  Scope.Scope
> => openWav(bytes(path), options)

/** The bytes of a file or a FIFO as they are; Effect's FileSystem reads by position, which a FIFO does not have. */
export const bytes = (path: string): Stream.Stream<Uint8Array, PlatformError.PlatformError> =>
  NodeStream.fromReadable({ evaluate: () => createReadStream(path), onError: (cause) => cannotRead(path, cause) })

const cannotRead = (path: string, cause: unknown): PlatformError.PlatformError => {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : ""
  const [tag, description] = systemErrors[code] ?? ["Unknown", cause instanceof Error ? cause.message : String(cause)]
  return PlatformError.systemError({
    _tag: tag,
    module: "AudioFile",
    method: "open",
    description,
    pathOrDescriptor: path,
    cause
  })
}

const systemErrors: Readonly<Record<string, readonly [PlatformError.SystemErrorTag, string]>> = {
  ENOENT: ["NotFound", "no such file"],
  EACCES: ["PermissionDenied", "no permission to read it"],
  EPERM: ["PermissionDenied", "no permission to read it"],
  EISDIR: ["BadResource", "it is a directory"],
  ENOTDIR: ["BadResource", "a part of the path is no directory"]
}

/** Near enough to 2 GiB to be what sox and arecord write when they do not know: nobody declares it in earnest. */
const endless = 0x7fff_f000

const readData = <E>(
  input: ByteReader.ByteReader<E>,
  header: wavHeader.WavHeader,
  onWarning: (warning: string) => Effect.Effect<void>
): Stream.Stream<Uint8Array, E> => {
  const declared = header.dataBytes ?? Number.POSITIVE_INFINITY
  let read = 0
  const warnAtEnd = Effect.suspend(() => {
    if (read === 0) return onWarning("the WAV file holds no audio")
    if (header.dataBytes === undefined || read === declared) return Effect.void
    if (declared >= endless) {
      return onWarning("the WAV header declares 2 GiB of audio, as a pipe does: it was read to the end of the input")
    }
    return onWarning(
      `the WAV file is shorter than its header declares (${read} of ${declared} bytes of audio): it was read to its end`
    )
  })
  const next: Pull.Pull<readonly [Uint8Array], E> = Effect.suspend(() =>
    read === declared ? Cause.done() : input.chunk(declared - read)
  ).pipe(
    Effect.map((chunk) => {
      read += chunk.length
      return [chunk] as const
    })
  )
  return Stream.concat(
    Stream.fromPull(Effect.succeed(next)),
    Stream.fromEffectDrain(warnAtEnd)
  )
}
