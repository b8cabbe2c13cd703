/** The messages of the simulated Flux, numbered (protocol 2). Pure. */
import type {
  ConfigureFailure,
  ConfigureSuccess,
  Connected,
  FatalError,
  TurnEvent,
  TurnInfo,
  Warning,
  Word
} from "../../FluxMessage.ts"
import type { Model } from "../../internal/settings.ts"
import { fourDecimals } from "./confidence.ts"
import * as configuration from "./configuration.ts"
import * as float32 from "./float32.ts"
import type { Profile } from "../Profile.ts"
import type { Turn } from "./turn.ts"

/** A message, and what it is about. */
export interface Said {
  /** `Connected`, `ConfigureSuccess`, `ConfigureFailure`, `Warning`, `Error`, or the event of a TurnInfo. */
  readonly kind: string
  /** The turn's index, of a TurnInfo. */
  readonly turn: number | undefined
  /** The JSON. */
  readonly text: string
}

/** What ended a turn (protocol 2.2). */
export type Trigger = "model" | "timeout" | "manual"

/** What a TurnInfo tells. */
export interface TurnState {
  readonly event: TurnEvent
  readonly turnIndex: number
  readonly windowStartMillis: number
  readonly nowMillis: number
  readonly turn: Turn | undefined
  readonly confidence: number
  readonly languageHints: ReadonlyArray<string>
  readonly trigger: Trigger | undefined
}

/** The session's messages: each call gives the next one, under the next sequence id. */
export interface ServerMessages {
  readonly connected: () => Said
  readonly turnInfo: (state: TurnState) => Said
  readonly configureSuccess: (active: configuration.Configuration) => Said
  readonly configureFailure: (description: string, code: string | undefined) => Said
  /** A ForceEndTurn that found no turn (protocol 2.5). */
  readonly noActiveTurn: () => Said
  /** A text message that cannot be read (protocol 2.6). */
  readonly fatal: (problem: string) => Said
}

/** Messages of a new session. */
export const make = (
  { model, profile, requestId }: { readonly requestId: string; readonly model: Model; readonly profile: Profile }
): ServerMessages => {
  let sequence = 0
  const common = () => ({ request_id: requestId, sequence_id: sequence++ })
  const wordsOf = (turn: Turn | undefined): ReadonlyArray<Word> =>
    (turn?.words ?? []).map(({ confidence: exact, end, start, word }) => {
      const confidence = fourDecimals(exact)
      return profile.wordTimes ? { word, confidence, start, end } : { word, confidence }
    })
  const secondsOf = profile.float32Windows === true ? float32.seconds : (millis: number): number => millis / 1000
  return {
    connected: () => said({ type: "Connected", ...common() }),
    turnInfo: (state) => {
      const { confidence, event, nowMillis, trigger, turn, turnIndex, windowStartMillis } = state
      const message: TurnInfo = {
        type: "TurnInfo",
        ...common(),
        event,
        turn_index: turnIndex,
        audio_window_start: secondsOf(windowStartMillis),
        audio_window_end: secondsOf(nowMillis),
        transcript: turn === undefined ? "" : turn.words.map(({ word }) => word).join(" "),
        words: wordsOf(turn),
        end_of_turn_confidence: confidence,
        ...(trigger !== undefined && profile.trigger ? { trigger } : {}),
        ...(model === "flux-general-multi" ? languagesOf(state) : {})
      }
      return { kind: event, turn: turnIndex, text: JSON.stringify(message) }
    },
    configureSuccess: (active) =>
      said({ type: "ConfigureSuccess", ...common(), ...configuration.echo(active, profile, model) }),
    configureFailure: (description, code) =>
      said({ type: "ConfigureFailure", ...common(), ...(code === undefined ? {} : { code, description }) }),
    noActiveTurn: () =>
      said({ type: "Warning", ...common(), code: "FORCE_END_TURN_NO_ACTIVE_TURN", description: "No active turn to end" }),
    fatal: (problem) =>
      said({
        type: "Error",
        sequence_id: sequence++,
        code: "UNPARSABLE_CLIENT_MESSAGE",
        description: `Could not deserialize last text message: ${problem}`
      })
  }
}

const said = (message: Connected | ConfigureSuccess | ConfigureFailure | Warning | FatalError): Said => ({
  kind: message.type,
  turn: undefined,
  text: JSON.stringify(message)
})

/** What the multilingual model tells besides: languages heard, and those to be expected (protocol 2.2). */
const languagesOf = ({ languageHints, turn }: TurnState): Pick<TurnInfo, "languages" | "languages_hinted"> => ({
  languages: turn === undefined ? [] : turn.line?.languages ?? [languageHints[0] ?? "en"],
  languages_hinted: languageHints
})
