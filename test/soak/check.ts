/** What must hold of every call of a soak, whatever went wrong: the invariants of design 7. */
import * as Exit from "effect/Exit"
import * as FluxError from "../../src/FluxError.ts"
import type { SessionRecord } from "../../src/simulator/Ledger.ts"
import type { Outcome } from "./call.ts"
import type { Stretch } from "./heard.ts"
import { rate, type Speech, type Word } from "./script.ts"

/** How a call compares with what was said and sent in it. */
export interface Verdict {
  /** What is wrong; nothing, if all is well. */
  readonly wrong: ReadonlyArray<string>
  /** The tag of what the call failed with. */
  readonly failed: string | undefined
  readonly words: {
    readonly said: number
    readonly heard: number
    readonly doubled: number
    readonly lost: number
    /** Not heard, and for a reason: muted, dropped and told so, cut by the caller, or not told before the call failed. */
    readonly excused: number
  }
}

/** Checks a call against the records of its sessions. `speed` is how much faster than in real time it went. */
export const check = (
  outcome: Outcome,
  sessions: ReadonlyArray<SessionRecord>,
  speech: Speech,
  speed: number
): Verdict => {
  const failed = failure(outcome)
  const lost = unheard(outcome, speech.words, failed !== undefined, speed, sessions.flatMap((session) => unnoticed(session, speech.words)))
  const missing = lost.filter(({ excused }) => !excused)
  const wrong = [
    ...(Exit.isFailure(outcome.exit) && failed === undefined ? [`died: ${String(outcome.exit.cause)}`] : []),
    ...outcome.heard.wrong,
    ...(outcome.heard.open === undefined ? [] : [`turn ${outcome.heard.open} never ends`]),
    ...audio(outcome, sessions, failed !== undefined),
    ...missing.map(({ word: { start, word } }) => `"${word}" (${start} s) is lost`),
    ...(sessions.some(({ ending }) => ending === "open") ? ["a session is still open at the endpoint"] : [])
  ]
  const said = speech.words.reduce((sum, { end }) => sum + (end <= outcome.offered ? 1 : 0), 0)
  return {
    wrong,
    failed,
    words: { said, heard: said - lost.length, doubled: outcome.heard.doubled, lost: missing.length, excused: lost.length - missing.length }
  }
}

const failure = ({ exit }: Outcome): string | undefined => {
  const error = Exit.findErrorOption(exit)
  return error._tag === "Some" && error.value instanceof FluxError.FluxError ? error.value.reason._tag : undefined
}

/** Invariant 1: in each session audio goes on, and what was offered was sent, told as dropped, or muted. */
const audio = ({ heard, muted, offered }: Outcome, sessions: ReadonlyArray<SessionRecord>, failed: boolean): ReadonlyArray<string> => {
  const wrong: Array<string> = []
  const covered: Array<Stretch> = [...muted, ...heard.dropped]
  // what was under way when the call failed may not have arrived
  if (failed) covered.push({ from: heard.toldUpTo, to: offered })
  for (const { received, session } of sessions) {
    let reached = 0
    for (const { from, to } of received.stamped) {
      if (from < reached) wrong.push(`session ${session} hears ${from / rate} s after ${reached / rate} s`)
      reached = to
      covered.push({ from: from / rate, to: to / rate })
    }
  }
  let reached = 0
  for (const { from, to } of covered.toSorted((a, b) => a.from - b.from)) {
    // a run of a few samples at a seam is not told for one
    if (from > reached + 0.001) wrong.push(`audio from ${reached} to ${from} s is neither sent nor told`)
    reached = Math.max(reached, to)
  }
  if (reached < offered - 0.001) wrong.push(`audio from ${reached} to ${offered} s is neither sent nor told`)
  return wrong
}

/**
 * What a session hears of which it tells nothing, and is not expected to: from the moment on at which it goes mute, where
 * it has not told of audio outside turns before, or where its container closes after CloseStream as real ones do; and all
 * of it, where nothing is said of a turn but its end.
 */
const unnoticed = ({ ending, faults, received, sent: { messages } }: SessionRecord, words: ReadonlyArray<Word>): ReadonlyArray<Stretch> => {
  const saysNoTurn = messages["Update"] === undefined && messages["StartOfTurn"] === undefined
  if (saysNoTurn && faults.some(({ fault }) => fault === "omit")) return heardAfter(received, 0)
  const mute = faults.find(({ fault }) => fault === "mute")
  const begin = received.stamped[0]
  if (mute === undefined || begin === undefined) return []
  const after = heardAfter(received, mute.audioSeconds - received.otherSamples / rate)
  const closes = ending === "fault" && received.texts.some(({ type }) => type === "CloseStream")
  const isYoung = messages["Update"] === undefined || idle(words, begin.from / rate, (after[0]?.from ?? 0)) < toldWithin
  return closes || isYoung ? after : []
}

/** So much audio outside turns is told of for certain, in seconds. */
const toldWithin = 0.8
/** Silence after a word that belongs to its turn, at the most. */
const turnTail = 1

/** What arrived after so many seconds of stamped audio. */
const heardAfter = ({ stamped }: SessionRecord["received"], seconds: number): ReadonlyArray<Stretch> => {
  let before = seconds
  return stamped.flatMap((range) => {
    const [from, to] = [range.from / rate, range.to / rate]
    const heard = Math.max(0, Math.min(before, to - from))
    before -= heard
    return from + heard < to ? [{ from: from + heard - 0.6, to }] : []
  })
}

/** Seconds between two places of the call at which nobody is in a turn. */
const idle = (words: ReadonlyArray<Word>, from: number, to: number): number => {
  let reached = from
  let sum = 0
  for (const { end, start } of words) {
    sum += Math.max(0, Math.min(start, to) - reached)
    reached = Math.max(reached, end + turnTail)
  }
  return sum + Math.max(0, to - reached)
}

/** The words that were offered and are in no turn. */
const unheard = (
  { ends, heard, muted, offered }: Outcome,
  words: ReadonlyArray<Word>,
  failed: boolean,
  speed: number,
  never: ReadonlyArray<Stretch>
): ReadonlyArray<{ readonly word: Word; readonly excused: boolean }> => {
  // a turn that is ended ends wherever Flux is then
  const near = 1 + (speed - 1) / 5
  const unsure: ReadonlyArray<Stretch> = [
    ...never,
    ...[...muted, ...heard.dropped].map(({ from, to }) => ({ from: from - 0.6, to: to + 0.6 })),
    ...ends.map((at) => ({ from: at - near, to: at + near })),
    ...heard.cut.map((at) => ({ from: at - 0.6, to: at + 0.6 })),
    // what the last session had not told of is lost with the call
    ...(failed ? [{ from: heard.toldUpTo - 0.6, to: Number.POSITIVE_INFINITY }] : [])
  ]
  return words.flatMap((word) =>
    heard.words.has(word.word) || word.end > offered
      ? []
      : [{ word, excused: unsure.some(({ from, to }) => word.start < to && word.end > from) }]
  )
}
