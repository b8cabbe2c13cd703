/**
 * What a connection can also do at once, without a fiber: a fiber that goes to sleep and wakes for every frame and every
 * message costs more than all else on their way.
 *
 * Kept beside the very `send` and `messages` they stand for: in a connection that puts others in their place, as a wrapper
 * does that looks at what passes, they are not found, and those are used.
 */
import type * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import type { FluxError } from "../FluxError.ts"
import type { Frame } from "./outbox.ts"

type Send = (frame: Frame) => Effect.Effect<void, FluxError>
type Messages = Stream.Stream<string, FluxError>

/** Sends without waiting. */
export interface SendNow {
  /** Whether the next frame need not wait for anything. */
  readonly isClear: () => boolean
  /** Sends it; to be called only where that is so. What goes wrong is told by the messages, or the next `send`. */
  readonly send: (frame: Frame) => void
}

/** Hears without being asked. */
export interface Listen {
  /**
   * From now on `wake` is called when there is something to take; what is there already does not wake. The effect undoes
   * that.
   */
  readonly listen: (wake: () => void) => Effect.Effect<void>
  /** The next message, where there is one. Once there is none, `messages` goes on from there, also to its end. */
  readonly next: () => string | undefined
  /** Nothing but what `next` gives will come. */
  readonly isOver: () => boolean
}

const sends = new WeakMap<Send, SendNow>()
const listens = new WeakMap<Messages, Listen>()

/** The `send`, with its shortcut. */
export const withSendNow = (send: Send, now: SendNow): Send => {
  sends.set(send, now)
  return send
}
/** The shortcut of a `send`, if it has one. */
export const sendNowOf = (send: Send): SendNow | undefined => sends.get(send)

/** The `messages`, with their shortcut. */
export const withListen = (messages: Messages, listen: Listen): Messages => {
  listens.set(messages, listen)
  return messages
}
/** The shortcut of `messages`, if they have one. */
export const listenOf = (messages: Messages): Listen | undefined => listens.get(messages)
