/** The head of a WAV file: what its audio is, and how much of it is declared. Sizes in it are not to be trusted. */
import * as Effect from "effect/Effect"
import type * as FluxError from "../FluxError.ts"
import type { ByteReader } from "./byteReader.ts"
import { latin1, looksLike } from "./fileMagic.ts"
import * as chunks from "./wavChunks.ts"
import * as wavFormat from "./wavFormat.ts"
import { unsupported } from "./wavFormat.ts"

/** The head of a WAV file, up to its audio. */
export interface WavHeader {
  readonly wav: wavFormat.WavFormat
  /** Bytes of audio as declared; undefined where the writer did not know (a pipe writes 0 or 0xFFFFFFFF). */
  readonly dataBytes: number | undefined
  /** Audio that came before the format; what follows it in the input is no audio then. */
  readonly early: Uint8Array | undefined
  /** Position in the input where the file ends as declared; undefined where the writer did not know. */
  readonly end: number | undefined
  /** What is odd in the header, for people. */
  readonly oddities: ReadonlyArray<string>
}

/** Near enough to 2 GiB, or more, to be what sox and arecord write when they do not know: nobody declares it in earnest. */
const endless = 0x7fff_f000
const unknownSize = 0xffffffff

/** Whether a size is what a pipe declares that does not know it. RF64 is for those that do. */
export const isEndless = (size: number): boolean => size >= endless && size <= unknownSize

/** More than any writer puts before its audio: 256 MiB. */
const mostBefore = 2 ** 28
/** Audio that is kept while its format has not come yet: 8 MiB. */
const mostEarly = 2 ** 23
/** How far the next chunk is looked for where the size of the last one is wrong: 64 KiB. */
const searched = 2 ** 16

/** How far the file is looked for behind what is none. */
const mostJunk = 4096

const cut = (): FluxError.FluxError => unsupported("the WAV file is cut off in its header")

/**
 * Reads up to the first byte of audio. Fails with `UnsupportedAudio`, which says what the input is instead. What is
 * asked of `soon` is there already, or is not needed.
 */
export const read = Effect.fnUntraced(function*<E>(
  input: ByteReader<E>,
  soon: Effect.Effect<void>
): Effect.fn.Return<WavHeader, FluxError.FluxError | E> {
  const oddities: Array<string> = []
  yield* findStart(input, soon, oddities)
  const from = input.position()
  const riff = yield* input.take(chunks.fileBytes)
  if (riff.length < chunks.fileBytes) return yield* cut()
  const riffBytes = chunks.head(riff).size
  const end = riffBytes === 0 || isEndless(riffBytes) ? undefined : from + chunks.headBytes + riffBytes

  let wav: wavFormat.WavFormat | undefined
  let fmt: Uint8Array | undefined
  let longBytes: number | undefined
  let needsDs64 = !latin1(riff).startsWith("RIFF")
  let early: Uint8Array | undefined
  let last = { id: "RIFF", isOdd: false }
  while (true) {
    yield* findChunk(input, last, end, oddities)
    const bytes = yield* input.take(chunks.headBytes)
    if (bytes.length === 0) {
      if (early !== undefined) return yield* unsupported("the WAV file has no fmt chunk before its data")
      return yield* unsupported(`the WAV file has no ${wav === undefined ? "fmt" : "data"} chunk`)
    }
    if (bytes.length < chunks.headBytes) return yield* cut()
    const { id, size } = chunks.head(bytes)
    if (id === "data") {
      const declared = size === 0 || size === unknownSize ? longBytes : size
      if (needsDs64 && declared === undefined) oddities.push("the WAV file has no ds64 chunk, which RF64 files need")
      if (wav !== undefined) return { wav, dataBytes: declared, early: undefined, end, oddities }
      early = declared === undefined || declared > mostEarly ? new Uint8Array(0) : yield* input.take(declared)
      if (early.length !== declared) return yield* unsupported("the WAV file has no fmt chunk before its data")
      oddities.push("the WAV file's data chunk comes before its fmt chunk")
      last = { id, isOdd: size % 2 === 1 }
      continue
    }
    if (id === "fmt ") {
      const body = yield* readFmt(input, size, oddities)
      last = { id, isOdd: body.length % 2 === 1 }
      if (fmt === undefined) {
        fmt = body
        const fields = yield* wavFormat.read(body)
        oddities.push(...fields.oddities)
        wav = fields.wav
      } else if (latin1(fmt) !== latin1(body)) {
        oddities.push("the WAV file has two fmt chunks that differ: the first is believed")
      }
      if (wav !== undefined && early !== undefined) return { wav, dataBytes: early.length, early, end, oddities }
      continue
    }
    const within = yield* findWithin(input, size, end)
    if (within !== undefined) {
      oddities.push(`the size of the WAV file's ${id.trim()} chunk is wrong: it declares ${size} bytes and has ${within}`)
      yield* input.skip(within)
      last = { id, isOdd: false }
      continue
    }
    if (size > mostBefore) return yield* unsupported(`the WAV file's ${id.trim()} chunk declares ${size} bytes`)
    const kept = yield* input.take(id === "ds64" ? Math.min(size, 28) : 0)
    if (id === "ds64") {
      needsDs64 = false
      longBytes = readDs64(kept, oddities)
    }
    const whole = yield* input.skip(size - kept.length)
    if (!whole) {
      if (wav === undefined && early === undefined) return yield* cut()
      return yield* unsupported(
        wav === undefined ? "the WAV file has no fmt chunk before its data" : "the WAV file ends before its data chunk"
      )
    }
    last = { id, isOdd: size % 2 === 1 }
  }
})

