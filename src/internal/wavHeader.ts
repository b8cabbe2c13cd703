/** The head of a WAV file: what its audio is, and how much of it is declared. Sizes in it are not to be trusted. */
import * as Effect from "effect/Effect"
import type { Encoding } from "../Audio.ts"
import * as FluxError from "../FluxError.ts"
import type { ByteReader } from "./byteReader.ts"

/** How the samples of a WAV file are coded. */
export interface WavFormat {
  readonly codec: "pcm" | "float" | "mulaw" | "alaw" | "ima-adpcm"
  readonly channels: number
  /** In Hz. */
  readonly sampleRate: number
  /** Bytes of one sample of one channel, as stored; 0 for ima-adpcm. */
  readonly sampleBytes: number
  /** Bytes of one sample of every channel; of one block for ima-adpcm. */
  readonly frameBytes: number
}

/** The head of a WAV file, up to its audio. */
export interface WavHeader {
  readonly wav: WavFormat
  /** Bytes of audio as declared; undefined where the writer did not know (a pipe writes 0 or 0xFFFFFFFF). */
  readonly dataBytes: number | undefined
}

/** For people: `stereo 24-bit PCM at 96000 Hz`. */
export const describe = ({ channels, codec, sampleBytes, sampleRate }: WavFormat): string => {
  const layout = channels === 1 ? "mono" : channels === 2 ? "stereo" : `${channels}-channel`
  const bits = `${sampleBytes * 8}-bit `
  const coding = { pcm: `${bits}PCM`, float: `${bits}float`, mulaw: "mu-law", alaw: "A-law", "ima-adpcm": "IMA ADPCM" }
  return `${layout} ${coding[codec]} at ${sampleRate} Hz`
}

/** The encoding that Flux would call it, at whatever rate; undefined where it takes no such audio. */
export const encodingOf = ({ channels, codec, sampleBytes }: WavFormat): Encoding | undefined => {
  if (channels !== 1) return undefined
  if (codec === "mulaw" || codec === "alaw") return codec
  return codec === "pcm" && sampleBytes === 2 ? "linear16" : undefined
}

/** Length of the audio as declared, where the header says. */
export const secondsOf = ({ dataBytes, wav }: WavHeader): number | undefined => {
  if (dataBytes === undefined) return undefined
  const frames = dataBytes / wav.frameBytes
  return (wav.codec === "ima-adpcm" ? frames * ((wav.frameBytes - 4) * 2 + 1) : frames) / wav.sampleRate
}

/** `UnsupportedAudio`, before any connection. */
export const unsupported = (detail: string): FluxError.FluxError =>
  FluxError.make(new FluxError.UnsupportedAudio({ detail }), "settings")

const unknownSize = 0xffffffff
const cut = (): FluxError.FluxError => unsupported("the WAV file is cut off in its header")

/** Reads up to the first byte of audio. Fails with `UnsupportedAudio`, which says what the input is instead. */
export const read = Effect.fnUntraced(function*<E>(
  input: ByteReader<E>
): Effect.fn.Return<WavHeader, FluxError.FluxError | E> {
  const start = yield* input.peek
  if (start.length === 0) return yield* unsupported("the input is empty")
  const riff = yield* input.take(12)
  const container = ascii(riff, 0)
  if (!/^(RIFF|RF64|BW64)/.test(container) || (riff.length === 12 && ascii(riff, 8) !== "WAVE")) {
    return yield* unsupported(`not a WAV file: ${looksLike(riff, start)}`)
  }
  if (riff.length < 12) return yield* cut()

  let wav: WavFormat | undefined
  let longDataBytes: number | undefined
  while (true) {
    const head = yield* input.take(8)
    if (head.length === 0) {
      return yield* unsupported(`the WAV file has no ${wav === undefined ? "fmt" : "data"} chunk`)
    }
    if (head.length < 8) return yield* cut()
    const id = ascii(head, 0)
    const size = view(head).getUint32(4, true)
    if (id === "data") {
      if (wav === undefined) return yield* unsupported("the WAV file has no fmt chunk before its data")
      return { wav, dataBytes: size === 0 ? undefined : size === unknownSize ? longDataBytes : size }
    }
    const kept = yield* input.take(id === "fmt " || id === "ds64" ? Math.min(size, 40) : 0)
    // chunks are padded to an even length
    const whole = yield* input.skip(size + (size % 2) - kept.length)
    if (id === "fmt ") {
      if (kept.length < Math.min(size, 40)) return yield* cut()
      wav = yield* readFormat(kept)
    } else if (id === "ds64" && kept.length >= 16) {
      longDataBytes = Number(view(kept).getBigUint64(8, true))
    }
    if (!whole) return yield* wav === undefined ? cut() : unsupported("the WAV file ends before its data chunk")
  }
})

