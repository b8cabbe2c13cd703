/**
 * The way to an endpoint: opens one connection of frames. Knows bytes and their type, puts
 * fragmented messages together again, and knows nothing of turns.
 *
 * Implemented by `SageMakerTransport` and `FakeTransport`; write your own to carry Flux elsewhere.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type { FluxError } from "./FluxError.ts"
import type { Frame } from "./internal/outbox.ts"

/** What the deployed Flux bundle understands. A message outside it is fatal to a session, so it is never sent. */
export interface Capabilities {
  /** The profile's name, for messages. */
  readonly name: string
  /** Takes `Configure` while running. */
  readonly configure: boolean
  /** Takes `ForceEndTurn`. */
  readonly forceEndTurn: boolean
  /** Takes the query parameter `numerals`. */
  readonly numerals: boolean
  /** Takes the query parameter `profanity_filter`. */
  readonly profanityFilter: boolean
  /** Takes the query parameter `redact`. */
  readonly redact: boolean
  /** Range of `eotThreshold`. */
  readonly eotThreshold: readonly [minimum: number, maximum: number]
  /** Range of `eotTimeoutMs`, in milliseconds. */
  readonly eotTimeoutMs: readonly [minimum: number, maximum: number]
}

/** Known bundles (protocol 1.1, 3). `flux-english-20260311` is the narrowest and the default. */
export const profiles = {
  "flux-english-20260311": {
    name: "flux-english-20260311",
    configure: false,
    forceEndTurn: false,
    numerals: false,
    profanityFilter: false,
    redact: false,
    eotThreshold: [0.5, 0.9],
    eotTimeoutMs: [500, 10_000]
  },
  "flux-multi-20260417": {
    name: "flux-multi-20260417",
    configure: true,
    forceEndTurn: false,
    numerals: false,
    profanityFilter: false,
    redact: false,
    eotThreshold: [0.5, 0.9],
    eotTimeoutMs: [500, 10_000]
  },
  "hosted-2026-09": {
    name: "hosted-2026-09",
    configure: true,
    forceEndTurn: true,
    numerals: true,
    profanityFilter: true,
    redact: true,
    eotThreshold: [0.5, 1],
    eotTimeoutMs: [500, 60_000]
  }
} as const satisfies Record<string, Capabilities>

/** The name of a known bundle. */
export type ProfileName = keyof typeof profiles

/** The names of the known bundles. */
export const profileNames: ReadonlyArray<ProfileName> = Object.keys(profiles).filter((name): name is ProfileName => name in profiles)

/** What is assumed of an endpoint when nothing is declared. */
export const defaultProfile: ProfileName = "flux-english-20260311"

export type { Frame } from "./internal/outbox.ts"

/** An open connection. It lives as long as the Scope it was opened in. */
export interface FluxConnection {
  /** SageMaker's request id. */
  readonly requestId: string
  /** The production variant that answered, where the server says so; the simulator says `simulator`. */
  readonly variant: string | undefined
  /** Whole text messages, in order. Ends when the server ends the response cleanly; single consumer. */
  readonly messages: Stream.Stream<string, FluxError>
  /**
   * Sends one message; completes when it has left this process, or only few have not. Its bytes belong to the
   * caller again then, and may be written to. Call it from one fiber at a time.
   */
  readonly send: (frame: Frame) => Effect.Effect<void, FluxError>
  /** Ends the request body. The server cuts its output at once (protocol 5.8), so read to the end first. */
  readonly end: Effect.Effect<void, FluxError>
}

/** Opens connections to one endpoint. */
export class FluxTransport extends Context.Service<FluxTransport, {
  /** What the endpoint understands. */
  readonly capabilities: Capabilities
  /**
   * Opens a connection with a `v2/listen` query string; succeeds on response headers. Sets no bound of its own:
   * the session does, by interrupting it, so every effect here should be interruptible. Closing the Scope resets the
   * stream and frees everything it held.
   */
  readonly open: (query: string) => Effect.Effect<FluxConnection, FluxError, Scope.Scope>
}>()("effect-flux-sagemaker/FluxTransport") {}
