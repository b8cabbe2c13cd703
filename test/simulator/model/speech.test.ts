import { assert, describe, it } from "@effect/vitest"
import { sampleRates } from "../../../src/Audio.ts"
import * as speech from "../../../src/simulator/model/speech.ts"
import { encode, pcm16, tone, WaveFile } from "../../support/sound.ts"

const bytes = Array.from({ length: 256 }, (_, byte) => byte)

const expanded = (law: "mulaw" | "alaw"): Array<number> => {
  const wav = new WaveFile()
  wav.fromScratch(1, 8000, law === "mulaw" ? "8m" : "8a", bytes)
  if (law === "mulaw") wav.fromMuLaw("16")
  else wav.fromALaw("16")
  return Array.from(wav.getSamples(false, Int16Array))
}

/** Full scale is 32768, so 0.01 of it is 327.68. */
const heard = (amplitude: number): ReadonlyArray<boolean> =>
  speech.make(pcm16).push(encode(tone(1280, amplitude), pcm16)).map(({ voiced }) => voiced)

describe("speech", () => {
  it("expands G.711 as wavefile does", () => {
    // without -0, which is what wavefile's alaw makes of nothing and assert tells from 0
    assert.deepStrictEqual(bytes.map((byte) => speech.mulawToLinear(byte) + 0), expanded("mulaw").map((s) => s + 0))
    assert.deepStrictEqual(bytes.map((byte) => speech.alawToLinear(byte) + 0), expanded("alaw").map((s) => s + 0))
  })

  it("hears a voice from -40 dBFS", () => {
    assert.deepStrictEqual(heard(327), [false])
    assert.deepStrictEqual(heard(328), [true])
    assert.deepStrictEqual(heard(-32_768), [true])
  })

  it("tells loudness by the whole frame", () => {
    // a sixteenth of the frame at 4 x 328 is as loud as all of it at 328
    const samples = new Int16Array(1280)
    samples.set(tone(80, 4 * 328), 600)
    assert.deepStrictEqual(speech.make(pcm16).push(encode(samples, pcm16)), [{ voiced: true, endMillis: 80 }])
    samples.set(tone(80, 4 * 327), 600)
    assert.deepStrictEqual(speech.make(pcm16).push(encode(samples, pcm16)), [{ voiced: false, endMillis: 80 }])
  })

  it("reads a view of a larger buffer", () => {
    const around = new Uint8Array([...encode(tone(1280, 8000), pcm16), ...new Uint8Array(2560)])
    assert.deepStrictEqual(speech.make(pcm16).push(around.subarray(2560)), [{ voiced: false, endMillis: 80 }])
  })

  it("makes a frame every 80 ms at every rate", () => {
    for (const sampleRate of sampleRates) {
      for (const encoding of ["linear16", "mulaw", "alaw"] as const) {
        const format = { encoding, sampleRate }
        const listener = speech.make(format)
        const frames = listener.push(encode(tone((sampleRate * 240) / 1000, 8000), format))
        assert.deepStrictEqual(frames, [80, 160, 240].map((endMillis) => ({ voiced: true, endMillis })))
        assert.deepStrictEqual(listener.flush(), [])
      }
    }
  })

  it("hears a partial frame at the end, and not half a sample", () => {
    const half = speech.make(pcm16)
    assert.deepStrictEqual(half.push(Uint8Array.of(0xff)), [])
    assert.deepStrictEqual(half.flush(), [])
    const listener = speech.make(pcm16)
    assert.deepStrictEqual(listener.push(Uint8Array.of(0xff)), [])
    assert.deepStrictEqual(listener.push(new Uint8Array(0)), [])
    assert.deepStrictEqual(listener.push(Uint8Array.of(0x3f, 0x00)), [])
    assert.strictEqual(listener.samples(), 1)
    assert.deepStrictEqual(listener.flush(), [{ voiced: true, endMillis: 1 / 16 }])
  })
})
