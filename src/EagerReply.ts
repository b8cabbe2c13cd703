/**
 * Replies that start early: an agent drafts its reply when Flux takes a turn for over (`EagerEndOfTurn`, where
 * `eagerEotThreshold` is set), drops the draft if the speaker goes on, and speaks it when the turn has ended.
 *
 * What is drafted early is never heard unless the turn ends with the very words it was drafted for; without such a draft,
 * drafting starts at the end of the turn. A turn gets one reply at most, and none if it is not accepted, `lost`, or without
 * words. One reply is spoken at a time; a StartOfTurn that `interrupts` breaks off all of them.
 */
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { dual } from "effect/Function"
import * as Latch from "effect/Latch"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { EagerEndOfTurn, EndOfTurn, FluxEvent } from "./FluxEvent.ts"
import * as replies from "./internal/replies.ts"

/** What a draft is for: a turn that is probably over, or one that is. */
export type Turn = EagerEndOfTurn | EndOfTurn

/**
 * What an agent does. `Scope`, where they need it, is the reply's own: it closes when the draft is dropped, or the speech
 * has ended. A language model that gives its words one by one is forked into it by `draft`, which returns a queue of them
 * at once; `speak` takes them from there. Types follow `draft`: write it first, as a plain function of its turn (an
 * `Effect.fn` goes in a constant before).
 */
export interface Options<D, DE, DR, A, SE, SR> {
  /** Thinks of a reply; interrupted when it is not wanted any more. It must change nothing that cannot be taken back. */
  readonly draft: (turn: Turn) => Effect.Effect<D, DE, DR>
  /** Says it: completes when all is said; interrupted where the caller interrupts, and has to fall silent then. */
  readonly speak: (draft: D, turn: EndOfTurn) => Effect.Effect<A, SE, SR>
}

/** Of all that happens to replies; times in milliseconds since 1970, which no step of the wall clock moves while replies last. */
interface Common {
  /** The conversation's id. */
  readonly id: string
  /** Number of the turn that is replied to. */
  readonly turn: number
  /** What was said in it, as the draft knows it. */
  readonly transcript: string
  /** When drafting began. */
  readonly startedAt: number
  /** When this happened. */
  readonly at: number
}

/** Of replies to a turn that has ended. */
interface Ended extends Common {
  /** When the turn's EndOfTurn came. */
  readonly endedAt: number
}

/** A draft is complete, and waits for the end of its turn, if that has not come. */
export interface Drafted extends Common {
  readonly type: "Drafted"
}

/** A draft was dropped, complete or not, and will not be heard. */
export interface Discarded extends Common {
  readonly type: "Discarded"
  /**
   * - `resumed`: the speaker went on (TurnResumed)
   * - `changed`: the turn has other words now, or another one began
   * - `notAccepted`: the turn ended with words below `minConfidence`
   * - `lost`: the turn ended as `lost`
   * - `ended`: the events ended, and the turn had not
   */
  readonly reason: "resumed" | "changed" | "notAccepted" | "lost" | "ended"
}

/** A reply was spoken to its end. */
export interface Spoken<A> extends Ended {
  readonly type: "Spoken"
  /** When `speak` began. */
  readonly spokenFrom: number
  /** How much later it would have begun, had drafting begun at EndOfTurn and taken as long, in milliseconds. */
  readonly gained: number
  /** What `speak` gave. */
  readonly value: A
}

/** The speaker, or a failure of the events, broke off a reply that was being spoken, or was about to be. */
export interface Interrupted extends Ended {
  readonly type: "Interrupted"
  /** When `speak` began; absent if it did not. */
  readonly spokenFrom?: number
}

/** A draft or its speech failed, or died. */
export interface Failed<E> extends Common {
  readonly type: "Failed"
  readonly stage: "draft" | "speech"
  /** False for a draft that failed before its turn ended: another one is begun then. */
  readonly final: boolean
  readonly cause: Cause.Cause<E>
}

/** What becomes of replies, by `type`. Each draft that was begun ends as Discarded, Spoken, Interrupted or Failed. */
export type ReplyEvent<A, E = never> = Drafted | Discarded | Spoken<A> | Interrupted | Failed<E>

/**
 * Replies to the turns of one conversation, as its events come, and tells what becomes of them; `Stream.tap` before it sees
 * the events themselves. When the events end, what is being said is said to its end. When they fail, so does this, at once,
 * and breaks off what is being said. A draft or speech that fails is a {@link Failed}, and the conversation goes on;
 * {@link orFail} is for those who want it to end. Agent and barge-in never wait for a consumer; where it is 4,096 of these
 * events behind, no more events are taken until it has caught up.
 *
 * @example
 * microphone.pipe(
 *   Transcriber.transcribe({ settings: { eagerEotThreshold: 0.5 } }),
 *   EagerReply.reply({ draft: ({ transcript }) => askModel(transcript), speak: (text) => say(text) })
 * )
 */
export const reply: {
  <D, DE, DR, A, SE, SR>(options: Options<D, DE, DR, A, SE, SR>): <E, R>(
    events: Stream.Stream<FluxEvent, E, R>
  ) => Stream.Stream<ReplyEvent<A, DE | SE>, E, R | Exclude<DR | SR, Scope.Scope>>
  <E, R, D, DE, DR, A, SE, SR>(
    events: Stream.Stream<FluxEvent, E, R>,
    options: Options<D, DE, DR, A, SE, SR>
  ): Stream.Stream<ReplyEvent<A, DE | SE>, E, R | Exclude<DR | SR, Scope.Scope>>
} = dual(2, <E, R, D, DE, DR, A, SE, SR>(
  events: Stream.Stream<FluxEvent, E, R>,
  options: Options<D, DE, DR, A, SE, SR>
): Stream.Stream<ReplyEvent<A, DE | SE>, E, R | Exclude<DR | SR, Scope.Scope>> =>
  Stream.unwrap(Effect.gen(function*() {
    // who is slow to end keeps nobody else going
    const scope = yield* Scope.fork(yield* Effect.scope, "parallel")
    const told = yield* Queue.unbounded<ReplyEvent<A, DE | SE>, E | Cause.Done>()
    const room = yield* Latch.make(true)
    const tell = (event: ReplyEvent<A, DE | SE>): void => {
      Queue.offerUnsafe(told, event)
      if (Queue.sizeUnsafe(told) >= mostTold) room.closeUnsafe()
    }
    const all = yield* Scope.provide(replies.make(options, tell), scope)
    yield* Effect.exit(Stream.runForEach(events, (event) => Effect.andThen(room.await, all.take(event)))).pipe(
      Effect.flatMap((exit) => Effect.as(all.end(Exit.isFailure(exit)), exit)),
      Effect.flatMap((exit) => Exit.isFailure(exit) ? Queue.failCause(told, exit.cause) : Queue.end(told)),
      Effect.forkIn(scope)
    )
    return Stream.tap(Stream.fromQueue(told), () => Effect.sync(() => {
      if (Queue.sizeUnsafe(told) < mostTold) room.openUnsafe()
    }))
  })))

/** How many wait to be told of before no more events are taken. */
const mostTold = 4096

/** Fails where a turn got no reply because a draft or its speech failed: with that, and the conversation ends. */
export const orFail = <A, RE, E, R>(
  events: Stream.Stream<ReplyEvent<A, RE>, E, R>
): Stream.Stream<ReplyEvent<A, RE>, E | RE, R> =>
  Stream.mapEffect(events, (event): Effect.Effect<ReplyEvent<A, RE>, RE> =>
    event.type === "Failed" && event.final ? Effect.failCause(event.cause) : Effect.succeed(event))
