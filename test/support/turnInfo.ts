import type { TurnInfo } from "../../src/FluxMessage.ts"

/** A TurnInfo as the client has read it: an Update of nothing, but for the fields given. */
export const turnInfoOf = (fields: Partial<TurnInfo>): TurnInfo => ({
  type: "TurnInfo",
  request_id: "r",
  sequence_id: 1,
  event: "Update",
  turn_index: 0,
  audio_window_start: 0,
  audio_window_end: 0,
  transcript: "",
  words: [],
  end_of_turn_confidence: 0,
  ...fields
})
