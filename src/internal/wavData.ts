/**
 * The audio of a WAV file as it arrives: to the end that is declared, or to the end of the input where that is unknown or
 * wrong. What follows is looked at: tags are no audio, another file is more of it, and anything else is told.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Pull from "effect/Pull"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { ByteReader, Glance } from "./byteReader.ts"
import * as chunks from "./wavChunks.ts"
import * as wavFormat from "./wavFormat.ts"
import * as wavHeader from "./wavHeader.ts"

/** How to read on. */
export interface Options {
  /** How long to wait for what follows the audio that is declared. */
  readonly patience: Effect.Effect<void>
  readonly onWarning: (warning: string) => Effect.Effect<void>
  /** Where what comes later still is looked at, to tell of it. */
  readonly scope: Scope.Scope
}

/** Fewer bytes after the audio are not worth a word. They show padding, and whether a file or a chunk follows. */
const shown = 16
/** A chunk after the audio that is not known is worth a word from here on. */
const sizeable = 4096

type Step<E> = Pull.Pull<readonly [Uint8Array], E>

/** The audio behind a header that was read; to be run once. Samples are whole where one file ends and another begins. */
export const stream = <E>(
  input: ByteReader<E>,
  first: wavHeader.WavHeader,
  { onWarning, patience, scope }: Options
): Stream.Stream<Uint8Array, E> => {
  const { wav } = first
  const told = new Set<string>()
  /** Many files in a row have the same fault. */
  const warn = (warning: string): Effect.Effect<void> =>
    Effect.suspend(() => {
      const kind = warning.replaceAll(/\d+/g, "")
      if (told.has(kind)) return Effect.void
      told.add(kind)
      return onWarning(warning)
    })

  let header = first
  let total = 0
  /** Of the present data chunk: bytes that are left of those declared, and bytes read. */
  let left = 0
  let read = 0
  /** Audio that goes before what is left in the input. */
  let pending: Array<Uint8Array> = []
  /** Whether nobody knows how much audio there is, and none was seen yet. */
  let isUnseen = false
  let isOver = false

  const begin = (next: wavHeader.WavHeader): void => {
    header = next
    read = 0
    left = next.early === undefined ? next.dataBytes ?? Number.POSITIVE_INFINITY : 0
    isUnseen = next.dataBytes === undefined
    const unit = wav.frameBytes * (wav.widerBytes ?? 1)
    const cut = total % unit
    pending = [new Uint8Array(cut === 0 ? 0 : unit - cut), next.early ?? new Uint8Array(0)].filter(({ length }) => length > 0)
    total += pending.reduce((sum, { length }) => sum + length, 0)
  }
  const warnOfLength = Effect.suspend(() => {
    const { dataBytes } = header
    if (dataBytes === undefined || left === 0 || total === 0) return Effect.void
    if (wavHeader.isEndless(dataBytes)) {
      return warn(`the WAV header declares ${Math.round(dataBytes / 2 ** 30)} GiB of audio, as a pipe does: it was read to the end of the input`)
    }
    return warn(`the WAV file is shorter than its header declares (${read} of ${dataBytes} bytes of audio): it was read to its end`)
  })
  const end: Step<never> = Effect.suspend(() => {
    isOver = true
    return Effect.andThen(total === 0 ? onWarning("the WAV file holds no audio") : Effect.void, Cause.done())
  })

  const piece: Step<E> = Effect.gen(function*() {
    const arrived = (yield* input.peek).subarray(0, left)
    if (arrived.length === 0) {
      yield* warnOfLength
      return yield* end
    }
    let at = chunks.findMark(arrived)
    if (at === 0) {
      // what is declared is not waited beyond
      const reader = left < chunks.fileBytes ? input.within(patience) : input
      const bytes = yield* reader.ahead(chunks.fileBytes)
      if (chunks.isMark(bytes)) {
        yield* warnOfLength
        return yield* after(input.within(patience))
      }
      at = 1 + (chunks.findMark(bytes.subarray(1)) ?? bytes.length)
    }
    const given = (yield* input.peek).subarray(0, Math.min(left, at ?? arrived.length))
    yield* input.skip(given.length)
    read += given.length
    total += given.length
    left -= given.length
    return [given] as const
  })

  const next: Step<E> = Effect.suspend(() => {
    if (isOver) return Cause.done()
    const before = pending.shift()
    if (before !== undefined) return Effect.succeed([before] as const)
    if (left > 0 && isUnseen) {
      isUnseen = false
      return Effect.flatMap(input.ahead(shown), (bytes) =>
        isNoAudio(bytes.subarray(beginning(bytes, false))) ? after(input.within(patience)) : piece)
    }
    return left > 0 ? piece : after(input.within(patience))
  })

  /** Looks at what follows the audio, and goes on with it if that is more of it. */
  const after = (glance: Glance): Step<E> =>
    Effect.gen(function*() {
      let isOdd = read % 2 === 1
      let isAudio = true
      let format = wav
      while (true) {
        const bytes = yield* glance.ahead(shown)
        const at = beginning(bytes, isOdd)
        const rest = bytes.subarray(at)
        if (chunks.isFile(rest)) {
          yield* glance.skip(at)
          return yield* file(glance)
        }
        if (chunks.isTags(rest)) return yield* skipped(glance, yield* skipTo(glance, Number.POSITIVE_INFINITY))
        if (!isChunk(rest, glance.position() + at)) {
          if (bytes.length < shown) return yield* nothing(glance)
          if (!isAudio) {
            yield* warn("the WAV file goes on after its last chunk with what is no chunk: that is not read")
            return yield* skipped(glance, yield* skipTo(glance, Number.POSITIVE_INFINITY))
          }
          if (header.dataBytes !== undefined) yield* warn(`the size of the WAV file's data chunk is wrong: audio goes on after the ${read} bytes that it declares`)
          header = { ...header, dataBytes: undefined, end: undefined }
          left = Number.POSITIVE_INFINITY
          return yield* next
        }
        yield* glance.skip(at + chunks.headBytes)
        const { id, size } = chunks.head(rest)
        isAudio = false
        isOdd = size % 2 === 1
        if (id === "data" && size > 0) {
          if (!wavFormat.isSame(format, wav)) {
            yield* warn(`a second data chunk follows in the WAV file, which is ${wavFormat.describe(format)}: it is not read`)
            return yield* end
          }
          yield* warn("a second data chunk follows in the WAV file: its audio goes on")
          begin({ ...header, dataBytes: size, early: undefined })
          return yield* next
        }
        const body = yield* glance.take(id === "fmt " ? Math.min(size, wavFormat.fmtBytes) : 0)
        if (id === "fmt ") {
          const fields = yield* Effect.result(wavFormat.read(body))
          if (Result.isSuccess(fields)) format = fields.success.wav
        } else if (size >= sizeable && !chunks.isKnown(rest)) {
          yield* warn(`after its audio the WAV file has a chunk "${id}" of ${size} bytes, which is not known and not read`)
        }
        const until = yield* skipTo(glance, size - body.length)
        if (until !== "whole") return yield* skipped(glance, until)
      }
    })
  const skipped = (glance: Glance, until: "file" | "end" | "whole"): Step<E> => until === "file" ? file(glance) : nothing(glance)

  /** Whether a chunk begins with these bytes, which are at that position of the input. */
  const isChunk = (bytes: Uint8Array, position: number): boolean => {
    if (bytes.length < chunks.headBytes) return false
    if (chunks.isKnown(bytes)) return true
    return chunks.isPlausible(bytes) && header.end !== undefined && position + chunks.headBytes + chunks.head(bytes).size <= header.end
  }

  /** Another file, which begins with the next byte. */
  const file = (glance: Glance): Step<E> =>
    Effect.gen(function*() {
      const read = yield* Effect.result(wavHeader.read(glance, Effect.void))
      if (Result.isFailure(read)) {
        yield* warn(`another WAV file follows in the same input, which cannot be read: ${wavFormat.detailOf(read.failure)}`)
        return yield* end
      }
      const other = read.success
      if (!wavFormat.isSame(other.wav, wav)) {
        yield* warn(`another WAV file follows in the same input, which is ${wavFormat.describe(other.wav)}: it is not read`)
        return yield* end
      }
      yield* warn("another WAV file follows in the same input: its audio goes on")
      yield* Effect.forEach(other.oddities, warn, { discard: true })
      begin(other)
      return yield* next
    })

  /** The end, unless something comes that nobody waited for. */
  const nothing = (glance: Glance): Step<E> =>
    Effect.gen(function*() {
      if (glance.isOpen()) yield* Effect.forkIn(watch, scope)
      return yield* end
    })
  const watch = Effect.gen(function*() {
    const bytes = yield* input.ahead(shown)
    const rest = bytes.subarray(beginning(bytes, read % 2 === 1))
    if (bytes.length < shown || chunks.isKnown(rest) || chunks.isTags(rest)) return
    yield* warn(`${chunks.isFile(rest) ? "another WAV file" : "more"} came long after the audio that the WAV header declares: it is not read`)
  }).pipe(Effect.ignore)

  begin(first)
  return Stream.fromPull(Effect.succeed(next))
}

