/** What must hold of every call of a soak, whatever went wrong: the invariants of design 7. */
import * as Exit from "effect/Exit"
import * as FluxError from "../../src/FluxError.ts"
import type { SessionRecord } from "../../src/simulator/Ledger.ts"
import type { Outcome, Stretch } from "./call.ts"
import { rate, type Word } from "./script.ts"

/** What is wrong with a call; nothing, if all is well. */
export const check = (outcome: Outcome, sessions: ReadonlyArray<SessionRecord>, words: ReadonlyArray<Word>): ReadonlyArray<string> => {
  const wrong: Array<string> = []
  const reason = failure(outcome)
  if (Exit.isFailure(outcome.exit) && reason === undefined) wrong.push(`died: ${String(outcome.exit.cause)}`)
  wrong.push(...turns(outcome), ...audio(outcome, sessions, reason !== undefined), ...said(outcome, words, reason !== undefined), ...budget(outcome, sessions))
  return wrong
}

/** The tag of what a call failed with. */
export const failure = ({ exit }: Outcome): string | undefined => {
  const error = Exit.findErrorOption(exit)
  return error._tag === "Some" && error.value instanceof FluxError.FluxError ? error.value.reason._tag : undefined
}

/** Invariant 2: they alternate, with one number, to the end; and no two turns share audio. */
const turns = ({ events, exit }: Outcome): ReadonlyArray<string> => {
  const wrong: Array<string> = []
  let open: number | undefined
  let next = 0
  let ended = 0
  for (const event of events) {
    if (event.type === "StartOfTurn") {
      if (open !== undefined || event.turn !== next) wrong.push(`StartOfTurn ${event.turn} where ${open ?? `none, then ${next}`} is open`)
      open = event.turn
      next = event.turn + 1
    } else if (event.type === "EndOfTurn") {
      if (open !== event.turn) wrong.push(`EndOfTurn ${event.turn} where ${open ?? "none"} is open`)
      open = undefined
      if (event.audioStart < ended - 0.01) wrong.push(`turn ${event.turn} from ${event.audioStart} s, where the one before it ends at ${ended} s`)
      ended = Math.max(ended, event.audioEnd)
    } else if (event.type === "Update" && open !== event.turn) wrong.push(`Update ${event.turn} where ${open ?? "none"} is open`)
  }
  if (open !== undefined && (Exit.isSuccess(exit) || true)) wrong.push(`turn ${open} never ends`)
  return wrong
}

/** Invariant 1: in each session audio goes on, and what was offered was sent, told as dropped, or muted. */
const audio = (outcome: Outcome, sessions: ReadonlyArray<SessionRecord>, failed: boolean): ReadonlyArray<string> => {
  const wrong: Array<string> = []
  const covered: Array<Stretch> = [...outcome.muted]
  for (const { received, session } of sessions) {
    let reached = 0
    for (const { from, to } of received.stamped) {
      if (from < reached) wrong.push(`session ${session} hears ${from} after ${reached}`)
      reached = to
      covered.push({ from: from / rate, to: to / rate })
    }
  }
  for (const event of outcome.events) {
    if (event.type === "AudioDropped") covered.push({ from: event.audioStart, to: event.audioEnd })
  }
  let reached = 0
  for (const { from, to } of covered.toSorted((a, b) => a.from - b.from)) {
    // a run of a few samples at a seam is not told for one
    if (from > reached + 0.001) wrong.push(`audio from ${reached} to ${from} s is neither sent nor told`)
    reached = Math.max(reached, to)
  }
  if (!failed && reached < outcome.offered - 0.001) wrong.push(`audio from ${reached} to ${outcome.offered} s is neither sent nor told`)
  return wrong
}

/** Every word once, in order; all of them, but where the audio was not to be heard, or a turn was ended in the middle of it. */
const said = (outcome: Outcome, words: ReadonlyArray<Word>, failed: boolean): ReadonlyArray<string> => {
  const wrong: Array<string> = []
  const order = new Map(words.map(({ word }, at) => [word, at]))
  const heard = new Set<string>()
  let last = -1
  for (const event of outcome.events) {
    if (event.type !== "EndOfTurn") continue
    for (const word of event.transcript.split(" ").filter((text) => text !== "")) {
      const at = order.get(word)
      if (at === undefined) wrong.push(`turn ${event.turn} has "${word}", which nobody said`)
      else if (heard.has(word)) wrong.push(`turn ${event.turn} has "${word}" once more`)
      else if (at < last) wrong.push(`turn ${event.turn} has "${word}" after "${words[last]?.word}"`)
      heard.add(word)
      last = Math.max(last, at ?? last)
    }
  }
  const unsure: Array<Stretch> = [
    ...outcome.muted.map(({ from, to }) => ({ from: from - 0.6, to: to + 0.6 })),
    ...outcome.ends.map((at) => ({ from: at - 1, to: at + 1 })),
    ...outcome.events.flatMap((event) => event.type === "AudioDropped" ? [{ from: event.audioStart - 0.6, to: event.audioEnd + 0.6 }] : [])
  ]
  for (const { end, start, word } of words) {
    if (heard.has(word) || end > outcome.offered) continue
    if (unsure.some(({ from, to }) => start < to && end > from)) continue
    // what the last session had not told of is lost with the call
    if (failed && start > toldUpTo(outcome) - 0.6) continue
    wrong.push(`"${word}" (${start} s) is lost`)
  }
  return wrong
}

const toldUpTo = ({ events }: Outcome): number =>
  events.reduce((told, event) => "audioEnd" in event && event.type !== "AudioDropped" ? Math.max(told, event.audioEnd) : told, 0)

/** Invariant 7: between two signs of progress at most five sessions, and each outage ends. */
const budget = ({ events }: Outcome, sessions: ReadonlyArray<SessionRecord>): ReadonlyArray<string> => {
  const wrong: Array<string> = []
  let attempts = 0
  for (const event of events) {
    if (event.type === "Reconnecting") {
      attempts++
      if (attempts > 6) wrong.push(`${attempts} attempts in a row`)
    } else if (event.type === "Update" || event.type === "EndOfTurn") attempts = 0
  }
  if (sessions.some(({ ending }) => ending === "open")) wrong.push("a session is still open at the endpoint")
  return wrong
}
