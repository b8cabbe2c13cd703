/**
 * Audio as Flux takes it: mono, raw, in one of three encodings (protocol 1.2). Everything here is pure.
 */
import * as Clock from "effect/Clock"
import { dual } from "effect/Function"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as monotonic from "./internal/monotonic.ts"

/** `linear16` is signed 16-bit little-endian PCM; `mulaw` and `alaw` are G.711, one byte a sample. */
export const Encoding = Schema.Literals(["linear16", "mulaw", "alaw"])
export type Encoding = typeof Encoding.Type

/** Sample rates that Flux takes, in Hz (protocol 1.1). */
export const sampleRates: ReadonlyArray<number> = [8000, 16_000, 24_000, 44_100, 48_000]

/** How raw audio is to be read. `sampleRate` is in Hz. */
export interface Format {
  readonly encoding: Encoding
  readonly sampleRate: number
}

/**
 * Bytes of raw audio, wherever they are kept: a `Buffer` and each array of one byte an element, a view with an offset, a
 * whole buffer, shared and resizable ones, of this realm or of another one (`node:vm`, jsdom, Electron). A buffer that was
 * transferred has no bytes any more.
 *
 * Samples are no bytes. The memory of an `Int16Array` is linear16 where the machine is little-endian, as most are:
 * `new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength)`.
 */
export type Bytes = Uint8Array | Uint8ClampedArray | Int8Array | DataView | ArrayBuffer | SharedArrayBuffer

/** Raw audio as programs without Effect have it: in one piece, or chunk by chunk; see `PromiseTranscriber.AudioSource`. */
export type Source = Bytes | AsyncIterable<Bytes> | Iterable<Bytes>

/** Length of a frame as Flux wants it (protocol 1.2): 80 ms, which is 2,560 bytes at 16 kHz linear16. */
export const frameMillis = 80

/** Bytes of one sample. */
export const bytesPerSample = (encoding: Encoding): number => (encoding === "linear16" ? 2 : 1)

/** Bytes of one second. */
export const bytesPerSecond = (format: Format): number => format.sampleRate * bytesPerSample(format.encoding)

/** Bytes of a duration in milliseconds, whole samples only, at least one sample. */
export const bytesOf = (format: Format, millis: number): number =>
  Math.max(1, Math.round((format.sampleRate * millis) / 1000)) * bytesPerSample(format.encoding)

/** Seconds of audio in a number of bytes. */
export const secondsOf = (format: Format, bytes: number): number => bytes / bytesPerSecond(format)

/** Milliseconds of audio in a number of bytes. */
export const millisOf = (format: Format, bytes: number): number => (bytes * 1000) / bytesPerSecond(format)

/** The byte that is silence: 0x00 for linear16, 0xFF for mulaw, 0xD5 for alaw. */
export const silenceByte = (encoding: Encoding): number =>
  encoding === "linear16" ? 0x00 : encoding === "mulaw" ? 0xff : 0xd5

/** Silence of a length in milliseconds. */
export const silence = (format: Format, millis: number): Uint8Array<ArrayBuffer> =>
  new Uint8Array(bytesOf(format, millis)).fill(silenceByte(format.encoding))

/**
 * Cuts a stream of chunks of any size into frames of 80 ms; the last one is as long as what is left. An odd byte
 * at the end of linear16 audio is half a sample and is dropped.
 *
 * @example
 * Stream.make(pcm).pipe(Audio.frames({ encoding: "linear16", sampleRate: 16000 }))
 */
export const frames: {
  (format: Format): <E, R>(audio: Stream.Stream<Uint8Array, E, R>) => Stream.Stream<Uint8Array, E, R>
  <E, R>(audio: Stream.Stream<Uint8Array, E, R>, format: Format): Stream.Stream<Uint8Array, E, R>
} = dual(2, <E, R>(audio: Stream.Stream<Uint8Array, E, R>, format: Format): Stream.Stream<Uint8Array, E, R> =>
  Stream.suspend(() => {
    const framer = makeFramer(format)
    return Stream.concat(
      Stream.flattenIterable(Stream.map(audio, (chunk) => framesOf((take) => framer.push(chunk, take)))),
      Stream.suspend(() => Stream.fromIterable(framesOf(framer.flush)))
    )
  })
)

