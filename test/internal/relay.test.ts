/** How one session of a conversation hands over to the next. */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type { TurnInfo } from "../../src/FluxMessage.ts"
import * as relays from "../../src/internal/relay.ts"
import * as replayBuffers from "../../src/internal/replayBuffer.ts"
import * as retentions from "../../src/internal/retention.ts"
import { liveSession } from "../support/liveSession.ts"
import { settings, settingsOf } from "../support/session.ts"
import { pcm16 } from "../support/sound.ts"
import { turnInfoOf } from "../support/turnInfo.ts"

const rate = 16_000

/** Sessions that do nothing, and what the relay has them do, in order. */
const make = Effect.fnUntraced(function*(options: { readonly keeps?: boolean; readonly keepSeconds?: number } = {}) {
  const clock = yield* Clock.Clock
  const audio = replayBuffers.make({
    format: pcm16,
    clock,
    limit: () => 1_000_000,
    policy: () => "suspend",
    full: () => assert.fail("full"),
    keepLimit: () => (options.keepSeconds ?? 1000) * rate * 2
  })
  const retention = retentions.make()
  const log: Array<string> = []
  const relay = relays.make({ audio, retention, sampleRate: rate, keeps: options.keeps ?? true, onTakeOver: () => {} })
  const reader = audio.reader(() => {})

  const session = (number: number, had = settings) => {
    const state = { turnOpen: false }
    const note = (line: string): void => void log.push(`${number} ${line}`)
    const live: relays.Live = liveSession(number, {
      feed: (from, until) => note(`feed ${from}${until === undefined ? "" : ` until ${until}`}${relay.current() === live ? "" : ", and is not the one"}`),
      retire: () => note(`retire${relay.current() === live ? ", and is still the one" : ""}`),
      tell: (signal) =>
        note(signal.type === "AudioDropped" ? `dropped ${signal.from} ${signal.to}` : signal.type === "SettingsApplied" ? `applied ${signal.settings.join(" ")}` : signal.type),
      settings: () => had,
      turnOpen: () => state.turnOpen,
      // all that was offered has been sent
      reached: () => audio.position() / rate
    })
    return {
      live,
      /** Flux tells it something. */
      told: (event: TurnInfo["event"], end: number) => {
        state.turnOpen = event === "EndOfTurn" ? false : state.turnOpen || event === "StartOfTurn"
        relay.onTurnInfo(live, turnInfoOf({ event, audio_window_end: end }))
      },
      capped: () => {
        state.turnOpen = false
        relay.onCapped(live)
      }
    }
  }
  /** Audio is offered, and some session reads it. */
  const speak = (seconds: number): void => {
    audio.offerUnsafe(new Uint8Array(seconds * rate * 2))
    while (reader.next(() => {}) !== undefined);
  }
  const kept = (): number => audio.goneTo() / rate
  return { kept, log, relay, session, speak }
})

describe("the first session", () => {
  it.effect("begins with the audio, of which all is kept until something is told", () =>
    Effect.gen(function*() {
      const { kept, log, relay, session, speak } = yield* make()
      const first = session(0)
      relay.begin(first.live)
      assert.strictEqual(relay.current(), first.live)
      assert.deepStrictEqual(log, ["0 feed 0"])
      speak(8)
      assert.strictEqual(kept(), 0)
      // a turn that is noticed now needs what is two seconds before, and 3 s lies in the frame that begins at 2.96 s
      first.told("Update", 5)
      assert.strictEqual(kept(), 2.96)
      // 5.05 s lies in the frame of 80 ms that begins at 5.04 s
      first.told("StartOfTurn", 7.05)
      assert.closeTo(kept(), 5.04, 1e-9)
      speak(4)
      first.told("Update", 11)
      assert.closeTo(kept(), 5.04, 1e-9)
      first.told("EndOfTurn", 12)
      assert.strictEqual(kept(), 12)
    }))

  it.effect("keeps nothing where it is the only one", () =>
    Effect.gen(function*() {
      const { kept, relay, session, speak } = yield* make({ keeps: false })
      const only = session(0)
      relay.begin(only.live)
      speak(4)
      assert.strictEqual(kept(), 4)
      only.told("StartOfTurn", 3)
      speak(4)
      assert.strictEqual(kept(), 8)
    }))

  it.effect("keeps nothing of a turn that was given up", () =>
    Effect.gen(function*() {
      const { kept, relay, session, speak } = yield* make()
      const first = session(0)
      relay.begin(first.live)
      speak(8)
      first.told("StartOfTurn", 4)
      first.told("Update", 8)
      assert.strictEqual(kept(), 2)
      first.capped()
      assert.strictEqual(kept(), 8)
    }))
})

