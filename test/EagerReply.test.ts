/** What becomes of drafts and replies, on the paths that there are; thinking takes 300 ms and saying it a second. */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as Metric from "effect/Metric"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as EagerReply from "../src/EagerReply.ts"
import type { EndOfTurn } from "../src/FluxEvent.ts"
import * as Observability from "../src/Observability.ts"
import { eager, end, eventsOf, make, type Pace, play, resumed, start, type Timeline, update } from "./support/agent.ts"
import { fork } from "./support/session.ts"

const pace = { thinks: 300, speaks: 1000 }
/** What is told of a conversation, and what the agent did that was cut short. */
const outcome = (timeline: Timeline, of: Pace = pace) =>
  Effect.map(play(timeline, of), ({ acts, exit, lines }) => ({
    exit,
    lines,
    cut: acts.filter(({ how }) => how === "interrupted").map(({ until, what }) => `${what} until ${until}`)
  }))
const becomes = (name: string, timeline: Timeline, lines: Array<string>, cut: Array<string> = [], of: Pace = pace) =>
  it.effect(name, () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* outcome(timeline, of), { lines, cut, exit: Exit.void })
    }))

/** Drafts by what became of them, as the metric has it. */
const outcomes = Effect.map(Metric.snapshot, (all) =>
  all.flatMap((metric) =>
    metric.id === Observability.metricNames.replyDrafts && metric.type === "Counter"
      ? [[String(metric.attributes?.["outcome"]), Number(metric.state.count)] as const]
      : []).toSorted())
const withOwnMetrics = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => Effect.provideService(effect, Metric.MetricRegistry, new Map()))

