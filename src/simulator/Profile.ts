/**
 * What each known Flux bundle takes and says: the simulator's side of `FluxTransport.profiles`. Pure.
 *
 * Where the protocol says unknown, a choice was made; a client must not rely on any of them.
 */
import { type ProfileName, profiles as capabilities } from "../FluxTransport.ts"
import type { Limits, Model } from "../internal/settings.ts"

/** A text message of a client. */
export type ClientMessage = "CloseStream" | "Configure" | "ForceEndTurn"

/** A bundle. Everything that it does not take is refused: parameters with a 424, messages with a fatal Error. */
export interface Profile {
  readonly name: string
  /** Models it may have been built with; one endpoint runs the one it is asked for. */
  readonly models: ReadonlyArray<Model>
  /** Text messages that it understands. */
  readonly messages: ReadonlyArray<ClientMessage>
  /** Query parameters and ranges (protocol 1.1). */
  readonly limits: Limits
  /** Whether EndOfTurn says its `trigger` (protocol 2.2). */
  readonly trigger: boolean
  /** Whether words carry `start` and `end` (protocol 2.2: unknown, clients must do without). */
  readonly wordTimes: boolean
  /** How an unset eager threshold is echoed by ConfigureSuccess (protocol 2.3: unknown). */
  readonly unsetEager: "absent" | "null"
  /**
   * Whether the first turn of a session is ended later than those after it: Flux keeps what it knows of ends of turns
   * over the turns of a connection, and a new connection has nothing of it (protocol 11.6). Absent: no.
   */
  readonly endOfTurnMemory?: boolean | undefined
  /** Whether audio windows carry the noise of 32-bit floats, such as 0.47999996 (protocol 2.2, 11.7). Absent: no. */
  readonly float32Windows?: boolean | undefined
  /** Version of the UUIDs that are request ids (protocol 11.7). Absent: 4. */
  readonly requestIdVersion?: 4 | 7 | undefined
  /** The `code` of a ConfigureFailure (protocol 2.4); absent: the message has neither code nor description. */
  readonly configureFailureCode?: string | undefined
}

/** The known bundles (protocol 1.1, 2, 3 and 8), narrowest first. */
export const profiles: Readonly<Record<ProfileName, Profile>> = {
  /**
   * Takes CloseStream alone. Word times: as in the protocol's example of its model (2.2), though for self-hosted Flux
   * they are told of from release 260630 on (11.7). What concerns Configure never shows.
   */
  "flux-english-20260311": {
    name: "flux-english-20260311",
    models: ["flux-general-en"],
    messages: ["CloseStream"],
    limits: capabilities["flux-english-20260311"],
    trigger: false,
    wordTimes: true,
    unsetEager: "absent"
  },
  /**
   * Takes Configure. Word times: none, as in the protocol's example of its model (2.2). The code of a
   * ConfigureFailure is the one that was seen on SageMaker at its time (2.4).
   */
  "flux-multi-20260417": {
    name: "flux-multi-20260417",
    models: ["flux-general-multi"],
    messages: ["CloseStream", "Configure"],
    limits: capabilities["flux-multi-20260417"],
    trigger: false,
    wordTimes: false,
    unsetEager: "absent",
    configureFailureCode: "UNPARSABLE_CLIENT_MESSAGE"
  },
  /**
   * Takes everything, with either model, and has what was seen of hosted Flux alone (protocol 11). Word times are
   * given; an unset eager threshold is null, so that between this bundle and the others a client meets both spellings.
   * One code for every ConfigureFailure: no other than that of thresholds is known (protocol 9, 7).
   */
  "hosted-2026-09": {
    name: "hosted-2026-09",
    models: ["flux-general-en", "flux-general-multi"],
    messages: ["CloseStream", "Configure", "ForceEndTurn"],
    limits: capabilities["hosted-2026-09"],
    trigger: true,
    wordTimes: true,
    unsetEager: "null",
    endOfTurnMemory: true,
    float32Windows: true,
    requestIdVersion: 7,
    configureFailureCode: "INVALID_THRESHOLD"
  }
}

const narrowest: Readonly<Record<Model, Profile>> = {
  "flux-general-en": profiles["flux-english-20260311"],
  "flux-general-multi": profiles["flux-multi-20260417"]
}

/** The profile given, or else the narrowest that has the model asked for; without a model, the narrowest of all. */
export const resolve = (given: ProfileName | Profile | undefined, model: Model | undefined): Profile =>
  given === undefined ? narrowest[model ?? "flux-general-en"] : typeof given === "string" ? profiles[given] : given
