import { assert, describe, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Audio from "../src/Audio.ts"
import * as AudioFile from "../src/AudioFile.ts"
import { chunk, detailOf, floats, join8, le, pcm16, pieces, read, samplesOf, sine, subformat, text, wav } from "./support/wav.ts"

/** Largest distance to a sine, away from both ends, where a filter has nothing to look at. */
const worst = (samples: ReadonlyArray<number>, expected: ReadonlyArray<number>, edge = 0): number =>
  Math.max(...samples.slice(edge, samples.length - edge).map((sample, index) =>
    Math.abs(sample - (expected[index + edge] ?? 0))
  ))

const fixture = (name: string): Uint8Array => readFileSync(new URL(`fixtures/audio/${name}`, import.meta.url))

const inDirectory = <A, E, R>(use: (directory: string) => Effect.Effect<A, E, R>) =>
  Effect.flatMap(
    Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "flux-"))),
      (directory) => Effect.sync(() => rmSync(directory, { recursive: true }))
    ),
    use
  )

const ramp = pcm16(Array.from({ length: 3000 }, (_, index) => index * 20 - 30_000))

describe("AudioFile", () => {
  describe("audio that Flux takes is passed on as it is", () => {
    for (const sampleRate of Audio.sampleRates) {
      it.effect(`16-bit mono at ${sampleRate} Hz`, () =>
        Effect.gen(function*() {
          const file = yield* read(wav(ramp, { sampleRate }))
          assert.deepStrictEqual(file.format, { encoding: "linear16", sampleRate })
          assert.isFalse(file.converted)
          assert.strictEqual(file.seconds, 3000 / sampleRate)
          assert.deepStrictEqual(file.bytes, ramp)
          assert.deepStrictEqual([...file.early, ...file.late], [])
        }))
    }

    for (const [encoding, tag] of [["alaw", 6], ["mulaw", 7]] as const) {
      it.effect(encoding, () =>
        Effect.gen(function*() {
          const file = yield* read(wav(ramp, { tag, bits: 8, sampleRate: 8000 }))
          assert.deepStrictEqual(file.format, { encoding, sampleRate: 8000 })
          assert.deepStrictEqual(file.bytes, ramp)
          const sox = fixture(`${encoding}-8k-mono.wav`)
          const real = yield* read(sox)
          assert.deepStrictEqual(real.format, { encoding, sampleRate: 8000 })
          assert.deepStrictEqual(real.bytes, new Uint8Array(sox.subarray(sox.length - 2000)))
        }))
    }

    it.effect.prop(
      "however the bytes arrive",
      { sizes: Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 700 }))).check(Schema.isMinLength(1)) },
      ({ sizes }) =>
        Effect.gen(function*() {
          const bytes = wav(ramp, { before: [chunk("JUNK", new Uint8Array(33))], after: [chunk("LIST", text("INFO"))] })
          const file = yield* read(bytes, { sizes })
          assert.deepStrictEqual(file.bytes, ramp)
        }),
      { arbitrary: { runs: 30, seed: "audio" } }
    )

    it.effect("when a WAVE_FORMAT_EXTENSIBLE header says so", () =>
      Effect.gen(function*() {
        const file = yield* read(wav(ramp, { tag: 0xfffe, fmtTail: subformat(1) }))
        assert.deepStrictEqual(file.format, { encoding: "linear16", sampleRate: 16_000 })
        assert.deepStrictEqual(file.bytes, ramp)
      }))

    it.effect("from a live pipe: a header is enough to open, and each chunk comes out as it goes in", () =>
      Effect.gen(function*() {
        const input = yield* Queue.unbounded<Uint8Array>()
        const bytes = wav(ramp)
        yield* Queue.offer(input, bytes.subarray(0, 44))
        const file = yield* AudioFile.openWav(Stream.fromQueue(input))
        const out = yield* Queue.unbounded<Uint8Array>()
        yield* Effect.forkScoped(Stream.runForEach(file.audio, (piece) => Queue.offer(out, piece)))
        for (const [from, to] of [[44, 45], [45, 1000], [1000, 2000]] as const) {
          yield* Queue.offer(input, bytes.subarray(from, to))
          assert.deepStrictEqual(yield* Queue.take(out), bytes.subarray(from, to))
        }
      }))
  })

  describe("chunks", () => {
    it.effect("before the audio are passed over, odd ones with their padding", () =>
      Effect.gen(function*() {
        const before = [chunk("LIST", text("INFOodd")), chunk("bext", new Uint8Array(602).fill(7)), chunk("JUNK", new Uint8Array(1))]
        assert.deepStrictEqual((yield* read(wav(ramp, { before }))).bytes, ramp)
      }))

    it.effect("after the audio are no audio, and nothing waits for them", () =>
      Effect.gen(function*() {
        const odd = ramp.subarray(1)
        const bytes = wav(odd, { tag: 7, bits: 8, sampleRate: 8000, after: [chunk("LIST", text("INFOISFT"))] })
        assert.deepStrictEqual((yield* read(bytes)).bytes, odd)
        const open = yield* read(Stream.concat(Stream.make(bytes), Stream.never))
        assert.deepStrictEqual(open.bytes, odd)
        const exact = yield* read(Stream.concat(Stream.make(wav(ramp)), Stream.never))
        assert.deepStrictEqual(exact.bytes, ramp)
      }))

    it.effect("of RF64 give the size in ds64", () =>
      Effect.gen(function*() {
        const sizes = (low: number, high: number) => chunk("ds64", join8(le(0, 8), le(low, 4), le(high, 4), le(0, 12)))
        const after = [chunk("LIST", text("INFOISFT"))]
        const file = yield* read(
          wav(ramp, { container: "RF64", declared: 0xffffffff, before: [sizes(6000, 0)], after })
        )
        assert.deepStrictEqual(file.bytes, ramp)
        assert.deepStrictEqual([...file.early, ...file.late], [])
        const long = yield* read(wav(ramp, { container: "RF64", declared: 0xffffffff, before: [sizes(0, 1)] }))
        assert.strictEqual(long.seconds, 2 ** 32 / 32_000)
      }))
  })

  describe("sizes that lie", () => {
    const unknown = ["the WAV header does not say how long its audio is: it is read to the end of the input"]
    for (const declared of [0, 0xffffffff]) {
      it.effect(`${declared}: read to the end of the input, with a warning at once`, () =>
        Effect.gen(function*() {
          const file = yield* read(wav(ramp, { declared }))
          assert.deepStrictEqual(file.bytes, ramp)
          assert.isUndefined(file.seconds)
          assert.deepStrictEqual(file.early, unknown)
          assert.deepStrictEqual(file.late, [])
        }))
    }

    it.effect("shorter than declared: read to the end, with a warning there", () =>
      Effect.gen(function*() {
        const file = yield* read(wav(ramp, { declared: 7000 }))
        assert.deepStrictEqual(file.bytes, ramp)
        assert.strictEqual(file.seconds, 7000 / 32_000)
        assert.deepStrictEqual(file.early, [])
        assert.deepStrictEqual(file.late, [
          "the WAV file is shorter than its header declares (6000 of 7000 bytes of audio): it was read to its end"
        ])
      }))

    it.effect("2 GiB, as sox writes into a pipe", () =>
      Effect.gen(function*() {
        const sox = fixture("piped-8k-mono.wav")
        const file = yield* read(sox)
        assert.deepStrictEqual(file.bytes, new Uint8Array(sox.subarray(44)))
        assert.deepStrictEqual(file.early, [])
        assert.deepStrictEqual(file.late, [
          "the WAV header declares 2 GiB of audio, as a pipe does: it was read to the end of the input"
        ])
      }))

    it.effect("no audio at all", () =>
      Effect.gen(function*() {
        for (const declared of [0, 10]) {
          const file = yield* read(wav(new Uint8Array(0), { declared }))
          assert.strictEqual(file.bytes.length, 0)
          assert.deepStrictEqual(file.late, ["the WAV file holds no audio"])
        }
      }))
  })

  describe("anything else is converted to linear16 mono", () => {
    const cases: ReadonlyArray<readonly [name: string, bytes: Uint8Array, expected: ReadonlyArray<number>]> = [
      ["8-bit", wav(Uint8Array.of(0, 64, 128, 192, 255), { bits: 8 }), [-32_768, -16_384, 0, 16_384, 32_512]],
      [
        "24-bit",
        wav(Uint8Array.of(0, 0, 0x80, 0, 0, 0xc0, 0x7f, 0, 0, 0xff, 0xff, 0x7f), { bits: 24 }),
        [-32_768, -16_384, 0, 32_767]
      ],
      ["24-bit in 32", wav(Uint8Array.of(0, 0, 0, 0x80, 0, 0, 0, 0x20), { bits: 24, blockAlign: 4 }), [-32_768, 8192]],
      ["32-bit", wav(Uint8Array.of(0, 0, 0, 0x80, 0, 0, 0, 0x40), { bits: 32 }), [-32_768, 16_384]],
      [
        "32-bit float, clipped, and without its NaN",
        wav(floats([0.5, -1, 1, 3, -3, Number.NaN, Number.POSITIVE_INFINITY, 1e-11], 4), { tag: 3, bits: 32 }),
        [16_384, -32_768, 32_767, 32_767, -32_768, 0, 32_767, 0]
      ],
      ["64-bit float", wav(floats([0.25, -0.75], 8), { tag: 3, bits: 64 }), [8192, -24_576]],
      [
        "extensible float",
        wav(floats([0.25, -0.75], 4), { tag: 0xfffe, bits: 32, fmtTail: subformat(3) }),
        [8192, -24_576]
      ],
      [
        "stereo, averaged so that it cannot clip",
        wav(pcm16([32_767, 32_767, -32_768, -32_768, 1000, -1000, 20_000, 0]), { channels: 2 }),
        [32_767, -32_768, 0, 10_000]
      ],
      ["six channels", wav(pcm16([600, 600, 0, 0, 0, 0, 1, 2, 3, 4, 5, 21]), { channels: 6 }), [200, 6]]
    ]
    for (const [name, bytes, expected] of cases) {
      it.effect(name, () =>
        Effect.gen(function*() {
          // one byte at a time, so that samples arrive in pieces
          const file = yield* read(bytes, { sizes: [1] })
          assert.deepStrictEqual(file.samples, expected)
          assert.deepStrictEqual(file.format, { encoding: "linear16", sampleRate: 16_000 })
          assert.isTrue(file.converted)
        }))
    }

    for (
      const [name, source, tolerance] of [
        ["mulaw-8k-stereo.wav", "stereo mu-law at 8000 Hz", 520],
        ["pcm24-16k-mono.wav", "mono 24-bit PCM at 16000 Hz", 1],
        ["float-48k-stereo.wav", "stereo 32-bit float at 48000 Hz", 1],
        ["ima-adpcm-8k-mono.wav", "mono IMA ADPCM at 8000 Hz", 1100]
      ] as const
    ) {
      it.effect(`${name} of sox`, () =>
        Effect.gen(function*() {
          const file = yield* read(fixture(name), { sizes: [37, 1000] })
          assert.strictEqual(file.source, source)
          const { sampleRate } = file.format
          const count = Math.round((file.seconds ?? 0) * sampleRate)
          assert.strictEqual(file.samples.length, count)
          // the last block of ADPCM is padded by sox
          const heard = name.startsWith("ima") ? file.samples.slice(0, 4000) : file.samples
          assert.isBelow(worst(heard, sine(count, sampleRate, 440, 32_768 * 10 ** (-6 / 20))), tolerance)
        }))
    }
  })

  describe("rates that Flux does not take are resampled", () => {
    for (
      const [from, to, options] of [
        [96_000, 16_000, {}],
        [22_050, 16_000, {}],
        [22_050, 24_000, { sampleRate: 24_000 }],
        [11_025, 16_000, {}],
        [12_000, 8000, { sampleRate: 8000 }],
        [32_000, 16_000, {}],
        [192_000, 48_000, { sampleRate: 48_000 }],
        [44_056, 16_000, {}]
      ] as const
    ) {
      it.effect(`${from} Hz to ${to} Hz: pitch, length and level stay, and no seam shows`, () =>
        Effect.gen(function*() {
          const count = Math.round(from * 1.3)
          const file = yield* read(wav(pcm16(sine(count, from, 1000, 12_000).map(Math.round)), { sampleRate: from }), options)
          assert.deepStrictEqual(file.format, { encoding: "linear16", sampleRate: to })
          assert.strictEqual(file.samples.length, Math.round((count * to) / from))
          // -60 dB of the tone
          assert.isBelow(worst(file.samples, sine(file.samples.length, to, 1000, 12_000), to / 50), 12)
        }))
    }

    it.effect("a file's own rate stays where Flux takes it", () =>
      Effect.gen(function*() {
        const file = yield* read(wav(pcm16([100, 300, 5, 7]), { channels: 2, sampleRate: 44_100 }), { sampleRate: 8000 })
        assert.strictEqual(file.format.sampleRate, 44_100)
        assert.deepStrictEqual(file.samples, [200, 6])
      }))

    it.effect("what the new rate cannot carry is filtered out, not folded down", () =>
      Effect.gen(function*() {
        // 13 kHz would fold down to 3 kHz at 16 kHz
        const file = yield* read(wav(pcm16(sine(48_000, 96_000, 13_000, 12_000).map(Math.round)), { sampleRate: 96_000 }))
        assert.isBelow(worst(file.samples, [], 320), 12)
      }))

    it.effect.prop(
      "the same however the bytes arrive",
      { sizes: Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 9000 }))).check(Schema.isMinLength(1)) },
      ({ sizes }) =>
        Effect.gen(function*() {
          const bytes = wav(pcm16(sine(6000, 22_050, 300, 9000).map(Math.round)), { sampleRate: 22_050 })
          assert.deepStrictEqual((yield* read(bytes, { sizes })).samples, (yield* read(bytes, { sizes: [1e9] })).samples)
        }),
      { arbitrary: { runs: 10, seed: "audio" } }
    )

    it.effect("a live pipe is converted as it flows", () =>
      Effect.gen(function*() {
        const bytes = wav(new Uint8Array(96_000 * 4), { channels: 2, sampleRate: 96_000, declared: 0xffffffff })
        const file = yield* AudioFile.openWav(Stream.concat(Stream.make(bytes), Stream.never))
        // 1 s went in; at most a block and a margin, 0.12 s, may wait for what follows
        const frames = yield* file.audio.pipe(Audio.frames(file.format), Stream.take(11), Stream.runCollect)
        assert.strictEqual(join8(...frames).length, 11 * 2560)
      }))
  })

  describe("what cannot be read is named", () => {
    const good = wav(ramp)
    const short = text("RIFF\x24\x00\x00\x00WAVE")
    const cases: ReadonlyArray<readonly [name: string, bytes: Uint8Array, detail: string]> = [
      ["nothing", new Uint8Array(0), "the input is empty"],
      ["text", text("To whom it may concern:\nthis is no audio, é ü.\n"), "not a WAV file: it looks like text"],
      ["MP3 with a tag", text("ID3\x04\x00\x00\x00\x00\x00\x00TIT2"), "not a WAV file: it looks like MP3"],
      ["MP3", Uint8Array.of(0xff, 0xfb, 0x90, 0x64, 0, 0, 0, 0, 0, 0, 0, 0, 0), "not a WAV file: it looks like MP3"],
      ["Ogg", text("OggS\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00"), "not a WAV file: it looks like Ogg"],
      ["FLAC", text("fLaC\x00\x00\x00\x22\x10\x00\x10\x00\x00"), "not a WAV file: it looks like FLAC"],
      ["MP4", text("\x00\x00\x00\x20ftypM4A \x00\x00"), "not a WAV file: it looks like MP4"],
      [
        "WebM",
        Uint8Array.of(0x1a, 0x45, 0xdf, 0xa3, 1, 0, 0, 0, 0, 0, 0, 0x1f),
        "not a WAV file: it looks like WebM or Matroska"
      ],
      ["AVI", text("RIFF\x00\x10\x00\x00AVI LIST"), "not a WAV file: it is another kind of RIFF file (AVI)"],
      ["RIFX", text("RIFX\x00\x00\x00\x24WAVEfmt "), "not a WAV file: it is big-endian (RIFX)"],
      [
        "raw audio",
        Uint8Array.of(0, 0, 1, 0, 2, 0, 255, 255, 3, 0, 0, 0, 0, 0),
        "not a WAV file: no format is recognised in its first bytes"
      ],
      ["cut in RIFF", good.subarray(0, 7), "the WAV file is cut off in its header"],
      ["cut in a chunk's head", good.subarray(0, 17), "the WAV file is cut off in its header"],
      ["cut in fmt", good.subarray(0, 30), "the WAV file is cut off in its header"],
      ["cut after fmt", good.subarray(0, 36), "the WAV file has no data chunk"],
      ["cut before data", good.subarray(0, 43), "the WAV file is cut off in its header"],
      ["cut in JUNK", join8(good.subarray(0, 36), text("JUNK"), le(50, 4), text("x")), "the WAV file ends before its data chunk"],
      ["no chunks", short, "the WAV file has no fmt chunk"],
      ["data first", join8(short, chunk("data", ramp)), "the WAV file has no fmt chunk before its data"],
      ["a short fmt", join8(short, chunk("fmt ", new Uint8Array(8))), "the WAV file's fmt chunk has 8 bytes, it needs 16"],
      ["GSM", fixture("gsm-8k-mono.wav"), "the WAV file's codec is GSM 6.10 (0x0031)"],
      ["MS ADPCM", fixture("ms-adpcm-8k-mono.wav"), "the WAV file's codec is Microsoft ADPCM (0x0002)"],
      ["a codec nobody knows", wav(ramp, { tag: 0x1234 }), "the WAV file's codec is 0x1234"],
      [
        "an extensible header with a foreign GUID",
        wav(ramp, { tag: 0xfffe, fmtTail: join8(subformat(1).subarray(0, 22), le(9, 2)) }),
        "the WAV file's codec is 0xfffe"
      ],
      [
        "stereo ADPCM",
        wav(ramp, { tag: 0x11, bits: 4, channels: 2, blockAlign: 512 }),
        "the WAV file's codec is IMA ADPCM of several channels (0x0011)"
      ],
      ["0 channels", wav(ramp, { channels: 0 }), "the WAV file declares 0 channels"],
      ["0 Hz", wav(ramp, { sampleRate: 0 }), "the WAV file declares a sample rate of 0 Hz"],
      ["4 GHz", wav(ramp, { sampleRate: 4_294_967_295 }), "the WAV file declares a sample rate of 4294967295 Hz"],
      ["0 bits", wav(ramp, { bits: 0 }), "the WAV file declares 0 bits a sample, which its codec does not have"],
      ["64-bit PCM", wav(ramp, { bits: 64 }), "the WAV file declares 64 bits a sample, which its codec does not have"],
      ["16-bit float", wav(ramp, { tag: 3 }), "the WAV file declares 16 bits a sample, which its codec does not have"]
    ]
    for (const [name, bytes, detail] of cases) {
      it.effect(name, () =>
        Effect.gen(function*() {
          assert.strictEqual(detailOf(yield* Effect.flip(read(bytes))), detail)
          assert.strictEqual(detailOf(yield* Effect.flip(read(bytes, { sizes: [13, 1] }))), detail)
        }))
    }

    it.effect.prop(
      "and no bytes whatever are a defect",
      {
        damage: Schema.Array(Schema.Tuple([
          Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 80 })),
          Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 }))
        ])),
        length: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2000 })),
        tag: Schema.Literals([1, 3, 6, 7, 0x11, 0xfffe]),
        bits: Schema.Literals([4, 8, 12, 16, 24, 32, 64])
      },
      ({ bits, damage, length, tag }) =>
        Effect.gen(function*() {
          const whole = wav(ramp, { tag, bits, blockAlign: bits === 4 ? 256 : 8, sampleRate: 11_025 })
          const bytes = whole.slice(0, length)
          for (const [at, value] of damage) bytes[at] = value
          const exit = yield* Effect.exit(read(bytes))
          if (Exit.isFailure(exit)) detailOf(yield* Effect.flip(exit))
        }),
      { arbitrary: { runs: 300, seed: "audio" }, timeout: 60_000 }
    )
  })

  describe("open", () => {
    it.live("reads a file", () =>
      inDirectory((directory) =>
        Effect.gen(function*() {
          const path = join(directory, "a.wav")
          writeFileSync(path, wav(ramp))
          const file = yield* AudioFile.open(path)
          assert.deepStrictEqual(join8(...yield* Stream.runCollect(file.audio)), ramp)
        })
      ))

    it.live("reads a FIFO", () =>
      inDirectory((directory) =>
        Effect.gen(function*() {
          const path = join(directory, "fifo")
          execFileSync("mkfifo", [path])
          const opened = yield* Effect.forkScoped(AudioFile.open(path), { startImmediately: true })
          yield* Effect.promise(() => import("node:fs/promises").then((fs) => fs.writeFile(path, wav(ramp))))
          const file = yield* Fiber.join(opened)
          assert.deepStrictEqual(join8(...yield* Stream.runCollect(file.audio)), ramp)
        })
      ))

    it.live("names the path that it cannot read", () =>
      inDirectory((directory) =>
        Effect.gen(function*() {
          const path = join(directory, "missing.wav")
          const missing = yield* Effect.flip(AudioFile.open(path))
          assert.strictEqual(missing._tag === "PlatformError" && missing.reason._tag, "NotFound")
          assert.strictEqual(missing.message, `NotFound: AudioFile.open (${path}): no such file`)
          const folder = yield* Effect.flip(AudioFile.open(directory))
          assert.strictEqual(folder.message, `BadResource: AudioFile.open (${directory}): it is a directory`)
        })
      ))
  })

  it.effect("raw audio is taken as it is", () =>
    Effect.gen(function*() {
      const file = AudioFile.raw(pieces(ramp), { encoding: "alaw", sampleRate: 8000 })
      assert.deepStrictEqual(file.format, { encoding: "alaw", sampleRate: 8000 })
      assert.deepStrictEqual(join8(...yield* Stream.runCollect(file.audio)), ramp)
    }))
})

