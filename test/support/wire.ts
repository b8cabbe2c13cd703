/** Flux messages as the protocol document spells them (2.1, 2.2), for tests that play the server. */

export const requestId = "550e8400-e29b-41d4-a716-446655440000"

export const connected = JSON.stringify({ type: "Connected", request_id: requestId, sequence_id: 0 })

export interface TurnInfoFields {
  readonly event: string
  readonly turn?: number
  readonly transcript?: string
  readonly start?: number
  readonly end?: number
  readonly confidence?: number
  readonly extra?: object
}

/** A TurnInfo; every word has confidence 0.9. */
export const turnInfo = (fields: TurnInfoFields): string => {
  const transcript = fields.transcript ?? ""
  return JSON.stringify({
    type: "TurnInfo",
    request_id: requestId,
    sequence_id: 1,
    event: fields.event,
    turn_index: fields.turn ?? 0,
    audio_window_start: fields.start ?? 0,
    audio_window_end: fields.end ?? 0.24,
    transcript,
    words: transcript === "" ? [] : transcript.split(" ").map((word) => ({ word, confidence: 0.9 })),
    end_of_turn_confidence: fields.confidence ?? 0.1,
    ...fields.extra
  })
}
