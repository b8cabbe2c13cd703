/**
 * Replies to conversations that nobody would have: events in any order, at any time, and an agent that thinks and speaks
 * as long as it likes, fails, and is slow to fall silent. Checked against the events alone.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as EagerReply from "../../src/EagerReply.ts"
import type { EndOfTurn, FluxEvent, TurnEvent } from "../../src/FluxEvent.ts"
import { type Act, eager, end, eventsOf, make, resumed, start, type Timeline, update } from "../support/agent.ts"
import { fork } from "../support/session.ts"
import { runs } from "./runs.ts"

const Step = Schema.Struct({
  gap: Schema.Literals([0, 0, 40, 100, 300, 1500]),
  what: Schema.Literals(["start", "start", "quiet", "update", "eager", "eager", "eager", "unsure", "resumed", "resumed", "resumed", "end", "end", "end", "closed", "refused", "lost"]),
  words: Schema.Literals(["a", "a", "a", "b", ""]),
  /** Of the turn that is open, of the one before, or of the next one. */
  turn: Schema.Literals([0, 0, 0, 0, 0, -1, 1])
})
const times = Schema.Array(Schema.Literals([0, 50, 250, 1200])).check(Schema.isMinLength(30), Schema.isMaxLength(30))
const numbers = Schema.Array(Schema.Literals([0, 1, 2, 3, 4, 5])).check(Schema.isMaxLength(3))
const Conversation = Schema.Struct({
  steps: Schema.Array(Step).check(Schema.isMinLength(3), Schema.isMaxLength(24)),
  thinks: times,
  speaks: times,
  fallsSilent: Schema.Literals([0, 0, 200]),
  failsToThink: numbers,
  failsToSpeak: numbers,
  how: Schema.Literals(["ends", "ends", "ends", "fails", "left"])
})

const eventOf = (what: typeof Step.Type["what"], turn: number, words: string): TurnEvent => {
  switch (what) {
    case "start":
    case "quiet":
      return start(turn, what === "start")
    case "update":
      return update(turn, words)
    case "eager":
    case "unsure":
      return eager(turn, words, what === "eager")
    case "resumed":
      return resumed(turn, words)
    case "lost":
    case "closed":
      return end(turn, words, what)
    default:
      return end(turn, words, "confirmed", what === "end")
  }
}
/** Each start of a turn goes on to the next number. */
const timelineOf = ({ steps }: typeof Conversation.Type): Array<readonly [at: number, event: TurnEvent]> => {
  let at = 0
  let open = 0
  return steps.map(({ gap, turn, what, words }, index) => {
    at += gap
    if (index > 0 && (what === "start" || what === "quiet")) open += 1
    return [at, eventOf(what, Math.max(0, open + turn), words)] as const
  })
}

/** What the rules make of the events: the end of each turn that is to get a reply, where it stands. */
const repliesDue = (timeline: ReadonlyArray<readonly [number, TurnEvent]>) => {
  let ended = -1
  return timeline.flatMap(([at, event], index) => {
    if (event.type !== "EndOfTurn" || event.turn <= ended) return []
    ended = event.turn
    return isGood(event) && event.transcript !== "" ? [{ at, event, index }] : []
  })
}

describe("replies", () => {
  it.effect.prop("obey the rules, whatever comes in whatever order, and leave nothing running", { conversation: Conversation }, ({ conversation }) =>
    Effect.gen(function*() {
      const timeline = timelineOf(conversation)
      const last = timeline.at(-1)?.[0] ?? 0
      const { acts, options } = make(conversation)
      const told: Array<EagerReply.ReplyEvent<string, string>> = []
      const whole: Timeline = conversation.how === "left" ? [...timeline, [1e9, "ends"]] : [...timeline, [last + 100, conversation.how]]
      const playing = yield* fork(Effect.exit(Stream.runForEach(EagerReply.reply(eventsOf(whole), options), (event) => Effect.sync(() => void told.push(event)))))
      if (conversation.how === "left") {
        yield* TestClock.adjust(last + 100)
        const leaving = yield* fork(Fiber.interrupt(playing))
        yield* TestClock.adjust(1000)
        assert.isDefined(leaving.pollUnsafe(), "does not let go")
      } else {
        yield* TestClock.adjust(60_000)
        assert.deepStrictEqual(playing.pollUnsafe(), Exit.succeed(conversation.how === "fails" ? Exit.fail("broken") : Exit.void))
      }
      check(conversation, timeline, acts, told)
    }), runs(1000))
})

