/** Whether samples of 32 bits look like what the header says they are: whole numbers or floats. Writers mix them up. */
import type { WavFormat } from "./wavFormat.ts"

/** Samples, apart from zeros, that show it. */
const enough = 64

/** A look at audio as it passes; `note` is told where it looks like the other. Audio comes in whole samples. */
export const make = ({ codec, sampleBytes }: WavFormat, note: (text: string) => void): (audio: Uint8Array) => void => {
  if (sampleBytes !== 4 || (codec !== "pcm" && codec !== "float")) return () => {}
  let seen = 0
  let likeFloats = 0
  return (audio) => {
    const view = new DataView(audio.buffer, audio.byteOffset, audio.byteLength)
    for (let at = 0; at < audio.length && seen < enough; at += 4) {
      const value = Math.abs(view.getFloat32(at, true))
      if (value === 0) continue
      seen++
      // about the loudest and the faintest that recorders write
      if (value > 2 ** -24 && value < 16) likeFloats++
      if (seen < enough) continue
      if (codec === "pcm" && likeFloats === enough) note("the WAV header's codec is PCM, and the audio looks like 32-bit float: is it noise?")
      if (codec === "float" && likeFloats < enough / 2) note("the WAV header's codec is float, and the audio looks like 32-bit PCM, or is far too loud: is it noise?")
    }
  }
}