describe("after a break", () => {
  it.effect("the next session hears what was not told of, from a whole sample on, and knows how far the other one was", () =>
    Effect.gen(function*() {
      const { log, relay, session, speak } = yield* make()
      const [first, second] = [session(0), session(1)]
      relay.begin(first.live)
      speak(8)
      first.told("Update", 4.500_04)
      relay.resume(second.live)
      assert.strictEqual(relay.current(), second.live)
      // 3.50004 s are 56,000.64 samples
      assert.deepStrictEqual(log.slice(1), ["1 feed 56000 until 4.50004"])
    }))

  it.effect("what is not kept is told once, before it goes on, also where the next one breaks at once", () =>
    Effect.gen(function*() {
      const { log, relay, session, speak } = yield* make({ keepSeconds: 2 })
      const [first, second, third] = [session(0), session(1), session(2)]
      relay.begin(first.live)
      speak(8)
      relay.resume(second.live)
      relay.resume(third.live)
      assert.deepStrictEqual(log, ["0 feed 0", "1 dropped 0 6", "1 feed 96000 until 0", "2 feed 96000 until 0"])
    }))

  it.effect("with nothing kept at all it begins with what is offered next", () =>
    Effect.gen(function*() {
      const { log, relay, session, speak } = yield* make({ keepSeconds: 0 })
      const [first, second] = [session(0), session(1)]
      relay.begin(first.live)
      speak(8)
      first.told("Update", 8)
      relay.resume(second.live)
      assert.deepStrictEqual(log.slice(1), ["1 feed 128000 until 8"])
    }))

  it.effect("who waits for another session goes on once it is there, and waits for the one after it then", () =>
    Effect.gen(function*() {
      const { log, relay, session } = yield* make()
      const [first, second, third] = [session(0), session(1), session(2)]
      relay.begin(first.live)
      const waiting = yield* Effect.forkChild(Effect.map(relay.changed, () => log.push("changed")), { startImmediately: true })
      yield* Effect.yieldNow
      assert.isUndefined(waiting.pollUnsafe())
      relay.resume(second.live)
      yield* Fiber.join(waiting)
      assert.deepStrictEqual(log.slice(1), ["1 feed 0 until 0", "changed"])
      const next = yield* Effect.forkChild(relay.changed, { startImmediately: true })
      yield* Effect.yieldNow
      assert.isUndefined(next.pollUnsafe())
      relay.takeOver(third.live)
      yield* Fiber.join(next)
    }))
})

describe("one that waits to take over", () => {
  it.effect("does so at once where no turn is open: it is the one before the other retires, and is fed last", () =>
    Effect.gen(function*() {
      const { log, relay, session, speak } = yield* make()
      const [first, second] = [session(0), session(1, settingsOf({ keyterm: ["x"], tag: ["y"] }))]
      relay.begin(first.live)
      speak(8)
      first.told("Update", 4)
      relay.wait(second.live)
      assert.isFalse(relay.isWaiting(second.live))
      assert.strictEqual(relay.current(), second.live)
      assert.deepStrictEqual(log.slice(1), ["0 retire", "1 applied keyterm tag", "1 feed 48000 until 4"])
    }))

  it.effect("else at the end of the turn, from there on, and says nothing of settings that are the same", () =>
    Effect.gen(function*() {
      const { log, relay, session, speak } = yield* make()
      const [first, second] = [session(0), session(1)]
      relay.begin(first.live)
      speak(8)
      first.told("StartOfTurn", 4)
      relay.wait(second.live)
      first.told("Update", 5)
      // it hears nothing yet, so what it says is of nothing
      second.told("Update", 0)
      assert.isTrue(relay.isWaiting(second.live))
      assert.strictEqual(relay.current(), first.live)
      first.told("EndOfTurn", 6)
      assert.isFalse(relay.isWaiting(second.live))
      assert.deepStrictEqual(log.slice(1), ["0 retire", "1 feed 96000 until 6"])
      // once
      second.told("StartOfTurn", 7)
      second.told("EndOfTurn", 8)
      assert.strictEqual(log.length, 3)
    }))

  it.effect("or where the turn is given up", () =>
    Effect.gen(function*() {
      const { log, relay, session, speak } = yield* make()
      const [first, second] = [session(0), session(1)]
      relay.begin(first.live)
      speak(8)
      first.told("StartOfTurn", 4)
      relay.wait(second.live)
      first.told("Update", 5)
      first.capped()
      assert.deepStrictEqual(log.slice(1), ["0 retire", "1 feed 80000 until 5"])
    }))

  it.effect("or in mid-turn where it is to: then it hears the whole turn", () =>
    Effect.gen(function*() {
      const { log, relay, session, speak } = yield* make()
      const [first, second] = [session(0), session(1)]
      relay.begin(first.live)
      speak(8)
      first.told("StartOfTurn", 4)
      first.told("Update", 7)
      relay.wait(second.live)
      relay.takeOver(second.live)
      assert.isFalse(relay.isWaiting(second.live))
      assert.deepStrictEqual(log.slice(1), ["0 retire", "1 feed 32000 until 7"])
    }))

  it.effect("and is taken for something else waits no more", () =>
    Effect.gen(function*() {
      const { log, relay, session, speak } = yield* make()
      const [first, second] = [session(0), session(1)]
      relay.begin(first.live)
      speak(8)
      assert.isUndefined(relay.takeWaiting())
      first.told("StartOfTurn", 4)
      relay.wait(second.live)
      assert.strictEqual(relay.takeWaiting(), second.live)
      assert.isUndefined(relay.takeWaiting())
      first.told("EndOfTurn", 6)
      assert.deepStrictEqual([relay.current(), log.length], [first.live, 1])
    }))

  it.effect("has nothing to wait for before there is a first one", () =>
    Effect.gen(function*() {
      const { log, relay, session } = yield* make()
      const early = session(0)
      relay.wait(early.live)
      relay.resume(early.live)
      relay.takeOver(early.live)
      assert.deepStrictEqual([relay.current(), log], [undefined, []])
    }))
})
