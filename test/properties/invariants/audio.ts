/** Audio: every sample that was offered came, in order and byte for byte, or was muted, or is told as dropped; usage adds up (1, 6). */
import { assert } from "@effect/vitest"
import * as Exit from "effect/Exit"
import * as Stamp from "../../../src/simulator/Stamp.ts"
import { mostBytes, type Outcome, settingsOf } from "../run.ts"

/** What became of a sample. */
const due = 0
const muted = 1
const unknown = 2
const dropped = 3

const fates = ({ events, sound, user }: Outcome): Uint8Array => {
  const fate = new Uint8Array(Math.ceil(sound.bytes() / 2))
  for (const chunk of sound.chunks) {
    // half a sample next to what was muted does not come
    if (chunk.fate !== "due") fate.fill(chunk.fate === "muted" ? muted : unknown, Math.floor(chunk.from / 2), Math.ceil(chunk.to / 2))
  }
  if (sound.bytes() % 2 !== 0) fate[fate.length - 1] = unknown
  if (!sound.positionsKnown()) return fate
  let told = 0
  for (const event of events) {
    if (event.type !== "AudioDropped") continue
    const [from, to] = [Math.round(event.audioStart * user.rate), Math.round(event.audioEnd * user.rate)]
    assert.isAtLeast(from, told, "drops are told in order")
    assert.isAbove(to, from, "an empty drop")
    told = to
    for (let at = from; at < to; at++) if (fate[at] === muted) assert.fail(`sample ${at} was muted, and is told as dropped`)
    fate.fill(dropped, from, to)
  }
  return fate
}

/** A pair of samples says where it is from, a part of one does not quite: then it is the first like it that is due. */
const nearestDue = (fate: Uint8Array, position: number, samples: number): number => {
  const came = Stamp.audio(position, samples)
  for (let at = position; at < fate.length; at++) {
    if (fate[at] === due && Stamp.audio(at, samples).every((byte, index) => byte === came[index])) return at
  }
  return position
}

/** What came is what was due, in order. */
const arrival = (outcome: Outcome): void => {
  const limitBytes = settingsOf(outcome.user).outboxLimit
  const { ending, events, user, witness } = outcome
  const fate = fates(outcome)
  const cameAt = new Uint8Array(fate.length)
  for (const { from, offered, position, to } of witness.ear.pieces) {
    if (!offered) continue
    const first = to - from < 4 ? nearestDue(fate, position, to - from) : position
    for (let at = first; at < first + to - from; at++) {
      // not `assert`, which takes its time
      if (at >= fate.length) assert.fail("more came than was offered")
      if (fate[at] === muted) assert.fail(`sample ${at} came, although muted`)
      if (fate[at] === dropped) assert.fail(`sample ${at} came, and is told as dropped`)
      cameAt[at] = 1
    }
  }
  // up to the last sample that came nothing is missing, and where all is well up to the end
  const well = ending !== undefined && Exit.isSuccess(ending) && outcome.finished !== undefined && Exit.isSuccess(outcome.finished)
  // what was dropped after the last frame is told at the end
  const told = events.some(({ type }) => type === "Disconnected")
  const end = well ? fate.length : cameAt.lastIndexOf(1) + 1
  if (user.policy === "drop-oldest") {
    if (ending !== undefined) undelivered(fate, cameAt, (limitBytes + mostBytes) / 2)
    if (!told) return
  }
  for (let at = 0; at < end; at++) if (fate[at] === due && cameAt[at] === 0) assert.fail(`sample ${at} was offered, and neither came nor is told`)
}

/** A session that has failed leaves no more behind than fits into its outbox, and of the chunk that was coming in: the rest is told as dropped. */
const undelivered = (fate: Uint8Array, cameAt: Uint8Array, limit: number): void => {
  let untold = 0
  fate.forEach((what, at) => {
    if (what === due && cameAt[at] === 0) untold += 1
  })
  assert.isAtMost(untold, limit + 1, "samples that neither came nor are told")
}

/** What is told as sent is what was sent, and silence is told apart. */
const usage = ({ events, user, witness }: Outcome): void => {
  if (!events.some(({ type }) => type === "Disconnected")) return
  const told = { audio: 0, injected: 0 }
  for (const event of events) {
    if (event.type !== "EndOfTurn" && event.type !== "Disconnected") continue
    told.audio += event.usage.audioSeconds
    told.injected += event.usage.injectedSeconds
    // a server may tell of less than it told of before
    if (event.type === "Disconnected") continue
    assert.isAtLeast(event.usage.injectedSeconds, -1e-5, "less silence than before")
    assert.isAtLeast(event.usage.audioSeconds, -1e-5, "less audio than before")
  }
  const sent = { audio: 0, injected: 0 }
  for (const { from, offered, to } of witness.ear.pieces) sent[offered ? "audio" : "injected"] += (to - from) / user.rate
  assert.closeTo(told.audio, sent.audio, 1e-4, "audio that was sent")
  assert.closeTo(told.injected, sent.injected, 1e-4, "silence that was sent")
}

/** See the module. */
export const audio = (outcome: Outcome): void => {
  arrival(outcome)
  usage(outcome)
}
