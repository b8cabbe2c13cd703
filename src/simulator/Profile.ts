/** What each known Flux bundle takes and says: the simulator's side of `FluxTransport.profiles`. Pure. */
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
  /** The `code` of a ConfigureFailure (protocol 2.4); absent: the message has neither code nor description. */
  readonly configureFailureCode?: string | undefined
}
