/** Calls made up at random, the same for the same seed: what is said, what its caller does, and what goes wrong. */
import * as Fault from "../../src/simulator/Fault.ts"
import * as Script from "../../src/simulator/Script.ts"

/** Samples a second. */
export const rate = 16_000

/** Numbers from 0 to below 1 (mulberry32). */
export const generator = (seed: number): () => number => {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** A word with its place, in seconds of the call; no two are the same. */
export interface Word {
  readonly word: string
  readonly start: number
  readonly end: number
}

/** What is said in calls of some length. */
export interface Speech {
  readonly script: Script.Script
  readonly words: ReadonlyArray<Word>
}

/** Turns of 1 to 12 words, now and then of up to 90, with pauses in between and within. */
export const speech = (seconds: number, seed: number): Speech => {
  const random = generator(seed)
  const words: Array<Word> = []
  const turns: Array<{ readonly at: number; readonly words: ReadonlyArray<{ readonly word: string; readonly start: number; readonly end: number }> }> = []
  let at = 0.5 + random()
  for (let turn = 0; at < seconds - 4; turn++) {
    const count = 1 + Math.floor(random() * (random() < 0.05 ? 90 : 12))
    const said: Array<{ readonly word: string; readonly start: number; readonly end: number }> = []
    let clock = at
    for (let number = 0; number < count && clock < seconds - 4; number++) {
      // a pause within a turn is too short to end it
      if (number > 0 && random() < 0.15) clock += 0.1 + random() * 0.35
      const length = 0.16 + random() * 0.4
      said.push({ word: `t${turn}w${number}`, start: round(clock), end: round(clock + length) })
      clock += length + 0.02
    }
    words.push(...said)
    turns.push({ at: round(at), words: said })
    at = clock + 1.2 + random() * 3
  }
  return { words, script: Script.make({ clock: "stamps", turns }) }
}
const round = (seconds: number): number => Math.round(seconds * 1000) / 1000

/** Everything that can go wrong with a session, at moments made up at random; about two of three sessions are struck. */
export const faults = (seed: number, intensity: number): ReadonlyArray<Fault.Fault> => {
  const random = generator(seed)
  const some = (low: number, high: number): number => Math.round((low + random() * (high - low)) * 100) / 100
  const opening: ReadonlyArray<Fault.Fault> = [
    { fault: "no-headers" },
    { fault: "late-headers", delay: some(100, 4000) },
    { fault: "reject-424", delay: 300 },
    { fault: "throttle-400" },
    { fault: "throttle-429" },
    { fault: "error-500" },
    { fault: "unavailable-503" },
    { fault: "no-connected" },
    { fault: "late-connected", delay: some(100, 6000) }
  ]
  const running = (): ReadonlyArray<Fault.Fault> => [
    { fault: "throttle", at: some(0, 150) },
    { fault: "model-stream-error", at: some(0, 150) },
    { fault: "internal-stream-failure", at: some(0, 150) },
    { fault: "error-frame", at: some(0, 150) },
    { fault: "flux-error", at: some(0, 150) },
    { fault: "end", at: some(0, 150) },
    { fault: "reset", at: some(0, 150) },
    { fault: "reset", at: some(0, 150), code: 0 },
    { fault: "go-away", at: some(0, 150) },
    { fault: "go-away", at: some(0, 150), code: 11 },
    { fault: "drop-socket", at: some(0, 150) },
    { fault: "stop-reading", at: some(0, 150) },
    { fault: "corrupt-crc", at: some(0, 150) },
    { fault: "mute", at: some(0, 150) },
    { fault: "mute", at: some(0, 150), for: some(25, 30) },
    { fault: "say", at: some(0, 150), text: "{\"type\":\"Update\"" },
    { fault: "say", at: some(0, 150), text: "{\"type\":\"Novelty\"}" },
    { fault: "reset", turn: Math.floor(some(0, 20)), after: some(0, 2) },
    { fault: "model-stream-error", at: "close" },
    { fault: "drop-socket", at: "close" },
    { fault: "reset", at: "end" },
    { fault: "lifetime", seconds: some(20, 200) }
  ]
  const lasting: ReadonlyArray<Fault.Fault> = [
    { fault: "omit", event: "StartOfTurn" },
    { fault: "omit", event: "Update", turn: Math.floor(some(0, 10)) },
    { fault: "omit", event: "EagerEndOfTurn" },
    { fault: "lag", delay: some(50, 400) },
    { fault: "stay-open" },
    { fault: "split-parts" },
    { fault: "chop-data" },
    { fault: "configure-failure" },
    { fault: "configure-lost" }
  ]
  const struck = (all: ReadonlyArray<Fault.Fault>, chance: number): ReadonlyArray<Fault.Fault> =>
    all.map((fault) => ({ ...fault, chance: (chance * intensity) / all.length }))
  return [...struck(opening, 0.25), ...[1, 2, 3].flatMap(() => struck(running(), 0.35)), ...struck(lasting, 0.3)]
}
