/** What sessions and conversations look like to those who use them. */
import type * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Audio from "../Audio.ts"
import type * as FluxError from "../FluxError.ts"
import type * as FluxSettings from "../FluxSettings.ts"
import type { Change, Obstacles } from "./settingsChange.ts"
import type { Signal } from "./signals.ts"

/** Where one session is. `accepted`: headers are here, Flux has not said Connected. */
export type SessionStatus = "opening" | "accepted" | "ready" | "finishing" | "ended"

/** Where a conversation is: where its session is, or that it needs another one. */
export type Status = SessionStatus | "reconnecting"

/** Why a session is opened: for a new call, in the place of one that broke, or of one that is too old or has other settings. */
export type Purpose = "first" | "recovery" | "rotation"

/** How a session ends its audio: at once, or with silence until Flux ends the open turn (at most eotTimeoutMs + 2 s). */
export type Finish = "close" | "silence"

/** What a session is connected to: SageMaker's id of it, and the production variant, where it is told. */
export interface ConnectedTo {
  readonly requestId: string
  readonly variant: string | undefined
}

/** How settings came into force: with the session in hand, or with another one. */
export type Applied = "configured" | "rotated"

/** What waits in a conversation. */
export interface Buffered {
  /** Audio that waits to be sent. */
  readonly outboxBytes: number
  /** Events that wait for whoever listens. */
  readonly events: number
  /** Audio offered that Flux has not told of yet, in seconds. */
  readonly behindSeconds: number
}

/** What a conversation can be asked, however many sessions it takes. */
export interface Session {
  /** Completes when Flux takes audio for the first time; fails as the conversation fails. */
  readonly connected: Effect.Effect<ConnectedTo, FluxError.FluxError>
  /**
   * Sends audio in the encoding of the settings; chunks of any size. Completes when all of it is in the outbox; a full
   * one does as `outboxPolicy` says: the sender waits, and one that is interrupted there leaves a part of its chunk
   * inside; or the oldest audio goes; or this fails with `BufferOverflow`, and the session lives. A chunk may be larger than
   * `outboxLimit`: it goes in by and by, or its end stays, or it is refused. Audio sent before Connected is kept in order,
   * after `finish` or `endAudio` it is ignored, after its Scope was closed it fails with `CallOver`. The bytes are copied
   * by the time this completes. What is no bytes fails with `UnsupportedAudio`, and the session lives.
   */
  readonly send: (pcm: Audio.Bytes) => Effect.Effect<void, FluxError.FluxError>
  /**
   * The same for callbacks: takes all of it or nothing, and says which. `false` is for now: the outbox is full, or the audio
   * has ended. Throws a `FluxError` where no later call could do better: `BufferOverflow` for more than `outboxLimit` can
   * ever hold (not with `drop-oldest`, which keeps the end of it, nor while muted), `UnsupportedAudio` for what is no bytes.
   * Where a peer decides on the size of a chunk, bound what the peer may send, or catch it.
   */
  readonly offerUnsafe: (pcm: Audio.Bytes) => boolean
  /** Says that no more audio comes, without waiting. */
  readonly endAudio: Effect.Effect<void>
  /**
   * Changes settings; completes when they are in force. Those of the client alone are at once; thresholds, keyterms,
   * language hints and numerals when Flux has taken them; all others with another session, where there may be one. All or
   * nothing: fails with `UnsupportedByEndpoint` where one of them cannot change at all, with `SettingsRefused` where Flux
   * refuses, with `ConfigureUnanswered`, and with what the other session failed with. After `finish` or `endAudio`, and
   * where the end comes before the answer, with `CallOver`.
   */
  readonly update: (settings: FluxSettings.Settings) => Effect.Effect<Applied, FluxError.FluxError>
  /**
   * Ends the open turn behind all audio offered so far: by ForceEndTurn where the endpoint takes it, else by silence in
   * real time; completes when it has ended, at the latest after eotTimeoutMs + 2 s, or with the call, whose end ends it.
   * Audio offered meanwhile belongs to the next turn. Fails with `CallOver` where the Scope is closed.
   */
  readonly endTurn: Effect.Effect<void, FluxError.FluxError>
  /** While muted, audio moves the conversation's time on and is not sent; an open turn is ended by silence. */
  readonly setMuted: (muted: boolean) => Effect.Effect<void>
  /** Ends the audio and waits until the last words are here and the connection is freed. Fails with `CallOver` where the Scope is closed before. */
  readonly finish: Effect.Effect<void, FluxError.FluxError>
  readonly status: Effect.Effect<Status>
  readonly settings: Effect.Effect<FluxSettings.Settings>
  readonly buffered: Effect.Effect<Buffered>
}

/** A conversation as whoever opened it has it. */
export interface OpenedConversation extends Session {
  /** Its life; never fails. */
  readonly run: Effect.Effect<void>
  /** To be said before `run` is interrupted: only then does an interruption come from outside. */
  readonly scopeClosing: Effect.Effect<void>
  /** Changes settings as `update` does, to what is made of those at that moment: no other change comes in between. */
  readonly change: (next: Change) => Effect.Effect<Applied, FluxError.FluxError>
  /** Tells that settings which nobody waits for cannot be had. */
  readonly reject: (settings: ReadonlyArray<string>, error: FluxError.FluxError) => Effect.Effect<void>
}

/** One session, as its conversation has it. What gives an effect may fail as the session fails. */
export interface OneSession {
  /**
   * From now on it is this session that hears the audio, from a sample of the conversation on, and tells the turns;
   * what lies before `until` (seconds of the conversation) another one has told.
   */
  readonly feed: (from: number, until?: number) => void
  /** Another one does: it says CloseStream, and what it goes on to say is not told. */
  readonly retire: () => void
  readonly isRetired: () => boolean
  /** Tells the conversation's application. */
  readonly tell: (signal: Signal) => void
  readonly obstacles: (settings: FluxSettings.Settings) => Obstacles
  /** Brings into force what is made of the settings at that moment, all or nothing. */
  readonly change: (next: Change) => Effect.Effect<void, FluxError.FluxError>
  /** Ends the turn that is open in the audio before a sample of the conversation. */
  readonly endTurn: (asked: number) => Effect.Effect<void, FluxError.FluxError>
  readonly mutedChanged: () => void
  readonly status: () => SessionStatus
  /** When the response headers came, ms. */
  readonly acceptedAt: () => number | undefined
  readonly settings: () => FluxSettings.Settings
  readonly turnOpen: () => boolean
  readonly tellsOfIdleAudio: () => boolean
  /** Up to where its audio was sent, in seconds of the conversation. */
  readonly reached: () => number
  readonly outboxBytes: () => number
  readonly behindSeconds: () => number
  /** Its life; never fails, and frees everything when it is interrupted. */
  readonly run: Effect.Effect<void>
  /** To be said before `run` is interrupted. */
  readonly scopeClosing: () => void
}

/** How a session ended, or failed. */
export type SessionExit = Exit.Exit<void, FluxError.FluxError>