/** Passes over what stands before the file: tags, a byte-order mark, lines of a protocol. */
const findStart = Effect.fnUntraced(function*<E>(
  input: ByteReader<E>,
  soon: Effect.Effect<void>,
  oddities: Array<string>
): Effect.fn.Return<void, FluxError.FluxError | E> {
  const start = yield* input.ahead(chunks.fileBytes)
  if (start.length === 0) return yield* unsupported("the input is empty")
  if (chunks.isFile(start)) return
  if (start.length < chunks.fileBytes && /^(RIFF|RF64|BW64)/.test(latin1(start))) return yield* cut()
  const isTagged = /^ID3[^ -~]/.test(latin1(start.subarray(0, 4)))
  if (isTagged) {
    const [a = 0, b = 0, c = 0, d = 0] = start.subarray(6, 10)
    yield* input.skip(10 + (a << 21) + (b << 14) + (c << 7) + d)
  }
  const sample = (yield* input.within(soon).ahead(mostJunk)).subarray(0, mostJunk)
  const at = chunks.findFile(sample)
  if (at === undefined || !chunks.isFile(sample.subarray(at))) {
    const what = looksLike(sample)
    return yield* unsupported(`not a WAV file: ${isTagged && !/AAC|FLAC/.test(what) ? "it looks like MP3" : what}`)
  }
  const before = latin1(sample.subarray(0, at))
  if (/(^|\n)[0-9a-f]+(;[^\r\n]*)?\r\n$/i.test(before)) {
    return yield* unsupported("not a WAV file: it is one in HTTP's chunked coding, to be decoded first")
  }
  yield* input.skip(at)
  oddities.push(`the WAV file begins after ${isTagged ? "an ID3 tag" : `${at} other bytes`}, which ${isTagged ? "is" : "are"} passed over`)
})