describe("EagerReply", () => {
  describe("a draft", () => {
    becomes("that is ready is spoken at the end of its turn", [[0, start(0)], [100, eager(0, "a")], [600, end(0, "a")]], [
      "400 Drafted 0 a",
      "1600 Spoken 0 a from 600 (300 earlier)"
    ])
    becomes("that is not ready is spoken as soon as it is", [[0, start(0)], [100, eager(0, "a")], [250, end(0, "a")]], [
      "400 Drafted 0 a",
      "1400 Spoken 0 a from 400 (150 earlier)"
    ])
    becomes("begins at the end of the turn where there is none", [[0, start(0)], [100, update(0, "a")], [250, end(0, "a")]], [
      "550 Drafted 0 a",
      "1550 Spoken 0 a from 550 (0 earlier)"
    ])
    becomes("is used for a turn that was closed", [[0, start(0)], [100, eager(0, "a")], [600, end(0, "a", "closed")], [600, "ends"]], [
      "400 Drafted 0 a",
      "1600 Spoken 0 a from 600 (300 earlier)"
    ])
    becomes(
      "is interrupted when the speaker goes on",
      [[0, start(0)], [100, eager(0, "a")], [250, resumed(0, "a")], [1000, end(0, "a b")]],
      ["250 Discarded 0 a resumed", "1300 Drafted 0 a b", "2300 Spoken 0 a b from 1300 (0 earlier)"],
      ["thinks until 250"]
    )
    becomes(
      "is dropped when the speaker goes on, ready as it is, and does not speak although the words are the same",
      [[0, start(0)], [100, eager(0, "a")], [500, resumed(0, "a")], [600, end(0, "a")]],
      ["400 Drafted 0 a", "500 Discarded 0 a resumed", "900 Drafted 0 a", "1900 Spoken 0 a from 900 (0 earlier)"]
    )
    becomes(
      "follows another one, time and again",
      [
        [0, start(0)],
        [100, eager(0, "a")],
        [200, resumed(0, "a b")],
        [300, eager(0, "a b")],
        [400, resumed(0, "a b c")],
        [500, eager(0, "a b c")],
        [900, end(0, "a b c")]
      ],
      [
        "200 Discarded 0 a resumed",
        "400 Discarded 0 a b resumed",
        "800 Drafted 0 a b c",
        "1900 Spoken 0 a b c from 900 (300 earlier)"
      ],
      ["thinks until 200", "thinks until 400"]
    )
    becomes(
      "goes on where the words stay as they are",
      [[0, start(0)], [100, eager(0, "a")], [200, update(0, "a")], [250, eager(0, "a")], [260, eager(0, "a", false)], [300, end(0, "a")]],
      ["400 Drafted 0 a", "1400 Spoken 0 a from 400 (200 earlier)"]
    )
    becomes(
      "is dropped for an Update with other words",
      [[0, start(0)], [100, eager(0, "a")], [200, update(0, "a.")], [600, end(0, "a.")]],
      ["200 Discarded 0 a changed", "900 Drafted 0 a.", "1900 Spoken 0 a. from 900 (0 earlier)"],
      ["thinks until 200"]
    )
    becomes(
      "gives way to one for other words",
      [[0, start(0)], [100, eager(0, "a")], [200, eager(0, "b")], [600, end(0, "b")]],
      ["200 Discarded 0 a changed", "500 Drafted 0 b", "1600 Spoken 0 b from 600 (300 earlier)"],
      ["thinks until 200"]
    )
    becomes(
      "is dropped for an end with other words, and drafting starts there",
      [[0, start(0)], [100, eager(0, "a")], [200, end(0, "b")]],
      ["200 Discarded 0 a changed", "500 Drafted 0 b", "1500 Spoken 0 b from 500 (0 earlier)"],
      ["thinks until 200"]
    )
    becomes(
      "is dropped for an end that is not accepted",
      [[0, start(0)], [100, eager(0, "a")], [200, end(0, "a", "confirmed", false)]],
      ["200 Discarded 0 a notAccepted"],
      ["thinks until 200"]
    )
    becomes(
      "is dropped for a turn that is lost",
      [[0, start(0)], [100, eager(0, "a")], [500, end(0, "a", "lost")]],
      ["400 Drafted 0 a", "500 Discarded 0 a lost"]
    )
    becomes(
      "is dropped where the events end before the turn",
      [[0, start(0)], [100, eager(0, "a")], [200, "ends"]],
      ["200 Discarded 0 a ended"],
      ["thinks until 200"]
    )
    becomes(
      "is dropped where another turn begins",
      [[0, start(0)], [100, eager(0, "a")], [200, start(1)], [300, end(1, "b")]],
      ["200 Discarded 0 a changed", "600 Drafted 1 b", "1600 Spoken 1 b from 600 (0 earlier)"],
      ["thinks until 200"]
    )
    becomes("is not begun for words that are not accepted", [[0, start(0)], [100, eager(0, "a", false)], [600, end(0, "a")]], [
      "900 Drafted 0 a",
      "1900 Spoken 0 a from 900 (0 earlier)"
    ])
  })

  describe("a reply", () => {
    becomes(
      "is not given to turns that are not accepted, lost or without words",
      [
        [0, start(0)],
        [100, end(0, "a", "confirmed", false)],
        [200, start(1)],
        [300, end(1, "a", "lost")],
        [400, start(2)],
        [450, eager(2, "")],
        [500, end(2, "")]
      ],
      []
    )
    becomes(
      "is given once, whatever is told of a turn that has ended",
      [[0, start(0)], [100, end(0, "a")], [200, end(0, "b")], [300, eager(0, "a")], [350, resumed(0, "a")], [500, end(0, "a")]],
      ["400 Drafted 0 a", "1400 Spoken 0 a from 400 (0 earlier)"]
    )
    becomes(
      "is broken off where the caller interrupts, and the next one is spoken",
      [[0, start(0)], [100, eager(0, "a")], [600, end(0, "a")], [900, start(1)], [1000, eager(1, "b")], [1500, end(1, "b")]],
      ["400 Drafted 0 a", "900 Interrupted 0 a from 600", "1300 Drafted 1 b", "2500 Spoken 1 b from 1500 (300 earlier)"],
      ["says until 900"]
    )
    becomes(
      "that is still being drafted is broken off, too",
      [[0, start(0)], [100, end(0, "a")], [200, start(1)], [700, end(1, "b")]],
      ["200 Interrupted 0 a before it was spoken", "1000 Drafted 1 b", "2000 Spoken 1 b from 1000 (0 earlier)"],
      ["thinks until 200"]
    )
    becomes(
      "is not broken off where the caller does not interrupt; the next one waits for it",
      [[0, start(0)], [100, eager(0, "a")], [600, end(0, "a")], [700, start(1, false)], [800, eager(1, "b")], [900, end(1, "b")]],
      [
        "400 Drafted 0 a",
        "1100 Drafted 1 b",
        "1600 Spoken 0 a from 600 (300 earlier)",
        "2600 Spoken 1 b from 1600 (0 earlier)"
      ]
    )
    becomes(
      "is spoken in the order of the turns, whichever is drafted first",
      [[0, start(0)], [100, end(0, "a")], [150, start(1, false)], [200, end(1, "b")]],
      ["300 Drafted 1 b", "600 Drafted 0 a", "1600 Spoken 0 a from 600 (0 earlier)", "2600 Spoken 1 b from 1600 (0 earlier)"],
      [],
      { thinks: [500, 100], speaks: 1000 }
    )
    becomes(
      "is broken off with all others that are being drafted",
      [[0, start(0)], [100, end(0, "a")], [150, start(1, false)], [200, end(1, "b")], [300, start(2)], [5000, "ends"]],
      ["300 Interrupted 0 a before it was spoken", "300 Interrupted 1 b before it was spoken"],
      ["thinks until 300", "thinks until 300"]
    )
    becomes(
      "is broken off once, however often the caller interrupts",
      [[0, start(0)], [100, end(0, "a")], [500, start(1)], [600, start(2)]],
      ["400 Drafted 0 a", "500 Interrupted 0 a from 400"],
      ["says until 1000"],
      { ...pace, fallsSilent: 500 }
    )
    becomes(
      "that waits for another one is broken off with it",
      [[0, start(0)], [100, end(0, "a")], [150, start(1, false)], [200, end(1, "b")], [700, start(2)]],
      ["400 Drafted 0 a", "500 Drafted 1 b", "700 Interrupted 0 a from 400", "700 Interrupted 1 b before it was spoken"],
      ["says until 700"]
    )
    becomes(
      "waits until who was interrupted has fallen silent",
      [[0, start(0)], [100, eager(0, "a")], [400, end(0, "a")], [500, start(1)], [510, eager(1, "b")], [820, end(1, "b")]],
      ["400 Drafted 0 a", "500 Interrupted 0 a from 400", "810 Drafted 1 b", "2000 Spoken 1 b from 1000 (120 earlier)"],
      ["says until 1000"],
      { ...pace, fallsSilent: 500 }
    )
    becomes(
      "is spoken to its end where the events end",
      [[0, start(0)], [100, eager(0, "a")], [200, end(0, "a")], [210, "ends"]],
      ["400 Drafted 0 a", "1400 Spoken 0 a from 400 (100 earlier)"]
    )
    it.effect("is broken off where the events fail, and so does the stream, at once", () =>
      Effect.gen(function*() {
        const { cut, exit, lines } = yield* outcome([
          [0, start(0)],
          [100, end(0, "a")],
          [500, start(1, false)],
          [510, eager(1, "b")],
          [600, "fails"]
        ])
        assert.deepStrictEqual(lines, ["400 Drafted 0 a", "600 Discarded 1 b ended", "600 Interrupted 0 a from 400"])
        assert.deepStrictEqual(cut, ["says until 600", "thinks until 600"])
        assert.deepStrictEqual(exit, Exit.fail("broken"))
      }))
  })

  describe("a failure", () => {
    becomes(
      "of an early draft costs nothing: another one is begun at the end of the turn",
      [[0, start(0)], [100, eager(0, "a")], [600, end(0, "a")]],
      ["400 Failed 0 a draft, not final", "900 Drafted 0 a", "1900 Spoken 0 a from 900 (0 earlier)"],
      [],
      { ...pace, failsToThink: [0] }
    )
    becomes(
      "of an early draft is final where the turn has ended meanwhile; the conversation goes on",
      [[0, start(0)], [100, eager(0, "a")], [200, end(0, "a")], [600, start(1)], [700, end(1, "b")]],
      ["400 Failed 0 a draft", "1000 Drafted 1 b", "2000 Spoken 1 b from 1000 (0 earlier)"],
      [],
      { ...pace, failsToThink: [0] }
    )
    becomes(
      "leaves the draft of the next turn alone",
      [[0, start(0)], [100, end(0, "a")], [150, start(1, false)], [200, eager(1, "b")], [700, end(1, "b")]],
      ["400 Failed 0 a draft", "500 Drafted 1 b", "1700 Spoken 1 b from 700 (300 earlier)"],
      [],
      { ...pace, failsToThink: [0] }
    )
    becomes(
      "of speech lets the next one speak",
      [[0, start(0)], [100, end(0, "a")], [150, start(1, false)], [200, end(1, "b")]],
      ["400 Drafted 0 a", "500 Drafted 1 b", "1400 Failed 0 a speech", "2400 Spoken 1 b from 1400 (0 earlier)"],
      [],
      { ...pace, failsToSpeak: [0] }
    )
    it.effect("can be a defect, or an interruption of its own", () =>
      Effect.gen(function*() {
        const drafts = [Effect.die("bug"), Effect.interrupt]
        const told = yield* Stream.runCollect(EagerReply.reply(eventsOf([[0, start(0)], [0, end(0, "a")], [0, start(1)], [0, end(1, "b")]]), {
          draft: ({ turn }) => drafts[turn] ?? Effect.void,
          speak: () => Effect.void
        }))
        const failed = told.flatMap((event) => event.type === "Failed" ? event.cause.reasons.map(({ _tag }) => _tag) : [])
        assert.deepStrictEqual(failed, ["Die", "Interrupt"])
      }))
    it.effect("can be where an effect is made", () =>
      Effect.gen(function*() {
        const bug = (): Effect.Effect<string> => {
          throw new Error("bug")
        }
        const stages = Effect.fnUntraced(function*(options: EagerReply.Options<string, never, never, string, never, never>) {
          const told = yield* Stream.runCollect(EagerReply.reply(eventsOf([[0, start(0)], [0, end(0, "a")]]), options))
          return told.map((event) => event.type === "Failed" ? event.stage : event.type)
        })
        const well = () => Effect.succeed("well")
        assert.deepStrictEqual(yield* stages({ draft: bug, speak: well }), ["draft"])
        assert.deepStrictEqual(yield* stages({ draft: well, speak: bug }), ["Drafted", "speech"])
      }))
    it.effect("of a draft that ends its own fiber costs no later reply", () =>
      Effect.gen(function*() {
        const replies = EagerReply.reply(
          eventsOf([[0, start(0)], [0, eager(0, "a")], [100, end(0, "a")], [200, start(1)], [300, end(1, "b")]]),
          {
            draft: ({ turn }) => turn > 0 ? Effect.void : Effect.withFiber((self) => {
              self.interruptUnsafe()
              return Effect.never
            }),
            speak: () => Effect.void
          }
        )
        const playing = yield* fork(Stream.runCollect(replies))
        yield* TestClock.adjust(1000)
        assert.deepStrictEqual((yield* Fiber.join(playing)).map(({ turn, type }) => `${type} ${turn}`), ["Drafted 1", "Spoken 1"])
      }))
    it.effect("of the events, too, is passed on as it is", () =>
      Effect.gen(function*() {
        const dying = Stream.concat(Stream.fromIterable([start(0), end(0, "a")]), Stream.die("bug"))
        const exit = yield* Effect.exit(Stream.runDrain(EagerReply.reply(dying, make(pace).options)))
        assert.deepStrictEqual(exit, Exit.die("bug"))
      }))
    it.effect("ends the conversation where that is asked for, unless another draft is to come", () =>
      Effect.gen(function*() {
        const { options } = make({ ...pace, failsToThink: [0, 1] })
        const timeline: Timeline = [[0, start(0)], [100, eager(0, "a")], [600, end(0, "a")], [5000, start(1)]]
        const types: Array<string> = []
        const ending = yield* fork(Effect.exit(eventsOf(timeline).pipe(
          EagerReply.reply(options),
          EagerReply.orFail,
          Stream.runForEach((event) => Effect.sync(() => void types.push(event.type)))
        )))
        yield* TestClock.adjust(900)
        assert.deepStrictEqual(yield* Fiber.join(ending), Exit.fail("cannot thinks"))
        assert.deepStrictEqual(types, ["Failed"])
      }))
  })

  it.effect("gives each reply a Scope that ends with it", () =>
    Effect.gen(function*() {
      /** A model that gives a word every 100 ms, and tells when it is let go. */
      const released: Array<string> = []
      const said: Array<string> = []
      const draft = Effect.fnUntraced(function*({ transcript }: EagerReply.Turn) {
        const words = yield* Queue.unbounded<string>()
        yield* Effect.addFinalizer(() => Effect.sync(() => void released.push(transcript)))
        yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.sleep(100), Queue.offer(words, transcript))))
        return words
      })
      const replies = eventsOf([[0, start(0)], [100, eager(0, "a")], [350, resumed(0, "a")], [400, eager(0, "b")], [850, end(0, "b")]]).pipe(
        EagerReply.reply({
          draft,
          speak: (words) =>
            Effect.sync(() => assert.deepStrictEqual(released, ["a"])).pipe(
              Effect.andThen(Queue.takeN(words, 6)),
              Effect.map((all) => void said.push(...all))
            )
        }),
        Stream.map(({ at, type }) => `${at} ${type}`)
      )
      const playing = yield* fork(Stream.runCollect(replies))
      yield* TestClock.adjust(2000)
      assert.deepStrictEqual(yield* Fiber.join(playing), ["100 Drafted", "350 Discarded", "400 Drafted", "1000 Spoken"])
      assert.deepStrictEqual([released, said], [["a", "b"], ["b", "b", "b", "b", "b", "b"]])
    }))

  it.effect("leaves nothing running where its consumer leaves", () =>
    Effect.gen(function*() {
      const { acts, options } = make(pace)
      const timeline: Timeline = [[0, start(0)], [100, end(0, "a")], [500, start(1, false)], [510, eager(1, "b")], [60_000, end(1, "b")]]
      const playing = yield* fork(Stream.runDrain(EagerReply.reply(eventsOf(timeline), options)))
      yield* TestClock.adjust(600)
      yield* Fiber.interrupt(playing)
      assert.deepStrictEqual(acts.map(({ how, until, what }) => [what, how, until]), [
        ["thinks", "done", 400],
        ["says", "interrupted", 600],
        ["thinks", "interrupted", 600]
      ])
      assert.deepStrictEqual(yield* outcomes, [["ended", 1], ["interrupted", 1]])
    }).pipe(withOwnMetrics))

  describe("a reply's Scope", () => {
    /** Plays two turns; the Scope of each reply takes 500 ms to close, and then does as told. */
    const closing = Effect.fnUntraced(function*(close: Effect.Effect<void>, draft: Effect.Effect<string, string>, ...barge: Timeline) {
      const options = {
        draft: ({ turn }: EagerReply.Turn) =>
          Effect.andThen(Effect.addFinalizer(() => Effect.andThen(Effect.sleep(500), close)), turn === 0 ? draft : Effect.succeed("well")),
        speak: (text: string, { type }: EndOfTurn) => Effect.succeed(`${text} at ${type}`)
      }
      const timeline: Timeline = [[0, start(0)], [100, eager(0, "a")], [200, end(0, "a")], ...barge, [300, start(1, false)], [400, end(1, "b")]]
      const playing = yield* fork(Stream.runCollect(EagerReply.reply(eventsOf(timeline), options)))
      yield* TestClock.adjust(5000)
      const told = yield* Fiber.join(playing)
      for (const event of told) {
        assert.strictEqual(event.id, "call")
        if (event.type === "Spoken") assert.strictEqual(event.value, "well at EndOfTurn")
      }
      return told.map(({ at, turn, type }) => `${at} ${type} ${turn}`)
    })
    it.effect("is closed before another voice speaks, and what was spoken is not interrupted in it", () =>
      Effect.gen(function*() {
        const told = yield* closing(Effect.void, Effect.succeed("well"), [250, start(1)])
        assert.deepStrictEqual(told, ["100 Drafted 0", "200 Spoken 0", "400 Drafted 1", "700 Spoken 1"])
      }))
    it.effect("of a draft that failed lets others speak", () =>
      Effect.gen(function*() {
        const told = yield* closing(Effect.void, Effect.andThen(Effect.sleep(250), Effect.fail("cannot")))
        assert.deepStrictEqual(told, ["350 Failed 0", "400 Drafted 1", "400 Spoken 1"])
      }))
    it.effect("that breaks when it closes is logged, and costs no later reply", () => {
      const logged: Array<unknown> = []
      const logger = Logger.make(({ logLevel, message }) => void logged.push([logLevel, message]))
      return Effect.gen(function*() {
        const told = yield* closing(Effect.die("bug"), Effect.succeed("well"))
        assert.deepStrictEqual(told, ["100 Drafted 0", "200 Spoken 0", "400 Drafted 1", "700 Spoken 1"])
        assert.deepStrictEqual(logged[0], ["Error", ["A reply's Scope does not close", "bug"]])
      }).pipe(Effect.provide(Logger.layer([logger])))
    })
  })

  it.effect("speaks no more once its consumer has left, although the events are slow to stop", () =>
    Effect.gen(function*() {
      const { acts, options } = make(pace)
      const events = Stream.ensuring(eventsOf([[0, start(0)], [100, end(0, "a")], [60_000, "ends"]]), Effect.sleep(5000))
      const playing = yield* fork(Stream.runDrain(EagerReply.reply(events, options)))
      yield* TestClock.adjust(500)
      yield* fork(Fiber.interrupt(playing))
      yield* TestClock.adjust(10_000)
      assert.deepInclude(acts.at(-1), { what: "says", from: 400, until: 500, how: "interrupted" })
    }))

  it.effect("speaks no more, and takes no more events, once its consumer has left, although a draft is slow to stop", () =>
    Effect.gen(function*() {
      const spoken: Array<number> = []
      let taken = 0
      const later = Array.from({ length: 20 }, (_, at) => [600 + 100 * at, update(1, "b")] as const)
      const events = Stream.tap(
        eventsOf([[0, start(0)], [100, end(0, "a")], [200, start(1, false)], [210, eager(1, "b")], ...later]),
        () => Effect.sync(() => void taken++)
      )
      const playing = yield* fork(Stream.runDrain(EagerReply.reply(events, {
        draft: ({ turn }) => turn === 0 ? Effect.sleep(700) : Effect.onInterrupt(Effect.never, () => Effect.sleep(5000)),
        speak: (_, { turn }) => Effect.sync(() => void spoken.push(turn))
      })))
      yield* TestClock.adjust(500)
      yield* fork(Fiber.interrupt(playing))
      yield* TestClock.adjust(10_000)
      assert.deepStrictEqual([spoken, taken], [[], 4])
      assert.isDefined(playing.pollUnsafe())
    }))

  describe("a consumer that is behind", () => {
    /** So many turns of a millisecond, then one whose reply takes five seconds, which the caller interrupts. */
    const busy = (turns: number): Timeline => [
      ...Array.from({ length: turns }, (_, turn): Timeline => [[turn, start(turn, false)], [turn, end(turn, `${turn}`)]]).flat(),
      [turns, start(turns, false)],
      [turns, end(turns, "last")],
      [turns + 1000, start(turns + 1)]
    ]
    const stuck = Effect.fnUntraced(function*(turns: number) {
      const { acts, options } = make({ speaks: [...Array.from({ length: turns }, () => 0), 5000] })
      const release = yield* Deferred.make<void>()
      let taken = 0
      const events = Stream.tap(eventsOf(busy(turns)), () => Effect.sync(() => void taken++))
      const playing = yield* fork(EagerReply.reply(events, options).pipe(Stream.tap(() => Deferred.await(release)), Stream.runCollect))
      yield* TestClock.adjust(turns + 2000)
      const takenSoFar = taken
      const last = acts.at(-1)
      yield* Deferred.succeed(release, undefined)
      yield* TestClock.adjust(20_000)
      return { takenSoFar, last, told: (yield* Fiber.join(playing)).map(({ turn, type }) => `${type} ${turn}`) }
    })
    const expected = (turns: number): Array<string> =>
      [...Array.from({ length: turns }, (_, turn) => [`Drafted ${turn}`, `Spoken ${turn}`]).flat(), `Drafted ${turns}`, `Interrupted ${turns}`]

    it.effect("keeps neither the agent from speaking nor the caller from interrupting it", () =>
      Effect.gen(function*() {
        const { last, told } = yield* stuck(400)
        assert.deepInclude(last, { what: "says", turn: 400, from: 400, until: 1400, how: "interrupted" })
        assert.deepStrictEqual(told, expected(400))
      }))

    it.effect("holds events up where it is thousands behind, and loses nothing", () =>
      Effect.gen(function*() {
        const turns = 6000
        const { takenSoFar, told } = yield* stuck(turns)
        // two events a turn, in and out
        assert.isBelow(takenSoFar, 2 * 4200)
        assert.deepStrictEqual(told, expected(turns))
      }))
  })

  it.effect("counts what became of drafts, and the time that was gained", () =>
    Effect.gen(function*() {
      yield* play([
        [0, start(0)],
        [100, eager(0, "a")],
        [150, resumed(0, "a")],
        [200, eager(0, "a b")],
        [350, end(0, "a b")],
        [800, start(1)],
        [900, end(1, "c")],
        [2300, start(2)],
        [2400, end(2, "d")],
        [2500, start(3, false)],
        [2600, eager(3, "e")],
        [2700, "ends"]
      ], { ...pace, failsToThink: [3] })
      const drafts = yield* outcomes
      assert.deepStrictEqual(drafts, [["ended", 1], ["failed", 1], ["interrupted", 1], ["resumed", 1], ["spoken", 1]])
      const gained = (yield* Metric.snapshot).flatMap((metric) =>
        metric.id === Observability.metricNames.replyGained && metric.type === "Histogram" ? [metric.state.count, metric.state.sum] : [])
      assert.deepStrictEqual(gained, [2, 0.15])
    }).pipe(withOwnMetrics))
})
