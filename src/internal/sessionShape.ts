/** What a session looks like to those who use it. */
import type * as Effect from "effect/Effect"
import type * as FluxError from "../FluxError.ts"
import type * as FluxSettings from "../FluxSettings.ts"
import type { Change } from "./settingsChange.ts"

/** Where a session is. `accepted`: headers are here, Flux has not said Connected. */
export type Status = "opening" | "accepted" | "ready" | "finishing" | "ended"

/** How a session ends its audio: at once, or with silence until Flux ends the open turn (at most eotTimeoutMs + 2 s). */
export type Finish = "close" | "silence"

/** What waits in a session. */
export interface Buffered {
  /** Audio that waits to be sent. */
  readonly outboxBytes: number
  /** Events that wait for whoever listens. */
  readonly events: number
  /** Audio offered that Flux has not told of yet, in seconds. */
  readonly behindSeconds: number
}

/** What a session can be asked, however it is listened to. */
export interface Session {
  /** Completes when Flux takes audio; fails as the session fails. */
  readonly connected: Effect.Effect<{ readonly requestId: string; readonly variant: string | undefined }, FluxError.FluxError>
  /**
   * Sends audio in the encoding of the settings; chunks of any size. Completes when all of it is in the outbox; a full
   * one does as `outboxPolicy` says: the sender waits, and one that is interrupted there leaves a part of its chunk
   * inside; or the oldest audio goes; or this fails with `BufferOverflow`, and the session lives. Audio sent before
   * Connected is kept in order, after `finish` or `endAudio` it is ignored. The buffer is copied.
   */
  readonly send: (pcm: Uint8Array) => Effect.Effect<void, FluxError.FluxError>
  /** The same for callbacks: takes all of it or nothing, and says which. */
  readonly offerUnsafe: (pcm: Uint8Array) => boolean
  /** Says that no more audio comes, without waiting. */
  readonly endAudio: Effect.Effect<void>
  /**
   * Changes settings; completes when they are in force. Those of the client alone are at once; thresholds, keyterms,
   * language hints and numerals when Flux has taken them. All or nothing: fails with `UnsupportedByEndpoint` where the
   * endpoint cannot change one of them while running, with `SettingsRefused` where Flux refuses, and with
   * `ConfigureUnanswered`.
   */
  readonly update: (settings: FluxSettings.Settings) => Effect.Effect<"configured", FluxError.FluxError>
  /**
   * Ends the open turn behind all audio offered so far: by ForceEndTurn where the endpoint takes it, else by silence in
   * real time; completes when it has ended, at the latest after eotTimeoutMs + 2 s. Audio offered meanwhile belongs to
   * the next turn.
   */
  readonly endTurn: Effect.Effect<void, FluxError.FluxError>
  /** While muted, audio moves the conversation's time on and is not sent; an open turn is ended by silence. */
  readonly setMuted: (muted: boolean) => Effect.Effect<void>
  /** Ends the audio and waits until the last words are here and the connection is freed. */
  readonly finish: Effect.Effect<void, FluxError.FluxError>
  readonly status: Effect.Effect<Status>
  readonly settings: Effect.Effect<FluxSettings.Settings>
  readonly buffered: Effect.Effect<Buffered>
}

/** A session as whoever opened it has it. */
export interface OpenedSession extends Session {
  /** The session's life; never fails. */
  readonly run: Effect.Effect<void>
  /** To be said before `run` is interrupted: only then does an interruption come from outside. */
  readonly scopeClosing: Effect.Effect<void>
  /** Changes settings as `update` does, to what is made of those at that moment: no other change comes in between. */
  readonly change: (next: Change) => Effect.Effect<"configured", FluxError.FluxError>
  /** Tells that settings which nobody waits for cannot be had. */
  readonly reject: (settings: ReadonlyArray<string>, error: FluxError.FluxError) => Effect.Effect<void>
}