/** Goes to where the next chunk begins, be the last one padded or not, or of another size than it declares. */
const findChunk = Effect.fnUntraced(function*<E>(
  input: ByteReader<E>,
  last: { readonly id: string; readonly isOdd: boolean },
  end: number | undefined,
  oddities: Array<string>
): Effect.fn.Return<void, FluxError.FluxError | E> {
  if (last.isOdd) yield* input.skip(chunks.afterOdd(yield* input.ahead(chunks.afterOddBytes)))
  const bytes = yield* input.ahead(chunks.headBytes)
  if (bytes.length < chunks.headBytes || chunks.isKnown(bytes)) return
  const most = end === undefined ? mostBefore : end - input.position() - chunks.headBytes
  if (chunks.isPlausible(bytes) && chunks.head(bytes).size <= most) return
  const at = yield* lookForKnown(input, searched, 1)
  if (at === undefined) return yield* unsupported(`the size of the WAV file's ${last.id.trim()} chunk is wrong: no chunk follows it`)
  oddities.push(`the size of the WAV file's ${last.id.trim()} chunk is wrong: the next chunk begins ${at} bytes later`)
  yield* input.skip(at)
})

/** Where another chunk begins before the end that this one declares; undefined where its size is right. */
const findWithin = Effect.fnUntraced(function*<E>(
  input: ByteReader<E>,
  size: number,
  end: number | undefined
): Effect.fn.Return<number | undefined, E> {
  const isPast = end !== undefined && input.position() + size > end
  if (!isPast && size > searched) return undefined
  const next = yield* input.ahead(Math.min(size, searched) + (size % 2) + 4)
  if (!isPast && size <= searched) {
    const following = next.subarray(size)
    // what ends here ends right, unless it is something else that has another chunk within
    if (following.length < 4 || chunks.isKnown(following) || chunks.isKnown(following.subarray(size % 2))) return undefined
  }
  const at = yield* lookForKnown(input, Math.min(size, searched), 0)
  return at !== undefined && at < size ? at : undefined
})

/** How far it is to the next chunk whose name is known. It is not far, as a rule, and no more is waited for than that. */
const lookForKnown = Effect.fnUntraced(function*<E>(
  input: ByteReader<E>,
  most: number,
  from: number
): Effect.fn.Return<number | undefined, E> {
  for (const window of [16, 128, 4096, searched]) {
    const bytes = yield* input.ahead(Math.min(window, most))
    const at = chunks.findKnown(bytes.subarray(0, Math.min(window, most)), from)
    if (at !== undefined) return at
  }
  return undefined
})

/** The body of the fmt chunk, up to what is read of it, however long it says to be. */
const readFmt = Effect.fnUntraced(function*<E>(
  input: ByteReader<E>,
  size: number,
  oddities: Array<string>
): Effect.fn.Return<Uint8Array, FluxError.FluxError | E> {
  const longest = Math.max(size < 16 ? 16 : 0, Math.min(size, wavFormat.fmtBytes))
  // a chunk follows, so that its name is waited for in vain by nobody
  const bytes = yield* input.ahead(longest + 4)
  const next = chunks.findKnown(bytes.subarray(0, longest + 4), 16)
  if (next !== undefined && next < size + (size % 2) || (next === 16 && size < 16)) {
    oddities.push(`the WAV file's fmt chunk declares ${size} bytes and has ${next}`)
    return yield* input.take(next ?? size)
  }
  if (size > mostBefore) return yield* unsupported(`the WAV file's fmt chunk declares ${size} bytes`)
  const body = yield* input.take(Math.min(size, wavFormat.fmtBytes))
  if (body.length < Math.min(size, wavFormat.fmtBytes)) return yield* cut()
  yield* input.skip(size - body.length)
  return body
})

/** The size of the data in an RF64 file, which a writer fills in at its end, if it gets there. */
const readDs64 = (body: Uint8Array, oddities: Array<string>): number | undefined => {
  if (body.length < 16) {
    oddities.push(`the WAV file's ds64 chunk has ${body.length} bytes, it needs 28`)
    return undefined
  }
  const size = new DataView(body.buffer, body.byteOffset, body.byteLength).getBigUint64(8, true)
  if (size === 0n) oddities.push("the WAV file's ds64 chunk was never filled in: it declares 0 bytes of audio")
  else if (size >= 2n ** 53n) oddities.push(`the WAV file's ds64 chunk declares ${size} bytes of audio`)
  return size === 0n || size >= 2n ** 53n ? undefined : Number(size)
}
