/** Calls made up at random, the same for the same seed: what is said, and what goes wrong. */
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
  /** Place of each word in `words`. */
  readonly order: ReadonlyMap<string, number>
}

/** Turns of 1 to 12 words, now and then of up to 90, with pauses in between and within. */
export const speech = (seconds: number, seed: number): Speech => {
  const random = generator(seed)
  const words: Array<Word> = []
  const turns: Array<{ readonly at: number; readonly words: ReadonlyArray<Word> }> = []
  let at = 0.5 + random()
  for (let turn = 0; at < seconds - 4; turn++) {
    const count = 1 + Math.floor(random() * (random() < 0.05 ? 90 : 12))
    const said: Array<Word> = []
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
  return { words, order: new Map(words.map(({ word }, at) => [word, at])), script: Script.make({ clock: "stamps", turns }) }
}
const round = (seconds: number): number => Math.round(seconds * 1000) / 1000

/** How often things go wrong, and when. */
export interface Trouble {
  readonly seed: number
  /** 1: about two of three sessions are struck; 0: none is. */
  readonly intensity: number
  /** Faults of running sessions happen within so many seconds of their audio. */
  readonly within: number
  /** Audio comes so many times faster than in real time, and so does what counts real time. */
  readonly speed: number
  /** Over a network more can go wrong. */
  readonly wire: boolean
}

/** Everything that can go wrong with a session, at moments made up at random. */
export const faults = ({ intensity, seed, speed, wire, within }: Trouble): ReadonlyArray<Fault.Fault> => {
  const random = generator(seed)
  const some = (low: number, high: number): number => Math.round((low + random() * (high - low)) * 100) / 100
  const millis = (low: number, high: number): number => Math.round(some(low, high) / speed)
  const at = (): number => some(0, within)
  const opening: ReadonlyArray<Fault.Fault> = [
    { fault: "no-headers" },
    { fault: "late-headers", delay: millis(100, 4000) },
    { fault: "reject-424", delay: millis(300, 300) },
    { fault: "throttle-400" },
    { fault: "throttle-429" },
    { fault: "error-500" },
    { fault: "unavailable-503" },
    { fault: "no-connected" },
    { fault: "late-connected", delay: millis(100, 6000) },
    ...(wire ? [{ fault: "accept-and-hang" } as const] : [])
  ]
  /** No other session would cure these: the call is over. */
  const fatal: ReadonlyArray<Fault.Fault> = [{ fault: "deny-403" }, { fault: "expired-token-403" }]
  const running = (): ReadonlyArray<Fault.Fault> => [
    { fault: "throttle", at: at() },
    { fault: "model-stream-error", at: at() },
    { fault: "internal-stream-failure", at: at() },
    { fault: "error-frame", at: at() },
    { fault: "flux-error", at: at() },
    { fault: "end", at: at() },
    { fault: "reset", at: at() },
    { fault: "reset", at: at(), code: 0 },
    { fault: "go-away", at: at() },
    { fault: "go-away", at: at(), code: 11 },
    { fault: "drop-socket", at: at() },
    { fault: "stop-reading", at: at() },
    { fault: "corrupt-crc", at: at() },
    { fault: "mute", at: at() },
    // longer than a client that catches up takes to notice, or what is said in it is lost
    ...(wire ? [] : [{ fault: "mute", at: at(), for: some(25, 30) } as const]),
    { fault: "say", at: at(), text: "{\"type\":\"Update\"" },
    { fault: "say", at: at(), text: "{\"type\":\"Novelty\"}" },
    { fault: "reset", turn: Math.floor(some(0, 20)), after: some(0, 2) },
    { fault: "model-stream-error", at: "close" },
    { fault: "drop-socket", at: "close" },
    { fault: "reset", at: "end" },
    { fault: "lifetime", seconds: some(within / 8, within * 1.3) / speed }
  ]
  const lasting: ReadonlyArray<Fault.Fault> = [
    { fault: "omit", event: "StartOfTurn" },
    { fault: "omit", event: "Update", turn: Math.floor(some(0, 10)) },
    { fault: "omit", event: "EagerEndOfTurn" },
    { fault: "lag", delay: millis(50, 400) },
    { fault: "stay-open" },
    { fault: "split-parts" },
    { fault: "chop-data" },
    { fault: "configure-failure" },
    { fault: "configure-lost" }
  ]
  const struck = (all: ReadonlyArray<Fault.Fault>, chance: number): ReadonlyArray<Fault.Fault> =>
    all.map((fault) => ({ ...fault, chance: Math.min(1, (chance * intensity) / all.length) }))
  return [
    ...struck(opening, 0.25),
    ...struck(fatal, 0.002),
    ...[1, 2, 3].flatMap(() => struck(running(), 0.35)),
    ...struck(lasting, 0.3)
  ]
}
