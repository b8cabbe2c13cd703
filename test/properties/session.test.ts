/**
 * What a session keeps to, whatever user and server do (design 7). `FLUX_PROPERTY_RUNS=5000 npm test` runs longer, with
 * other seeds; a failure prints the script that shows it, shrunk, and a token to run it again.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type { FluxEvent } from "../../src/FluxEvent.ts"
import { type Outcome, run } from "./run.ts"
import { Script } from "./script.ts"

const asked = Number(process.env["FLUX_PROPERTY_RUNS"] ?? 0)
const arbitrary = asked > 0 ? { runs: asked } : { runs: 1500, seed: "flux" }

/** Silence that nobody offered: stamped audio has no zeros. */
const isInjected = (bytes: Uint8Array): boolean => bytes.every((byte) => byte === 0)

/** Starts and ends alternate, with one number, to the end; numbers go up by one (2). */
const alternate = (events: ReadonlyArray<FluxEvent>, complete: boolean): void => {
  let open: number | undefined
  let next = 0
  for (const event of events) {
    if (event.type === "StartOfTurn") {
      assert.isUndefined(open, "a turn is opened in a turn")
      assert.strictEqual(event.turn, next)
      open = next++
    } else if ("turn" in event) {
      assert.strictEqual(event.turn, open, `${event.type} outside its turn`)
      if (event.type === "EndOfTurn") open = undefined
    }
  }
  if (complete) assert.isUndefined(open, "a turn is left open")
}

/** The last words of a turn are in its end, confirmed or promoted (3). */
const lastWords = (events: ReadonlyArray<FluxEvent>): void => {
  let last = ""
  for (const event of events) {
    if (!("transcript" in event)) continue
    if (event.type === "StartOfTurn") last = ""
    if (event.type === "EndOfTurn") {
      if (event.ending === "confirmed") assert.isFalse(event.transcript === "" && last !== "", "words are gone")
      else assert.strictEqual(event.transcript, last, "the last words are not promoted")
    }
    if (event.transcript !== "") last = event.transcript
  }
}

/** Every sample that was offered came, in order and byte for byte, or was muted, or is told as dropped (1, 6). */
const audio = ({ ending, events, muted, offered, partial, witness }: Outcome): void => {
  const samples = Math.floor((offered + partial) / 2)
  const absent = new Uint8Array(samples)
  for (const [from, to] of muted) absent.fill(1, Math.floor(from / 2), Math.ceil(to / 2))
  for (const event of events) {
    if (event.type !== "AudioDropped") continue
    const [from, to] = [Math.round(event.audioStart * 16_000), Math.round(event.audioEnd * 16_000)]
    for (let at = from; at < to; at++) assert.strictEqual(absent[at], 0, "what was muted is told as dropped, or twice")
    absent.fill(2, from, to)
  }
  const came = witness.audio.filter(({ bytes }) => !isInjected(bytes))
  const all = new Uint8Array(came.reduce((sum, { bytes }) => sum + bytes.length, 0))
  came.reduce((at, { bytes }) => {
    all.set(bytes, at)
    return at + bytes.length
  }, 0)
  let at = 0
  const view = new DataView(all.buffer)
  for (let sample = 0; sample < samples && at + 2 <= all.length; sample++) {
    if (absent[sample] !== 0) continue
    if (view.getInt16(at, true) !== stampOf(sample)) assert.fail(`sample ${sample} is not where it belongs`)
    at += 2
  }
  assert.strictEqual(at, all.length, "more came than was offered")
  if (ending !== undefined && Exit.isSuccess(ending) && witness.closeStreamAt !== undefined && witness.bodyEnded > 0) {
    assert.strictEqual(all.length / 2, absent.subarray(0, Math.floor(offered / 2)).filter((why) => why === 0).length, "audio is missing")
  }
}
/** As `Stamp` spells a position. */
const stampOf = (position: number): number => {
  const pair = position >>> 1
  const low = pair & 0x3fff
  const value = position % 2 === 0 ? 0x4000 | low : 0x8000 | (((pair >>> 14) + pair) & 0x3fff)
  return (value << 16) >> 16
}

