/**
 * Reading audio for Flux: WAV from a file, a pipe or any stream of bytes, or raw audio.
 *
 * What Flux takes (16-bit PCM, mu-law or A-law, mono, at one of its rates) is passed on as it arrives. Anything else
 * that can be read is converted to linear16 mono on the way, so a live pipe works in any coding.
 */
import { createReadStream } from "node:fs"
import * as NodeStream from "@effect/platform-node/NodeStream"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as PlatformError from "effect/PlatformError"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { type Format, sampleRates } from "./Audio.ts"
import type { FluxError } from "./FluxError.ts"
import * as ByteReader from "./internal/byteReader.ts"
import * as wavConvert from "./internal/wavConvert.ts"
import * as wavData from "./internal/wavData.ts"
import * as wavFormat from "./internal/wavFormat.ts"
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
   * Which channel to take of a file with several: the first (`left`), the second (`right`), or all of them (`mix`, the
   * default). For calls with a leg a channel. A mix is the mean of the channels; one that cancels others out, since its
   * wires were swapped, is left out of it with a warning. `right` of a mono file is an `UnsupportedAudio`.
   */
  readonly channel?: "left" | "right" | "mix" | undefined
  /**
   * How long to wait, once the audio that the header declares has been read, for what may follow in an input that stays
   * open: another WAV file, or audio that the header does not count. What comes later is told by `onWarning` and not
   * read. Default: no time for {@link openWav}, which takes what is there already; a second for {@link open}.
   */
  readonly linger?: Duration.Input | undefined
  /**
   * Told of what is wrong with the file and does not stop it, at once or when its audio ends: header fields that
   * contradict each other, no size declared, less or more audio than declared, no audio at all. Default: a warning in
   * the log.
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
 * A WAV file from any stream of bytes; succeeds when its header has been read. The header is not trusted: what players
 * believe is believed (channels, rate, bits), what contradicts it is told, and a size that is unknown or wrong is read
 * over to the end of the input. Tags after the audio are left out; another file of the same format goes on as audio.
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
  const { channel = "mix", linger, onWarning = Effect.logWarning } = options
  const scope = yield* Scope.Scope
  const input = yield* ByteReader.make(bytes)
  const header = yield* wavHeader.read(input, soon)
  const { wav } = header
  if (channel === "right" && wav.channels === 1) {
    return yield* wavFormat.unsupported("the WAV file is mono: it has no right channel")
  }
  yield* Effect.forEach(header.oddities, onWarning, { discard: true })
  const isEmpty = header.dataBytes === undefined && (yield* wavData.isEmpty(input, soon))
  if (header.dataBytes === undefined && !isEmpty) {
    yield* onWarning("the WAV header does not say how long its audio is: it is read to the end of the input")
  }
  const declared = isEmpty ? 0 : header.dataBytes
  const seconds = declared === undefined || wavHeader.isEndless(declared) ? undefined : wavFormat.secondsOf(wav, declared)
  const patience = linger === undefined ? soon : Effect.sleep(linger)
  const data = wavData.stream(input, header, { patience, onWarning, scope })
  const source = wavFormat.describe(wav)
  const encoding = wavFormat.encodingOf(wav)
  if (encoding !== undefined && sampleRates.includes(wav.sampleRate)) {
    return { format: { encoding, sampleRate: wav.sampleRate }, audio: data, seconds, source, converted: false }
  }
  const sampleRate = sampleRates.includes(wav.sampleRate) ? wav.sampleRate : options.sampleRate ?? 16_000
  const WaveFile = yield* Effect.promise(wavConvert.load)
  const audio = Stream.suspend(() => {
    const converter = wavConvert.make(WaveFile, wav, { sampleRate, channel })
    const tell = <A>(out: A): Effect.Effect<A> => Effect.as(Effect.forEach(converter.notes(), onWarning, { discard: true }), out)
    return Stream.concat(
      Stream.flattenIterable(Stream.mapEffect(data, (chunk) => tell(converter.push(chunk)))),
      Stream.unwrap(Effect.suspend(() => Effect.map(tell(converter.flush()), Stream.fromIterable)))
    )
  })
  return { format: { encoding: "linear16", sampleRate }, audio, seconds, source, converted: true }
})

/** Turns of other fibers, in which an input gives what it has already: no time passes. */
const soon: Effect.Effect<void> = Effect.repeat(Effect.yieldNow, { times: 8 })

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
> => openWav(bytes(path), { ...options, linger: options?.linger ?? "1 second" })

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
