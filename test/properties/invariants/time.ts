/** Conversation time: what Flux says of its audio time is told of the right moments of the conversation (design 6). */
import { assert } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { isTurnEvent } from "../../../src/FluxEvent.ts"
import * as FluxMessage from "../../../src/FluxMessage.ts"
import type { Outcome } from "../run.ts"

const isTurnInfo = Schema.is(FluxMessage.TurnInfo)

/** Shorter than this is none. */
const noise = 0.003
/** What has none lies where it ends. */
const hasWidth = (start: number, end: number | null | undefined): boolean => end == null || Math.abs(end - start) > noise

/** See the module. */
export const time = ({ events, sound, user, witness: { ear, read } }: Outcome): void => {
  let reached = 0
  /** No times before this need be known any more: a window began later. */
  let forgotten = 0
  let index = 0
  let latest = 0
  const ends = [0]
  const total = sound.bytes() / 2 / user.rate
  for (const event of events) {
    if (!isTurnEvent(event)) continue
    const { audioEnd, audioStart, raw, receivedAt } = event
    for (let next = read[index]; next !== undefined && next.at <= receivedAt; next = read[++index]) {
      if (next.message.type === "TurnInfo") forgotten = Math.max(forgotten, next.message.audio_window_start)
    }
    if (isTurnInfo(raw)) {
      const isSane = raw.audio_window_start <= raw.audio_window_end
      if (isSane) assert.isAtMost(audioStart, audioEnd + 1e-6, "a window ends before it begins")
      if (sound.positionsKnown()) {
        assert.isAtMost(audioEnd, total + 0.01, "time that was not offered")
        // the words that were told already are left out, and the window begins behind them, or at its end where it runs back
        if (!ends.includes(audioStart) && audioStart !== audioEnd && raw.audio_window_start >= forgotten && hasWidth(raw.audio_window_start, raw.audio_window_end)) {
          assert.isTrue(ear.isStart(raw.audio_window_start, audioStart, receivedAt), `start ${raw.audio_window_start} is told as ${audioStart}`)
        }
        if (raw.audio_window_end >= forgotten) {
          assert.isTrue(ear.isEnd(raw.audio_window_end, audioEnd, receivedAt), `end ${raw.audio_window_end} is told as ${audioEnd}`)
        }
        // nothing of it was told before
        const isWhole = isSane && event.words.length === raw.words.length && ear.isStart(raw.audio_window_start, audioStart, receivedAt)
        const words = raw.words.slice(raw.words.length - event.words.length)
        event.words.forEach((word, at) => {
          const said = words[at]
          if (said === undefined || said.word !== word.word) return
          const { end, start } = said
          const [from, to] = [word.start ?? Number.NaN, word.end ?? Number.NaN]
          // at an edge of the window the word keeps to it, on whichever side of a gap that is
          const isAtEdge = [start, end].some((at) => at != null && Math.min(Math.abs(at - raw.audio_window_start), Math.abs(at - raw.audio_window_end)) <= noise)
          if (!isAtEdge && start != null && start >= forgotten && hasWidth(start, end)) {
            assert.isTrue(ear.isStart(start, from, receivedAt), `a word at ${start} is told at ${from}`)
          }
          if (!isAtEdge && end != null && end >= forgotten) assert.isTrue(ear.isEnd(end, to, receivedAt), `a word up to ${end} is told up to ${to}`)
          if (start != null && end != null && isWhole && start >= raw.audio_window_start && end <= raw.audio_window_end && start <= end) {
            assert.isAtLeast(from, audioStart - noise, "a word before its turn")
            assert.isAtMost(to, audioEnd + noise, "a word after its turn")
          }
        })
      }
      // windows that go on go on in the conversation, too
      if (raw.audio_window_end >= latest) {
        assert.isAtLeast(audioEnd, reached - noise, "time runs back")
        latest = raw.audio_window_end
        reached = audioEnd
      }
    }
    if (event.type === "EndOfTurn") ends.push(audioEnd)
  }
}
