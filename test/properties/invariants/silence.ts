/** Silence that nobody offered: where it may be, where it must be, and never in a burst (design 5). */
import { assert } from "@effect/vitest"
import { isSilence } from "../ear.ts"
import type { Interval, Outcome } from "../run.ts"

const within = (intervals: ReadonlyArray<Interval>, at: number): boolean => intervals.some(({ from, to }) => from <= at && at <= to)
const frameMillis = 80
/** A keep-alive comes at the latest after twice its interval: 20 s. */
const longestPause = 21_000
/** Twice the longest chunk, or 500 ms, and eotTimeoutMs + 5 s of silence; and some frames. */
const longestTurnWithoutAudio = 2 * 1876 + 10_000 + 500

const turnsOf = ({ closedAt, events }: Outcome): ReadonlyArray<Interval> => {
  const turns: Array<Interval> = []
  for (const event of events) {
    const last = turns.at(-1)
    if (event.type === "StartOfTurn") turns.push({ from: event.receivedAt, to: closedAt })
    else if (event.type === "EndOfTurn" && last !== undefined) last.to = event.receivedAt
  }
  return turns
}

/** Frames only in an open turn, or where one is to end; a sample only outside of one, and only where nothing was sent for long. */
const place = (outcome: Outcome, turns: ReadonlyArray<Interval>): void => {
  const { endTurns, finished, leftAt, user, witness } = outcome
  const trailing = finished !== undefined && user.finish === "silence" ? leftAt : Number.POSITIVE_INFINITY
  witness.sent.forEach(({ at, bytes, type }, index) => {
    if (type !== undefined || !isSilence(bytes)) return
    if (bytes.length > 2) {
      if (!within(turns, at) && !within(endTurns, at) && at < trailing) assert.fail(`silence outside turns at ${at} ms`)
      return
    }
    if (turns.some(({ from, to }) => from < at && at < to)) assert.fail(`keep-alive in a turn at ${at} ms`)
    const before = witness.sent[index - 1]?.at ?? witness.connectedAt ?? 0
    assert.isAtLeast(at - before, user.keepAlive - 0.01, `keep-alive ${at - before} ms after the last send`)
  })
}

/** In real time: none gathers while the server does not read. */
const bursts = ({ endTurns, user, witness }: Outcome): void => {
  const times = witness.sent.flatMap(({ at, bytes, type }) => (type === undefined && bytes.length > 2 && isSilence(bytes) ? [at] : []))
  // watchdog, end of turn and trailing silence may follow each other closely
  const kinds = 1 + Math.min(endTurns.length, 2) + (user.finish === "silence" ? 1 : 0)
  times.forEach((at, index) => {
    const next = times[index + kinds]
    if (next !== undefined && next - at < frameMillis - 0.01) assert.fail(`silence in a burst at ${at} ms`)
  })
}

/** A server that reads is never left without anything for long, and a turn that nobody speaks in ends. */
const liveness = (outcome: Outcome, turns: ReadonlyArray<Interval>): void => {
  const { endTurns, events, leftAt, offeredAt, witness } = outcome
  const { closeStreamAt, connectedAt, overAt } = witness
  if (connectedAt === undefined) return
  const disconnectAt = events.find(({ type }) => type === "Disconnected")?.receivedAt
  const end = Math.min(closeStreamAt ?? leftAt, overAt ?? leftAt, disconnectAt ?? leftAt, leftAt)
  const sends = [connectedAt, ...witness.sent.map(({ at }) => at), end].filter((at) => at >= connectedAt && at <= end)
  sends.forEach((at, index) => {
    const next = sends[index + 1] ?? at
    if (next - at > longestPause) assert.fail(`nothing is sent from ${at} to ${next} ms`)
  })
  for (const { from, to } of turns) {
    const times = [Math.max(from, connectedAt), ...offeredAt.filter((at) => from < at && at < Math.min(to, end)), Math.min(to, end)]
    times.forEach((at, index) => {
      const next = times[index + 1] ?? at
      const helped = endTurns.reduce((sum, { from, to }) => sum + Math.max(0, Math.min(to, next) - Math.max(from, at)), 0)
      if (next - at > longestTurnWithoutAudio + helped) assert.fail(`a turn is open from ${at} to ${next} ms without audio`)
    })
  }
}

/** See the module. */
export const silence = (outcome: Outcome, isReading: boolean): void => {
  bursts(outcome)
  if (outcome.ending === undefined) return
  const turns = turnsOf(outcome)
  place(outcome, turns)
  if (isReading) liveness(outcome, turns)
}
