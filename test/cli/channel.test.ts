/** WAV files as people give them to the command: calls with a leg a channel, and files that are not as their header says. */
import { assert, describe, it } from "@effect/vitest"
import { file, lines, run, sample, simulate, spoken, start, wav } from "../support/command.ts"
import { wav as makeWav } from "../support/wav.ts"

const script = ["--script", sample.replace(".wav", ".txt")]
const audio = wav.subarray(44)

/** The sample on the left, and nobody on the right. */
const twoLegs = (): Uint8Array => {
  const interleaved = Buffer.alloc(audio.length * 2)
  for (let at = 0; at < audio.length; at += 2) audio.copy(interleaved, at * 2, at, at + 2)
  return makeWav(interleaved, { channels: 2 })
}

describe("--channel", () => {
  it("takes a leg of a call", async () => {
    const path = file("legs.wav", twoLegs())
    const left = await run([...simulate, path, ...script, "--channel", "left"])
    assert.deepStrictEqual(left.lines.map(spoken), lines)
    const right = await run([...simulate, path, ...script, "--channel", "right"])
    assert.deepStrictEqual([right.status, right.stdout], [0, ""])
  })

  const faults: ReadonlyArray<readonly [name: string, args: ReadonlyArray<string>, says: RegExp]> = [
    ["of mono, the right one", [sample, "--channel", "right"], /^flux-stt: .*: the WAV file is mono: it has no right channel$/],
    ["of raw audio", [sample, "--raw", "--channel", "left"], /^flux-stt: channel: raw audio is mono; leave --channel out$/],
    ["that nobody has", [sample, "--channel", "centre"], /^flux-stt: .*--channel.*"left" \| "right" \| "mix"/]
  ]
  for (const [name, args, says] of faults) {
    it(`${name}: 2`, async () => {
      const { status, stderr, stdout } = await run([...simulate, ...args])
      assert.deepStrictEqual([status, stdout], [2, ""])
      assert.match(stderr.trimEnd(), says)
    })
  }
})

describe("a pipe", () => {
  it("that brings a file after the other, the second when the first is read", async () => {
    const running = start([...simulate, "-", ...script], { stdin: "open" })
    const half = 44 + 16_000 * 2 * 4
    running.child.stdin?.write(makeWav(audio.subarray(0, half)))
    running.child.stdin?.end(makeWav(audio.subarray(half)))
    assert.strictEqual(await running.status, 0)
    assert.deepStrictEqual(running.stdout().trimEnd().split("\n").map(spoken), lines)
    assert.match(running.stderr(), /warning: another WAV file follows in the same input: its audio goes on/)
  })
})
