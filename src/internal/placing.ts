/** What Flux tells in the audio time of a session, put into the time of the conversation. Pure. */
import type { TurnInfo, Word } from "../FluxMessage.ts"
import type { Timeline } from "./timeline.ts"

/** A message with its window, and its words where they have times, in seconds of the conversation. */
export const place = (timeline: Timeline, info: TurnInfo): TurnInfo => {
  if (timeline.isIdentity()) return info
  const { end, start } = span(timeline, info.audio_window_start, info.audio_window_end)
  /** What lies in the window goes on to lie in it, also what has no width and stands at a gap. */
  const inside = (told: number, seconds: number): number =>
    told >= info.audio_window_start && told <= info.audio_window_end ? Math.min(Math.max(seconds, start), end) : seconds
  return { ...info, audio_window_start: start, audio_window_end: end, words: info.words.map((word) => placeWord(timeline, word, inside)) }
}

/** What has no width does not begin beyond a gap that it ends before. */
const span = (timeline: Timeline, start: number, end: number): { readonly start: number; readonly end: number } => {
  const to = timeline.end(end)
  return { start: start <= end ? Math.min(timeline.start(start), to) : timeline.start(start), end: to }
}

const placeWord = (timeline: Timeline, word: Word, inside: (told: number, seconds: number) => number): Word => {
  const { end, start } = word
  const begins = start == null || end == null ? timeline.start : (at: number): number => span(timeline, at, end).start
  return {
    ...word,
    ...(start == null ? {} : { start: inside(start, begins(start)) }),
    ...(end == null ? {} : { end: inside(end, timeline.end(end)) })
  }
}
