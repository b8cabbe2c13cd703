/** Conversation time: what Flux says of its audio time is told of the right moments of the conversation (design 6). */
import { assert } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { isTurnEvent } from "../../../src/FluxEvent.ts"
import * as FluxMessage from "../../../src/FluxMessage.ts"
import type { Outcome } from "../run.ts"

const isTurnInfo = Schema.is(FluxMessage.TurnInfo)

/** See the module. */
export const time = ({ events, sound, user, witness: { ear } }: Outcome): void => {
  let reached = 0
  let forgotten = 0
  let latest = 0
  const ends = [0]
  const total = sound.bytes() / 2 / user.rate
  for (const event of events) {
    if (!isTurnEvent(event)) continue
    const { audioEnd, audioStart, raw, receivedAt } = event
    if (isTurnInfo(raw)) {
      const isSane = raw.audio_window_start <= raw.audio_window_end
      if (isSane) assert.isAtMost(audioStart, audioEnd + 1e-6, "a window ends before it begins")
      if (sound.positionsKnown()) {
        assert.isAtMost(audioEnd, total + 0.01, "time that was not offered")
        // the words that were told already are left out, and the window begins behind them
        if (!ends.includes(audioStart) && raw.audio_window_start >= forgotten) {
          assert.isTrue(ear.isStart(raw.audio_window_start, audioStart, receivedAt), `start ${raw.audio_window_start} is told as ${audioStart}`)
        }
        if (raw.audio_window_end >= forgotten) {
          assert.isTrue(ear.isEnd(raw.audio_window_end, audioEnd, receivedAt), `end ${raw.audio_window_end} is told as ${audioEnd}`)
        }
        const words = raw.words.slice(raw.words.length - event.words.length)
        event.words.forEach((word, at) => {
          const said = words[at]
          if (said === undefined || said.word !== word.word) return
          const { end, start } = said
          if (start != null && start >= forgotten) {
            assert.isTrue(ear.isStart(start, word.start ?? Number.NaN, receivedAt), `a word at ${start} is told at ${word.start}`)
          }
          if (end != null && end >= forgotten) assert.isTrue(ear.isEnd(end, word.end ?? Number.NaN, receivedAt), `a word up to ${end} is told up to ${word.end}`)
          if (start != null && end != null && isSane && start >= raw.audio_window_start && end <= raw.audio_window_end && start <= end) {
            assert.isAtLeast(word.start ?? Number.NaN, audioStart - 0.003, "a word before its turn")
            assert.isAtMost(word.end ?? Number.NaN, audioEnd + 0.003, "a word after its turn")
          }
        })
      }
      // windows that go on go on in the conversation, too
      if (raw.audio_window_end >= latest) {
        assert.isAtLeast(audioEnd, reached - 0.003, "time runs back")
        latest = raw.audio_window_end
        reached = audioEnd
      }
      forgotten = Math.max(forgotten, raw.audio_window_start)
    }
    if (event.type === "EndOfTurn") ends.push(audioEnd)
  }
}