const check = (
  { fallsSilent, how }: typeof Conversation.Type,
  timeline: ReadonlyArray<readonly [number, TurnEvent]>,
  acts: ReadonlyArray<Act>,
  told: ReadonlyArray<EagerReply.ReplyEvent<string, string>>
): void => {
  const due = repliesDue(timeline)
  const thoughts = acts.filter(({ what }) => what === "thinks")
  const sayings = acts.filter(({ what }) => what === "says")

  assert.deepStrictEqual(acts.filter(({ until }) => until === undefined), [], "left running")

  for (const [at, one] of sayings.entries()) {
    const for_ = due.find(({ event }) => event.turn === one.turn)
    if (for_ === undefined) return assert.fail(`speaks to turn ${one.turn}, which is to get no reply`)
    assert.strictEqual(one.text, `re ${for_.event.transcript}`, "speaks what was drafted for other words")
    assert.isAtLeast(one.from, for_.at, "speaks before the turn has ended")
    assert.isFalse(sayings.slice(0, at).some(({ turn }) => turn === one.turn), "speaks twice to a turn")
    assert.isFalse(sayings.slice(0, at).some(({ until }) => (until ?? 0) > one.from), "speaks with two voices")
    for (const bargeIn of interruptionsAfter(timeline, for_.index)) {
      assert.isAtLeast(bargeIn, one.from, "speaks after it was interrupted")
      assert.isAtMost(one.until ?? 0, bargeIn + fallsSilent, "goes on speaking when interrupted")
    }
  }

  /** What speaks against a draft that was begun for a turn at a time, until that turn ended. */
  const against = (turn: number, text: string, from: number): Array<number> =>
    timeline.slice(0, 1 + (due.find(({ event }) => event.turn === turn)?.index ?? timeline.length)).flatMap(([at, event]) => {
      const isAgainst = event.type === "TurnResumed" || event.transcript !== text || (event.type === "EndOfTurn" && !isGood(event))
      return at > from && event.turn === turn && isAgainst ? [at] : []
    })
  for (const one of thoughts) {
    const why = timeline.findIndex(([at, event]) => at === one.from && event.turn === one.turn && event.transcript === one.text && begins(event))
    assert.isAtLeast(why, 0, `drafts for nothing at ${one.from}`)
    for (const at of against(one.turn, one.text, one.from)) assert.isAtMost(one.until ?? 0, at, "goes on with a draft that is of no use")
  }

  if (how === "left") return
  const final = told.filter((event) => event.type === "Spoken" || event.type === "Interrupted" || (event.type === "Failed" && event.final))
  assert.deepStrictEqual(final.map(({ turn }) => turn).toSorted((a, b) => a - b), due.map(({ event }) => event.turn), "one outcome a reply")
  for (const event of told) {
    if (event.type !== "Interrupted") continue
    const for_ = due.find((end) => end.event.turn === event.turn)
    const causes = [...interruptionsAfter(timeline, for_?.index ?? 0), ...(how === "fails" ? [(timeline.at(-1)?.[0] ?? 0) + 100] : [])]
    assert.include(causes, event.at, "interrupted by nobody")
  }
  const endings = told.filter(({ type }) => type !== "Drafted")
  assert.strictEqual(endings.length, thoughts.length, "one outcome a draft")
  const heard = told.filter((event) =>
    event.type === "Spoken" || (event.type === "Interrupted" && event.spokenFrom !== undefined) || (event.type === "Failed" && event.stage === "speech"))
  assert.strictEqual(heard.length, sayings.length, "all that is said is told of")
  for (const { startedAt, transcript, turn } of heard) {
    assert.deepStrictEqual(against(turn, transcript, startedAt), [], "speaks a draft that was to be dropped")
  }
  for (const event of told) {
    if (event.type !== "Spoken") continue
    const draft = thoughts.findLast(({ from, turn }) => from === event.startedAt && turn === event.turn)
    const for_ = due.find((end) => end.event.turn === event.turn)
    if (draft === undefined || for_ === undefined) return assert.fail("spoken of nothing")
    const without = for_.at + (draft.until ?? 0) - draft.from
    assert.strictEqual(event.gained, Math.max(0, without - event.spokenFrom), "gained")
  }
}

const isGood = (event: EndOfTurn): boolean => event.accepted && event.ending !== "lost"
const begins = (event: FluxEvent): boolean => (event.type === "EagerEndOfTurn" && event.accepted) || (event.type === "EndOfTurn" && isGood(event))
const interruptionsAfter = (timeline: ReadonlyArray<readonly [number, TurnEvent]>, index: number): Array<number> =>
  timeline.slice(index + 1).flatMap(([at, event]) => event.type === "StartOfTurn" && event.interrupts ? [at] : [])