const readFormat = Effect.fnUntraced(function*(fmt: Uint8Array): Effect.fn.Return<WavFormat, FluxError.FluxError> {
  if (fmt.length < 16) return yield* unsupported(`the WAV file's fmt chunk has ${fmt.length} bytes, it needs 16`)
  const fields = view(fmt)
  let tag = fields.getUint16(0, true)
  const channels = fields.getUint16(2, true)
  const sampleRate = fields.getUint32(4, true)
  const blockAlign = fields.getUint16(12, true)
  const bits = fields.getUint16(14, true)
  if (tag === extensible && fmt.length >= 40 && ascii(fmt, 26, 14) === extensibleGuid) tag = fields.getUint16(24, true)

  if (channels === 0) return yield* unsupported("the WAV file declares 0 channels")
  if (sampleRate < 1000 || sampleRate > 1_000_000) {
    return yield* unsupported(`the WAV file declares a sample rate of ${sampleRate} Hz`)
  }
  const codec = codecs[tag]
  if (codec === undefined || (codec === "ima-adpcm" && (channels > 1 || blockAlign < 5))) {
    const name = codec === undefined ? otherCodecs[tag] : "IMA ADPCM of several channels"
    const code = `0x${tag.toString(16).padStart(4, "0")}`
    return yield* unsupported(`the WAV file's codec is ${name === undefined ? code : `${name} (${code})`}`)
  }
  if (codec === "ima-adpcm") return { codec, channels, sampleRate, sampleBytes: 0, frameBytes: blockAlign }
  // 12 or 20 bits are stored in the high bits of 16 or 24; some store 24 in 32, which only blockAlign shows
  const least = Math.ceil(bits / 8)
  const stored = blockAlign / channels
  const sampleBytes = Number.isInteger(stored) && stored > least && stored <= 4 ? stored : least
  if (!storable[codec].includes(sampleBytes)) {
    return yield* unsupported(`the WAV file declares ${bits} bits a sample, which its codec does not have`)
  }
  return { codec, channels, sampleRate, sampleBytes, frameBytes: sampleBytes * channels }
})

const extensible = 0xfffe
/** What follows the codec's tag in the GUID of WAVE_FORMAT_EXTENSIBLE. */
const extensibleGuid = "\x00\x00\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71"

const codecs: Readonly<Record<number, WavFormat["codec"]>> = {
  1: "pcm",
  3: "float",
  6: "alaw",
  7: "mulaw",
  0x11: "ima-adpcm"
}

const storable = {
  pcm: [1, 2, 3, 4],
  float: [4, 8],
  mulaw: [1],
  alaw: [1]
}

const otherCodecs: Readonly<Record<number, string>> = {
  0x02: "Microsoft ADPCM",
  0x31: "GSM 6.10",
  0x50: "MPEG audio",
  0x55: "MP3",
  0xff: "AAC",
  0x161: "Windows Media Audio"
}

const magics: ReadonlyArray<readonly [pattern: RegExp, what: string]> = [
  [/^ID3|^\xff[\xe2-\xe7\xf2-\xf7\xfa-\xfb]/, "it looks like MP3"],
  [/^\xff[\xf0\xf1\xf8\xf9]/, "it looks like AAC"],
  [/^OggS/, "it looks like Ogg"],
  [/^fLaC/, "it looks like FLAC"],
  [/^....ftyp/s, "it looks like MP4"],
  [/^.E\xdf\xa3/, "it looks like WebM or Matroska"],
  [/^FORM....AIF[FC]/s, "it looks like AIFF"],
  [/^\.snd/, "it looks like AU"],
  [/^RIFX/, "it is big-endian (RIFX)"],
  [/^RIFF/, "it is another kind of RIFF file"]
]

const looksLike = (head: Uint8Array, start: Uint8Array): string => {
  const text = ascii(head, 0, head.length)
  const magic = magics.find(([pattern]) => pattern.test(text))
  if (magic !== undefined) return magic[1]
  const sample = start.subarray(0, 512)
  const readable = new TextDecoder().decode(sample, { stream: true })
  // oxlint-disable-next-line no-control-regex
  if (!/[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f\ufffd]/.test(readable)) return "it looks like text"
  return "no format is recognised in its first bytes"
}

const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)

const ascii = (bytes: Uint8Array, from: number, length = 4): string =>
  String.fromCharCode(...bytes.subarray(from, from + length))
