/**
 * The replies of a conversation, from a draft to the end of its speech: what is begun, dropped, said and broken off.
 *
 * Each is one fiber, which drafts, waits until its turn has ended and nobody else speaks, and speaks. Events are taken one
 * after another, and what they decide waits for nobody: a barge-in is heard whatever a voice is doing, and neither waits for
 * those who are told of it.
 */
import type * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Metric from "effect/Metric"
import type * as Scope from "effect/Scope"
import type { Discarded, Options, ReplyEvent, Turn } from "../EagerReply.ts"
import { type EndOfTurn, type FluxEvent, isTurnEvent, type TurnEvent } from "../FluxEvent.ts"
import * as monotonic from "./monotonic.ts"
import * as telemetry from "./telemetry.ts"

/** See the module. */
export interface Replies<R> {
  /** For one fiber, one event after another. */
  readonly take: (event: FluxEvent) => Effect.Effect<void, never, R>
  /** No event comes any more. Completes when nobody has anything to say, at once where they are cut off. */
  readonly end: (cutOff: boolean) => Effect.Effect<void>
}

interface Reply {
  readonly turn: Turn
  readonly startedAt: number
  /** Its turn has ended, and nobody else speaks. */
  readonly cue: Deferred.Deferred<Ended>
  fiber?: Fiber.Fiber<void>
  readonly ended?: Ended
  spokenFrom?: number
  /** What became of it; decided once. */
  outcome?: Discarded["reason"] | "failed" | "interrupted" | "spoken"
}
interface Ended {
  readonly turn: EndOfTurn
  readonly at: number
}

/**
 * Replies that tell what becomes of them. What is left of them is interrupted with the Scope, which should close all at once:
 * one that is slow to end must not keep another one speaking.
 */