describe("the bundled sample", () => {
  const sample = new URL("../src/simulator/sample/", import.meta.url)
  const frameSamples = 1280

  it.live("holds three turns, as its transcript says", () =>
    Effect.gen(function*() {
      const file = yield* AudioFile.open(new URL("sample.wav", sample).pathname)
      assert.deepStrictEqual(file.format, { encoding: "linear16", sampleRate: 16_000 })
      const samples = samplesOf(join8(...yield* Stream.runCollect(file.audio)))
      const loud = Array.from({ length: Math.floor(samples.length / frameSamples) }, (_, frame) => {
        const window = samples.slice(frame * frameSamples, (frame + 1) * frameSamples)
        const power = window.reduce((sum, value) => sum + (value / 32_768) ** 2, 0) / frameSamples
        return 10 * Math.log10(power + 1e-12) >= -40
      })
      // runs of loud frames, joined where less than 0.72 s (9 frames) is between them
      const turns: Array<{ start: number; end: number; pause: number }> = []
      loud.forEach((isLoud, frame) => {
        const last = turns.at(-1)
        if (!isLoud) return
        if (last !== undefined && frame - last.end < 9) {
          last.pause = Math.max(last.pause, frame - last.end)
          last.end = frame + 1
        } else turns.push({ start: frame, end: frame + 1, pause: 0 })
      })
      assert.strictEqual(turns.length, 3)
      for (const [index, turn] of turns.entries()) {
        const seconds = (turn.end - turn.start) * 0.08
        assert.isTrue(seconds >= 2 && seconds <= 4, `turn ${index}: ${seconds} s`)
        assert.isBelow(turn.pause * 0.08, 0.4)
        assert.isAbove(((turns[index + 1]?.start ?? loud.length) - turn.end) * 0.08, 1)
      }
      const lines = readFileSync(new URL("sample.txt", sample), "utf8").trim().split("\n")
      assert.strictEqual(lines.length, 3)
    }))
})