/** What is told as sent is what came, and silence is told apart. */
const usage = ({ entries, events, witness }: Outcome): void => {
  if (!events.some(({ type }) => type === "Disconnected")) return
  const told = events.reduce((sum, event) =>
    event.type === "EndOfTurn" || event.type === "Disconnected"
      ? { audio: sum.audio + event.usage.audioSeconds, injected: sum.injected + event.usage.injectedSeconds }
      : sum, { audio: 0, injected: 0 })
  const sent = entries.reduce((sum, { detail, what }) => (what === "audio" ? sum + Number(detail) : sum), 0) / 32_000
  assert.closeTo(told.audio + told.injected, sent, 1e-4, "sum of usage")
  const injected = witness.audio.reduce((sum, { bytes }) => (isInjected(bytes) ? sum + bytes.length : sum), 0) / 32_000
  // the last frame may not have reached the server
  assert.closeTo(told.injected, injected, 0.0801, "silence")
}

/** Silence never comes in a burst, as it would where it gathered while the server did not read. */
const silence = ({ witness }: Outcome): void => {
  const times = witness.audio.flatMap(({ at, bytes }) => (bytes.length === 2560 && isInjected(bytes) ? [at] : []))
  times.forEach((at, index) => {
    const fourth = times[index + 3]
    // watchdog, end of turn and trailing silence may follow each other closely
    if (fourth !== undefined && fourth - at < 80) assert.fail(`silence in a burst at ${at} ms`)
  })
}

/** One that takes what comes, and ends when it is told to; it may well be mute. */
const isPolite = ({ accepts, closes, connects, takes }: Script): boolean =>
  accepts >= 0 && connects >= 0 && closes.then === "end" && takes.every(({ blocks, breaks }) => blocks === 0 && breaks === "no")

const invariants = (script: Script, outcome: Outcome): void => {
  const { ending, entries, events, finished, lastEot, settings, updates, witness } = outcome
  const complete = ending !== undefined
  assert.deepStrictEqual(witness.wrong, [], "what the server saw (4, 5)")
  alternate(events, complete)
  lastWords(events)
  audio(outcome)
  usage(outcome)
  silence(outcome)

  // only what the bundle knows (4)
  const types = witness.texts.map(({ text }): string => JSON.parse(text).type)
  if (script.profile === "flux-english-20260311") assert.deepStrictEqual(types.filter((type) => type !== "CloseStream"), [])
  // a good end: CloseStream, the body's end, disconnect; one of each
  if (finished !== undefined && Exit.isSuccess(finished)) {
    assert.deepStrictEqual(
      entries.flatMap(({ what, detail }) => (what === "end" || what === "disconnect" || detail.includes("CloseStream") ? [what] : [])),
      script.hangs.released ? ["text", "end"] : ["text", "end", "disconnect"]
    )
  }
  // a server that does nothing wrong is told well, and so is its end
  if (finished !== undefined && isPolite(script)) {
    const reason = Option.getOrUndefined(Exit.findErrorOption(finished))?.reason._tag
    if (reason !== undefined && reason !== "Stalled") assert.fail(`${reason}, although the server did nothing wrong`)
  }
  // a connection that refuses to be freed is left behind
  assert.strictEqual(entries.filter(({ what }) => what === "disconnect").length, script.hangs.released ? 0 : 1)

  // whatever comes, there are events or one typed error (10)
  for (const exit of [ending, finished, ...updates]) {
    if (exit === undefined || Exit.isSuccess(exit)) continue
    assert.isFalse(Exit.hasDies(exit), String(exit))
    assert.strictEqual(Exit.findErrorOption(exit)._tag, "Some", String(exit))
  }
  // the latest change is in force, where every change was (5)
  if (updates.length > 0 && lastEot !== undefined && updates.every((exit) => exit !== undefined && Exit.isSuccess(exit))) {
    assert.strictEqual(settings.eotThreshold, lastEot)
  }
}

describe("a session", () => {
  it.effect.prop("keeps to its invariants, whatever user and server do", { script: Script }, ({ script }) =>
    Effect.map(run(script), (outcome) => invariants(script, outcome)), { arbitrary, timeout: Math.max(60_000, asked * 200) })
})
