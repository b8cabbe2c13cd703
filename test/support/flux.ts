/** The simulator's Flux in a test: asks, draws audio, reads what it said. */
import { assert } from "@effect/vitest"
import * as Result from "effect/Result"
import type { FatalError, TurnInfo } from "../../src/FluxMessage.ts"
import { parse } from "../../src/FluxMessage.ts"
import * as FluxModel from "../../src/simulator/FluxModel.ts"

export const requestId = "550e8400-e29b-41d4-a716-446655440000"
export const baseQuery = "model=flux-general-en&encoding=linear16&sample_rate=16000"
export const closeStream = `{"type":"CloseStream"}`

/** A model that must be taken, and has said Connected. */
export const open = (query: string, options: Partial<FluxModel.Options> = {}): FluxModel.FluxModel => {
  const made = FluxModel.make({ query, requestId, ...options })
  if (Result.isFailure(made)) assert.fail(`refused: ${made.failure}`)
  made.success.connected()
  return made.success
}

/** Reads texts that must all be TurnInfo. */
export const turnInfos = (texts: ReadonlyArray<string>): Array<TurnInfo> =>
  texts.map((text) => {
    const message = parse(text)
    return message.type === "TurnInfo" ? message : assert.fail(`not a TurnInfo: ${text}`)
  })

/** Reads a text that must be an Error. */
export const fatal = (text: string | undefined): FatalError => {
  const message = parse(text ?? "")
  return message.type === "Error" ? message : assert.fail(`not an Error: ${text}`)
}

/** What happened when: the event, the audio time in ms at which it was said, and the transcript. */
export const told = (infos: ReadonlyArray<TurnInfo>): Array<readonly [string, number, string]> =>
  infos.map(({ audio_window_end, event, transcript }) => [event, Math.round(audio_window_end * 1000), transcript])

/** As {@link told}, without Updates. */
export const changes = (infos: ReadonlyArray<TurnInfo>): Array<readonly [string, number, string]> =>
  told(infos.filter(({ event }) => event !== "Update"))
