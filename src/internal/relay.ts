/**
 * Which session of a conversation hears its audio and tells its turns, and how one hands over to the next: at a place in
 * the audio where nothing is lost and nothing is heard twice.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type { FluxError } from "../FluxError.ts"
import type { TurnInfo } from "../FluxMessage.ts"
import type { ReplayBuffer } from "./replayBuffer.ts"
import type { Retention } from "./retention.ts"
import type { Settings } from "./settings.ts"
import type { OneSession } from "./sessionShape.ts"
import { changedKeys } from "./settingsChange.ts"

/** A session under way. */
export interface Live {
  /** In the conversation, from 0. */
  readonly number: number
  readonly session: OneSession
  /** What it was opened with. */
  readonly asked: Settings
  /** Completes when Flux takes audio; fails when it is over before. */
  readonly up: Deferred.Deferred<void, FluxError>
  /** Completes, or fails, as the session does; what it holds may not be freed yet. */
  readonly over: Deferred.Deferred<void, FluxError>
  fiber?: Fiber.Fiber<void>
  /** When Flux said Connected, monotonic ms. */
  connectedAt?: number
}

/** Whether a session is no more. */
export const isOver = (live: Live): boolean => Deferred.isDoneUnsafe(live.over)

/** See the module. */
export interface Relay {
  /** The session that tells the turns, or is to be the next one that does. */
  readonly current: () => Live | undefined
  /** The first session begins with the audio. */
  readonly begin: (first: Live) => void
  /** In the place of the one in hand, which is over, another one hears what that one had not settled. */
  readonly resume: (next: Live) => void
  /** In the place of the one in hand, which is retired. */
  readonly takeOver: (next: Live) => void
  /** One that is Connected takes over at the end of the open turn, or right now where none is open. */
  readonly wait: (next: Live) => void
  /** The one that waits for that; it waits no more. */
  readonly takeWaiting: () => Live | undefined
  readonly isWaiting: (live: Live) => boolean
  /** Completes when another session has come in. */
  readonly changed: Effect.Effect<void>
  /** Completes when another session has come in, or the one in hand is over. */
  readonly stirred: Effect.Effect<void>
  /** A session is over. */
  readonly onOver: (live: Live) => void
  /** Flux has told of audio. */
  readonly onTurnInfo: (live: Live, info: TurnInfo) => void
  /** The open turn was given up. */
  readonly onCapped: (live: Live) => void
}

/** A new one. `sampleRate` in Hz. */
export const make = (options: {
  readonly audio: ReplayBuffer
  readonly retention: Retention
  readonly sampleRate: number
  /** Whether there may be a second session at all. */
  readonly keeps: boolean
  /** A session has taken over. */
  readonly onTakeOver: (live: Live) => void
}): Relay => {
  const { audio, retention, sampleRate } = options
  let current: Live | undefined
  let waiting: Live | undefined
  let changed = Deferred.makeUnsafe<void>()
  let stirred = Deferred.makeUnsafe<void>()
  const stir = (): void => {
    const before = stirred
    stirred = Deferred.makeUnsafe()
    Deferred.doneUnsafe(before, Exit.void)
  }
  if (options.keeps) audio.keep(0)

  const needed = ({ session }: Live): number => retention.from(session.reached(), session.tellsOfIdleAudio())
  const enter = (next: Live, begin: () => void): void => {
    current = next
    const moved = changed
    changed = Deferred.makeUnsafe()
    begin()
    // last, as whoever waits goes on right here
    Deferred.doneUnsafe(moved, Exit.void)
    stir()
  }
  const feed = (next: Live, before: Live): void => {
    const { from, lostFrom } = retention.begin(needed(before), audio.goneTo() / sampleRate)
    if (lostFrom !== undefined) {
      next.session.tell({ type: "AudioDropped", from: lostFrom, to: from })
      retention.lost(from)
    }
    retention.carried()
    enter(next, () => next.session.feed(Math.floor(from * sampleRate), retention.told()))
  }
  const takeOver = (next: Live): void => {
    const before = current
    if (before === undefined) return
    const names = changedKeys(before.session.settings(), next.session.settings())
    if (waiting === next) waiting = undefined
    // first, as the one that retires may be over right here
    current = next
    options.onTakeOver(next)
    before.session.retire()
    if (names.length > 0) next.session.tell({ type: "SettingsApplied", settings: names })
    feed(next, before)
  }
  const atBoundary = (live: Live): void => {
    const { session } = live
    if (options.keeps) audio.keep(Math.floor(retention.keepFrom(session.reached(), session.tellsOfIdleAudio()) * sampleRate))
    if (waiting !== undefined && live === current && !session.turnOpen()) takeOver(waiting)
  }

  return {
    current: () => current,
    begin: (first) => enter(first, () => first.session.feed(0)),
    resume: (next) => {
      if (current !== undefined) feed(next, current)
    },
    takeOver,
    wait: (next) => {
      waiting = next
      if (current?.session.turnOpen() === false) takeOver(next)
    },
    takeWaiting: () => {
      const next = waiting
      waiting = undefined
      return next
    },
    isWaiting: (live) => waiting === live,
    changed: Effect.suspend(() => Deferred.await(changed)),
    stirred: Effect.suspend(() => Deferred.await(stirred)),
    onOver: (live) => {
      if (live === current) stir()
    },
    onTurnInfo: (live, info) => {
      retention.take(info, live.session.turnOpen())
      atBoundary(live)
    },
    onCapped: (live) => {
      retention.closed()
      atBoundary(live)
    }
  }
}
