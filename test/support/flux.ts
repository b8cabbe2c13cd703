/** The simulator's Flux in a test: asks, draws audio, reads what it said. */
import { assert } from "@effect/vitest"
import * as Result from "effect/Result"
import { type FatalError, parse, type ServerMessage, type TurnInfo } from "../../src/FluxMessage.ts"
import * as FluxModel from "../../src/simulator/FluxModel.ts"
import { type Profile, profiles } from "../../src/simulator/Profile.ts"

export const requestId = "550e8400-e29b-41d4-a716-446655440000"
export const baseQuery = "model=flux-general-en&encoding=linear16&sample_rate=16000"
export const multiQuery = baseQuery.replace("-en", "-multi")
export const closeStream = `{"type":"CloseStream"}`
export const forceEndTurn = `{"type":"ForceEndTurn"}`

/** The newest bundle with exact windows, and without a memory of turns: the first one of a session is as every other. */
export const plainHosted: Profile = { ...profiles["hosted-2026-09"], endOfTurnMemory: false, float32Windows: false }

/** A model that must be taken, and has said Connected. */
export const open = (query: string, options: Partial<FluxModel.Options> = {}): FluxModel.FluxModel => {
  const made = FluxModel.make({ query, requestId, ...options })
  if (Result.isFailure(made)) assert.fail(`refused: ${made.failure}`)
  made.success.connected()
  return made.success
}

/** Reads a message: off the wire, or out of a model, which must have said rightly what it is about. */
export const read = (said: FluxModel.Said | string | undefined): ServerMessage => {
  const text = typeof said === "string" ? said : said?.text ?? ""
  const message = parse(text)
  if (message.type === "Unreadable" || message.type === "Unrecognized") return assert.fail(`no message of Flux: ${text}`)
  if (typeof said === "object") {
    const [kind, turn] = message.type === "TurnInfo" ? [message.event, message.turn_index] : [message.type, undefined]
    assert.deepStrictEqual([said.kind, said.turn], [kind, turn])
  }
  return message
}

/** Reads messages that must all be TurnInfo. */
export const turnInfos = (said: ReadonlyArray<FluxModel.Said | string>): Array<TurnInfo> =>
  said.map((each) => {
    const message = read(each)
    return message.type === "TurnInfo" ? message : assert.fail(`not a TurnInfo but a ${message.type}`)
  })

/** Reads a message that must be an Error. */
export const fatal = (said: FluxModel.Said | undefined): FatalError => {
  const message = read(said)
  return message.type === "Error" ? message : assert.fail(`not an Error but a ${message.type}`)
}

/** What happened when: the event, the audio time in ms at which it was said, and the transcript. */
export const told = (infos: ReadonlyArray<TurnInfo>): Array<readonly [string, number, string]> =>
  infos.map(({ audio_window_end, event, transcript }) => [event, Math.round(audio_window_end * 1000), transcript])

/** As {@link told}, without Updates. */
export const changes = (infos: ReadonlyArray<TurnInfo>): Array<readonly [string, number, string]> =>
  told(infos.filter(({ event }) => event !== "Update"))