const framesOf = (cut: (take: (frame: Uint8Array) => void) => void): Array<Uint8Array> => {
  const whole: Array<Uint8Array> = []
  cut((frame) => void whole.push(frame))
  return whole
}

/** Cuts bytes into frames of 80 ms. What it gives back is its own: the caller may reuse the chunk at once. */
export interface Framer {
  /** Adds a chunk; `take` gets each whole frame that it completes. */
  readonly push: (chunk: Uint8Array, take: (frame: Uint8Array) => void) => void
  /** `take` gets what is left, in whole samples, where there is any. */
  readonly flush: (take: (frame: Uint8Array) => void) => void
  /** Forgets what is left. */
  readonly clear: () => void
  /** Bytes waiting for their frame to fill. */
  readonly pending: () => number
}

/** A new {@link Framer}. `allocate` gives memory of so many bytes for a frame, of any content; default new memory. */
export const makeFramer = (format: Format, allocate: (bytes: number) => Uint8Array = (bytes) => new Uint8Array(bytes)): Framer => {
  const size = bytesOf(format, frameMillis)
  const sampleBytes = bytesPerSample(format.encoding)
  /** Had when its first byte comes. */
  let frame: Uint8Array | undefined
  let filled = 0
  return {
    push: (chunk, take) => {
      let at = 0
      while (at < chunk.length) {
        const fits = Math.min(size - filled, chunk.length - at)
        frame ??= allocate(size)
        frame.set(fits === chunk.length ? chunk : chunk.subarray(at, at + fits), filled)
        filled += fits
        at += fits
        if (filled === size) {
          const whole = frame
          frame = undefined
          filled = 0
          take(whole)
        }
      }
    },
    flush: (take) => {
      const whole = filled - (filled % sampleBytes)
      if (whole === 0 || frame === undefined) return
      const out = frame.slice(0, whole)
      frame.copyWithin(0, whole, filled)
      filled -= whole
      take(out)
    },
    clear: () => {
      filled = 0
    },
    pending: () => filled
  }
}

/**
 * Lets audio through at `speed` times real time, on the Clock: a chunk is let go when the audio before it has been
 * spoken. What a stalled source delivers late is caught up at twice real time, not in a burst, which overruns the
 * engine (protocol 6).
 */
export const paced: {
  (options: Format & { readonly speed?: number | undefined }): <E, R>(
    audio: Stream.Stream<Uint8Array, E, R>
  ) => Stream.Stream<Uint8Array, E, R>
  <E, R>(
    audio: Stream.Stream<Uint8Array, E, R>,
    options: Format & { readonly speed?: number | undefined }
  ): Stream.Stream<Uint8Array, E, R>
} = dual(
  2,
  <E, R>(
    audio: Stream.Stream<Uint8Array, E, R>,
    options: Format & { readonly speed?: number | undefined }
  ): Stream.Stream<Uint8Array, E, R> =>
    Stream.unwrap(
      Effect.gen(function*() {
        const clock = yield* Clock.Clock
        const speed = options.speed ?? 1
        const catchUp = Math.max(speed, 2)
        let due = monotonic.millis(clock)
        let earliest = due
        return Stream.mapEffect(audio, (chunk) =>
          Effect.suspend(() => {
            const now = monotonic.millis(clock)
            const at = Math.max(now, due, earliest)
            const length = millisOf(options, chunk.length)
            due += length / speed
            earliest = at + length / catchUp
            return at > now ? Effect.as(Effect.sleep(at - now), chunk) : Effect.succeed(chunk)
          }))
      })
    )
)
