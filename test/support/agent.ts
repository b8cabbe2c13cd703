/** An agent of stand-ins in a test: what it is told of a conversation, what it thinks and says, and when. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as EagerReply from "../../src/EagerReply.ts"
import type { EagerEndOfTurn, EndOfTurn, FluxEvent, StartOfTurn, TurnResumed, Update } from "../../src/FluxEvent.ts"
import { fork } from "./session.ts"

const common = (turn: number, transcript: string) => ({
  id: "call",
  receivedAt: 0,
  turn,
  transcript,
  words: [],
  endOfTurnConfidence: 0.5,
  audioStart: 0,
  audioEnd: 1
})
export const start = (turn: number, interrupts = true): StartOfTurn => ({ type: "StartOfTurn", ...common(turn, ""), interrupts, implied: false })
export const update = (turn: number, transcript: string): Update => ({ type: "Update", ...common(turn, transcript) })
export const eager = (turn: number, transcript: string, accepted = true): EagerEndOfTurn => ({
  type: "EagerEndOfTurn",
  ...common(turn, transcript),
  accepted
})
export const resumed = (turn: number, transcript: string): TurnResumed => ({ type: "TurnResumed", ...common(turn, transcript) })
export const end = (turn: number, transcript: string, ending: EndOfTurn["ending"] = "confirmed", accepted = true): EndOfTurn => ({
  type: "EndOfTurn",
  ...common(turn, transcript),
  ending,
  accepted,
  usage: { audioSeconds: 0, injectedSeconds: 0 }
})

/** Events at their times, in ms; the last entry may be the end of all, or a failure. */
export type Timeline = ReadonlyArray<readonly [at: number, event: FluxEvent | "ends" | "fails"]>
export const eventsOf = (timeline: Timeline): Stream.Stream<FluxEvent, "broken"> =>
  Stream.fromIterable(timeline).pipe(
    Stream.mapEffect(([at, event]) =>
      Effect.gen(function*() {
        yield* Effect.sleep(at - (yield* Clock.currentTimeMillis))
        return event === "fails" ? yield* Effect.fail("broken" as const) : event
      })),
    Stream.filter((event) => event !== "ends")
  )

/** How long each takes, in ms; of each one in its order, where they differ. */
export interface Pace {
  readonly thinks?: number | ReadonlyArray<number>
  readonly speaks?: number | ReadonlyArray<number>
  /** How long it takes to fall silent. */
  readonly fallsSilent?: number
  /** Fails at the end of its time: thoughts and sayings by number, from 0. */
  readonly failsToThink?: ReadonlyArray<number>
  readonly failsToSpeak?: ReadonlyArray<number>
}
/** Something an agent does. */
export interface Act {
  readonly what: "thinks" | "says"
  readonly turn: number
  readonly text: string
  readonly from: number
  until?: number
  how?: "done" | "failed" | "interrupted"
}

/** The agent, and its acts as they come. */
export const make = (pace: Pace) => {
  const acts: Array<Act> = []
  const counts = { thinks: 0, says: 0 }
  const lasts = (times: number | ReadonlyArray<number> = 0, at: number): number => typeof times === "number" ? times : times[at] ?? 0
  const act = (what: Act["what"], turn: number, text: string): Effect.Effect<string, string> =>
    Effect.gen(function*() {
      const number = counts[what]++
      const [times, failing, silence] = what === "thinks" ? [pace.thinks, pace.failsToThink, 0] : [pace.speaks, pace.failsToSpeak, pace.fallsSilent]
      const one: Act = { what, turn, text, from: yield* Clock.currentTimeMillis }
      acts.push(one)
      return yield* Effect.sleep(lasts(times, number)).pipe(
        Effect.andThen(failing?.includes(number) === true ? Effect.fail(`cannot ${what}`) : Effect.succeed(`re ${text}`)),
        Effect.onExit((exit) =>
          Effect.gen(function*() {
            if (Exit.isFailure(exit) && silence !== undefined) yield* Effect.sleep(silence)
            one.until = yield* Clock.currentTimeMillis
            one.how = Exit.isSuccess(exit) ? "done" : Exit.hasFails(exit) ? "failed" : "interrupted"
          })
        )
      )
    })
  const options = {
    draft: ({ transcript, turn }: EagerReply.Turn) => act("thinks", turn, transcript),
    speak: (draft: string, { turn }: EndOfTurn) => act("says", turn, draft)
  }
  return { acts, options }
}

/** An event of a reply in short, with its time. */
export const line = (event: EagerReply.ReplyEvent<string, string>): string => {
  const detail = event.type === "Discarded" ? ` ${event.reason}`
    : event.type === "Spoken" ? ` from ${event.spokenFrom} (${event.gained} earlier)`
    : event.type === "Interrupted" ? event.spokenFrom === undefined ? " before it was spoken" : ` from ${event.spokenFrom}`
    : event.type === "Failed" ? ` ${event.stage}${event.final ? "" : ", not final"}`
    : ""
  return `${event.at} ${event.type} ${event.turn} ${event.transcript}${detail}`
}

/** Plays a conversation to an agent until all is over, by then at most so many ms. */
export const play = Effect.fnUntraced(function*(timeline: Timeline, pace: Pace, within = 10_000) {
  const { acts, options } = make(pace)
  const told: Array<EagerReply.ReplyEvent<string, string>> = []
  const replies = EagerReply.reply(eventsOf(timeline), options)
  const playing = yield* fork(Effect.exit(Stream.runForEach(replies, (event) => Effect.sync(() => void told.push(event)))))
  yield* TestClock.adjust(within)
  const exit = playing.pollUnsafe() === undefined ? yield* Effect.die("it does not end") : yield* Fiber.join(playing)
  return { told, lines: told.map(line), acts, exit }
})
