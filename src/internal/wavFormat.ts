/** What the fmt chunk of a WAV file says of its audio, and where it contradicts itself. */
import * as Effect from "effect/Effect"
import type { Encoding } from "../Audio.ts"
import * as FluxError from "../FluxError.ts"
import { latin1 } from "./fileMagic.ts"
import { nameOf } from "./wavCodecs.ts"

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
  /** Bytes of one sample of one channel as the block align has it, where that is more: the audio shows which is true. */
  readonly widerBytes?: number | undefined
}

/** A format, and what is odd in the fields that it was read from, for people. */
export interface Fields {
  readonly wav: WavFormat
  readonly oddities: ReadonlyArray<string>
}

/** For people: `stereo 24-bit PCM at 96000 Hz`. */
export const describe = ({ channels, codec, sampleBytes, sampleRate }: WavFormat): string => {
  const layout = channels === 1 ? "mono" : channels === 2 ? "stereo" : `${channels}-channel`
  const bits = `${sampleBytes * 8}-bit `
  const coding = { pcm: `${bits}PCM`, float: `${bits}float`, mulaw: "mu-law", alaw: "A-law", "ima-adpcm": "IMA ADPCM" }
  return `${layout} ${coding[codec]} at ${sampleRate} Hz`
}

/** The encoding that Flux would call it, at whatever rate; undefined where it takes no such audio. */
export const encodingOf = ({ channels, codec, sampleBytes, widerBytes }: WavFormat): Encoding | undefined => {
  if (channels !== 1 || widerBytes !== undefined) return undefined
  if (codec === "mulaw" || codec === "alaw") return codec
  return codec === "pcm" && sampleBytes === 2 ? "linear16" : undefined
}

/** Whether audio of the one goes on as audio of the other. */
export const isSame = (a: WavFormat, b: WavFormat): boolean =>
  describe(a) === describe(b) && a.frameBytes === b.frameBytes && a.widerBytes === b.widerBytes

/** How long so many bytes of audio are. */
export const secondsOf = (wav: WavFormat, bytes: number): number => {
  const frames = bytes / wav.frameBytes
  return (wav.codec === "ima-adpcm" ? frames * ((wav.frameBytes - 4) * 2 + 1) : frames) / wav.sampleRate
}

/** `UnsupportedAudio`, before any connection. */
export const unsupported = (detail: string): FluxError.FluxError =>
  FluxError.make(new FluxError.UnsupportedAudio({ detail }), "settings")

/** What an error of {@link unsupported} says. */
export const detailOf = (error: FluxError.FluxError): string =>
  error.reason._tag === "UnsupportedAudio" ? error.reason.detail : error.message

/** Bytes of a fmt chunk that are read; a codec's own fields may follow. */
export const fmtBytes = 40

/**
 * Reads a fmt chunk's body. Channels, sample rate and bits are believed, as players do; what they contradict is told.
 * Fails with `UnsupportedAudio` where no audio can be read by it.
 */