export const make = Effect.fnUntraced(function*<D, DE, DR, A, SE, SR>(
  { draft, speak }: Options<D, DE, DR, A, SE, SR>,
  tell: (event: ReplyEvent<A, DE | SE>) => void
): Effect.fn.Return<Replies<Exclude<DR | SR, Scope.Scope>>, never, Scope.Scope> {
  const scope = yield* Effect.scope
  const clock = yield* Clock.Clock
  const now = monotonic.dated(clock)
  /** Of the turn that is open. */
  let early: Reply | undefined
  /** Of turns that have ended, in their order; only the first one speaks. */
  const line: Array<Reply & { readonly ended: Ended }> = []
  let lastEnded = -1

  const common = ({ startedAt, turn }: Reply) => ({ id: turn.id, turn: turn.turn, transcript: turn.transcript, startedAt, at: now() })
  const cueFirst = (): void => {
    const [first] = line
    if (first !== undefined) Deferred.doneUnsafe(first.cue, Exit.succeed(first.ended))
  }
  const leave = (reply: Reply): void => {
    const at = line.findIndex((one) => one === reply)
    if (at >= 0) line.splice(at, 1)
    cueFirst()
  }

  /** Its turn may still get another one. */
  const forget = (reply: Reply): void => {
    if (early === reply) early = undefined
  }

  const fail = (reply: Reply, stage: "draft" | "speech", cause: Cause.Cause<DE | SE>): void => {
    reply.outcome = "failed"
    forget(reply)
    // nobody waits for a voice that there is not
    if (stage === "draft") leave(reply)
    tell({ type: "Failed", ...common(reply), stage, final: reply.ended !== undefined, cause })
  }
  const life = (reply: Reply) =>
    Effect.gen(function*() {
      const drafted = yield* Effect.exit(Effect.suspend(() => draft(reply.turn)))
      if (Exit.isFailure(drafted)) return fail(reply, "draft", drafted.cause)
      const drafting = now() - reply.startedAt
      tell({ type: "Drafted", ...common(reply) })
      const ended = yield* Deferred.await(reply.cue)
      const spokenFrom = reply.spokenFrom = now()
      const gained = Math.max(0, ended.at + drafting - spokenFrom)
      yield* Metric.update(telemetry.replyGained, gained / 1000)
      const spoken = yield* Effect.exit(Effect.suspend(() => speak(drafted.value, ended.turn)))
      if (Exit.isFailure(spoken)) return fail(reply, "speech", spoken.cause)
      reply.outcome = "spoken"
      tell({ type: "Spoken", ...common(reply), endedAt: ended.at, spokenFrom, gained, value: spoken.value })
    }).pipe(
      Effect.scoped,
      Effect.tapDefect((defect) => Effect.logError("A reply's Scope does not close", defect)),
      Effect.onExit(() => {
        forget(reply)
        leave(reply)
        return Metric.update(telemetry.replyDrafts(reply.outcome ?? (reply.ended === undefined ? "ended" : "interrupted")), 1)
      })
    )
  const begin = (reply: Reply) =>
    Effect.map(Effect.forkIn(life(reply), scope, { startImmediately: true }), (fiber) => void (reply.fiber = fiber))
  const made = (turn: Turn): Reply => ({ turn, startedAt: now(), cue: Deferred.makeUnsafe() })
  const stop = ({ fiber }: Reply): Effect.Effect<void> => Effect.withFiber((self) => Effect.sync(() => fiber?.interruptUnsafe(self.id)))

  const discard = (reason: Discarded["reason"]): Effect.Effect<void> =>
    Effect.suspend(() => {
      const reply = early
      if (reply === undefined) return Effect.void
      early = undefined
      reply.outcome = reason
      tell({ type: "Discarded", ...common(reply), reason })
      return stop(reply)
    })
  const interruptAll = Effect.suspend(() => {
    const interrupted = line.filter(({ outcome }) => outcome === undefined)
    // who speaks is waited for until silent; the others must not take over when it is
    line.splice(0, line.length, ...line.filter(({ spokenFrom }) => spokenFrom !== undefined))
    for (const reply of interrupted) {
      const { ended, spokenFrom } = reply
      reply.outcome = "interrupted"
      tell({ type: "Interrupted", ...common(reply), endedAt: ended.at, ...(spokenFrom === undefined ? {} : { spokenFrom }) })
    }
    return Effect.forEach(interrupted, stop, { discard: true })
  })

  const endTurn = (turn: EndOfTurn) => {
    const isNew = early === undefined
    const reply = Object.assign(early ?? made(turn), { ended: { turn, at: now() } })
    early = undefined
    line.push(reply)
    cueFirst()
    return isNew ? begin(reply) : Effect.void
  }

  return {
    take: Effect.fnUntraced(function*(event) {
      if (event.type === "StartOfTurn" && event.interrupts) yield* interruptAll
      if (!isTurnEvent(event) || event.turn <= lastEnded) return
      const reason = early === undefined ? undefined : whyNot(early.turn, event)
      if (reason !== undefined) yield* discard(reason)
      if (event.type === "EndOfTurn") lastEnded = event.turn
      if (event.transcript === "") return
      if (event.type === "EndOfTurn" && event.accepted && event.ending !== "lost") yield* endTurn(event)
      if (event.type === "EagerEndOfTurn" && event.accepted && early === undefined) {
        early = made(event)
        yield* begin(early)
      }
    }),
    end: (cutOff) =>
      Effect.gen(function*() {
        yield* discard("ended")
        if (cutOff) yield* interruptAll
        else yield* Fiber.awaitAll(line.flatMap(({ fiber }) => fiber ?? []))
      })
  }
})

/** Why a draft for a turn is of no use after a later event. */
const whyNot = (drafted: Turn, event: TurnEvent): Discarded["reason"] | undefined => {
  if (event.turn === drafted.turn) {
    if (event.type === "TurnResumed") return "resumed"
    if (event.type === "EndOfTurn" && event.ending === "lost") return "lost"
    if (event.type === "EndOfTurn" && !event.accepted) return "notAccepted"
  }
  return event.turn === drafted.turn && event.transcript === drafted.transcript ? undefined : "changed"
}