/**
 * Whether what a header without a size has behind it is no audio, as far as it is there or comes `soon`: a recording that
 * never began is all header and tags.
 */
export const isEmpty = <E>(input: ByteReader<E>, soon: Effect.Effect<void>): Effect.Effect<boolean> => {
  const glance = input.within(soon)
  return Effect.map(glance.ahead(chunks.headBytes), (bytes) =>
    bytes.length === 0 ? !glance.isOpen() : chunks.isKnown(bytes))
}

/** Passes over so many bytes, unless another file begins in them: a size that is too large must not swallow it. */
const skipTo = Effect.fnUntraced(function*(glance: Glance, count: number): Effect.fn.Return<"file" | "end" | "whole"> {
  let left = count
  while (left > 0) {
    const bytes = yield* glance.ahead(chunks.fileBytes)
    if (bytes.length === 0) return "end"
    if (chunks.isFile(bytes)) return "file"
    const passed = Math.min(left, 1 + (chunks.findFile(bytes.subarray(1)) ?? bytes.length - 1))
    yield* glance.skip(passed)
    left -= passed
  }
  return "whole"
})

const isNoAudio = (bytes: Uint8Array): boolean => chunks.isKnown(bytes) || chunks.isFile(bytes) || chunks.isTags(bytes)

/** Where what follows audio begins: after padding, which is none, one byte, or some zeros. */
const beginning = (bytes: Uint8Array, isOdd: boolean): number => {
  for (let at = 0; at < 4 && at < bytes.length; at++) {
    const rest = bytes.subarray(at)
    if (isNoAudio(rest)) return at
    if (bytes[at] !== 0 && !(isOdd && at === 0)) break
  }
  return isOdd ? chunks.afterOdd(bytes) : 0
}