export const read = Effect.fnUntraced(function*(fmt: Uint8Array): Effect.fn.Return<Fields, FluxError.FluxError> {
  if (fmt.length < 16) return yield* unsupported(`the WAV file's fmt chunk has ${fmt.length} bytes, it needs 16`)
  const fields = new DataView(fmt.buffer, fmt.byteOffset, fmt.byteLength)
  const channels = fields.getUint16(2, true)
  const sampleRate = fields.getUint32(4, true)
  const byteRate = fields.getUint32(8, true)
  const blockAlign = fields.getUint16(12, true)
  const bits = fields.getUint16(14, true)
  const { oddities, tag } = readTag(fmt, fields, bits)

  if (channels === 0 || channels > maxChannels) return yield* unsupported(`the WAV file declares ${channels} channels`)
  if (sampleRate < 1000 || sampleRate > 1_000_000) {
    return yield* unsupported(`the WAV file declares a sample rate of ${sampleRate} Hz`)
  }
  const codec = codecs[tag]
  if (codec === undefined || (codec === "ima-adpcm" && (channels > 1 || blockAlign < 5))) {
    const name = codec === undefined ? nameOf(tag) : "IMA ADPCM of several channels"
    return yield* unsupported(`the WAV file's codec is ${name === undefined ? hex(tag) : `${name} (${hex(tag)})`}`)
  }
  if (codec === "ima-adpcm") {
    const wav = { codec, channels, sampleRate, sampleBytes: 0, frameBytes: blockAlign }
    const expected = (sampleRate * blockAlign) / ((blockAlign - 4) * 2 + 1)
    if (bits !== 4) oddities.push(`the WAV header declares ${bits} bits a sample, and IMA ADPCM has 4: it is read as 4`)
    // writers round it in their own ways; ffmpeg counts a byte a sample
    const isOdd = Math.abs(byteRate / expected - 1) > 0.1 && byteRate !== sampleRate
    return { wav, oddities: isOdd ? [...oddities, contradiction(wav, bits, [["byte rate", byteRate, Math.round(expected)]])] : oddities }
  }
  const isLaw = codec === "mulaw" || codec === "alaw"
  if (isLaw && bits !== 8) oddities.push(`the WAV header declares ${bits} bits a sample, and mu-law and A-law have 8: it is read as 8`)
  const least = isLaw ? 1 : Math.ceil(bits / 8)
  const stored = blockAlign / channels
  const isWider = !isLaw && Number.isInteger(stored) && stored > least && stored <= 4
  // 12 or 20 bits are stored in the high bits of 16, 24 or 32, and only the block align tells of which
  const sampleBytes = isWider && bits % 8 !== 0 ? stored : least
  if (sampleBytes > least) oddities.push(`the WAV header declares ${bits} bits a sample and a block align of ${blockAlign}: a sample is read as ${stored * 8} bits`)
  if (!storable[codec].includes(sampleBytes)) {
    return yield* unsupported(`the WAV file declares ${bits} bits a sample, which its codec does not have`)
  }
  const wav: WavFormat = { codec, channels, sampleRate, sampleBytes, frameBytes: sampleBytes * channels }
  if (codec === "pcm" && isWider && sampleBytes > 1 && sampleBytes < stored) return { wav: { ...wav, widerBytes: stored }, oddities }
  const wrong = ([
    ["block align", blockAlign, wav.frameBytes],
    ["byte rate", byteRate, (sampleRate * wav.frameBytes) % 2 ** 32]
  ] as const).filter(([, declared, right]) => declared !== right)
  return { wav, oddities: wrong.length === 0 ? oddities : [...oddities, contradiction(wav, bits, wrong)] }
})

const contradiction = (
  { channels, sampleRate }: WavFormat,
  bits: number,
  wrong: ReadonlyArray<readonly [field: string, declared: number, right: number]>
): string =>
  `the WAV header contradicts itself: ${wrong.map(([field, declared, right]) => `its ${field} is ${declared} in place of ${right}`).join(", and ")}; ` +
  `channels (${channels}), sample rate (${sampleRate}) and bits (${bits}) are believed`

/** The codec's tag, wherever it stands. */
const readTag = (fmt: Uint8Array, fields: DataView, bits: number): { tag: number; oddities: Array<string> } => {
  const tag = fields.getUint16(0, true)
  const guid = fmt.subarray(24, 40)
  const inGuid = guidTails.has(latin1(guid.subarray(2))) ? fields.getUint16(24, true) : undefined
  if (tag !== extensible) {
    const isOdd = inGuid !== undefined && inGuid !== tag
    return { tag, oddities: isOdd ? [`the WAV header's codec is ${hex(tag)}, and ${hex(inGuid)} in its GUID: the first is believed`] : [] }
  }
  if (guid.length === 16 && guid.some((byte) => byte !== 0)) return { tag: inGuid ?? tag, oddities: [] }
  const [read, name] = bits === 64 ? [3, "float"] as const : [1, "PCM"] as const
  return {
    tag: read,
    oddities: [`the WAV header's codec is WAVE_FORMAT_EXTENSIBLE (0xfffe) without the GUID that says which: it is read as ${name}`]
  }
}

const hex = (tag: number): string => `0x${tag.toString(16).padStart(4, "0")}`

const maxChannels = 256

const extensible = 0xfffe
/** What follows the codec's tag in the GUID of WAVE_FORMAT_EXTENSIBLE, of Microsoft and of Ambisonics. */
const guidTails: ReadonlySet<string> = new Set([
  "\x00\x00\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71",
  "\x00\x00\x21\x07\xd3\x11\x86\x44\xc8\xc1\xca\x00\x00\x00"
])

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
