import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { TestClock } from "effect/testing"
import * as Audio from "../../src/Audio.ts"
import * as FluxError from "../../src/FluxError.ts"
import * as endTurns from "../../src/internal/endTurn.ts"
import { fork } from "../support/session.ts"
import * as audioOut from "../support/audioOut.ts"
import { pcm16 } from "../support/sound.ts"

const frame = 2560
const full = FluxError.make(new FluxError.BufferOverflow({ buffer: "audio", limit: 0 }), "streaming")

/** With a real outbox, whose writer takes all there is at once, and a Flux played by hand. */
const make = Effect.fnUntraced(function*(force: boolean) {
  const clock = yield* Clock.Clock
  const outbox = audioOut.make({ format: pcm16, limit: () => 100 * frame, policy: () => "suspend", full: () => full, clock })
  const sessionEnd = yield* Deferred.make<void, FluxError.FluxError>()
  /** What Flux has told of, and whether it has a turn open. */
  const flux = { told: 0, open: false }
  const sent: Array<"audio" | "silence" | "force"> = []
  let samples = 0
  let givenUp = 0
  yield* fork(Effect.forever(Effect.tap(outbox.take, (next) =>
    Effect.suspend(() => {
      if (next === undefined) return Effect.never
      if (next.dataType === "UTF8") sent.push("force")
      else {
        samples += next.bytes.length / 2
        sent.push(next.position === undefined ? "silence" : "audio")
      }
      return Effect.void
    }))))
  const seconds = (): number => samples / 16_000
  const endTurn = endTurns.make({
    outbox,
    progress: {
      turnOpen: () => flux.open,
      answered: (until) => !flux.open && flux.told >= until - 0.01,
      take: () => {},
      carriedUntil: () => undefined,
      carry: () => {},
      transcribed: () => flux.told,
      tellsOfIdleAudio: () => false,
      abandon: () => {}
    },
    now: () => clock.currentTimeMillisUnsafe(),
    secondsAt: (sample) => seconds() + Audio.secondsOf(pcm16, outbox.bytesBefore(sample)),
    sentSeconds: seconds,
    idle: () => outbox.bytesToTake() === 0,
    silence: { dataType: "BINARY", bytes: Audio.silence(pcm16, 80) },
    force,
    limit: () => 7000,
    giveUp: () => {
      givenUp += 1
      flux.open = false
    },
    sessionEnd: Deferred.await(sessionEnd)
  })
  /** Flux tells of all there is, or as far as this; with `open` it has a turn. */
  const tell = (open: boolean, until = seconds()): void => {
    flux.told = until
    flux.open = open
  }
  const speak = (frames: number) => Effect.andThen(outbox.send(new Uint8Array(frames * frame)), TestClock.adjust(0))
  const ask = fork(Effect.exit(Effect.suspend(() => endTurn.run(outbox.position()))))
  const count = (what: (typeof sent)[number]): number => sent.filter((each) => each === what).length
  return { ask, count, endTurn, flux, givenUp: () => givenUp, outbox, sent, sessionEnd, speak, tell }
})
const waits = (fiber: Fiber.Fiber<Exit.Exit<void, FluxError.FluxError>>): boolean => fiber.pollUnsafe() === undefined

describe("endTurn", () => {
  for (const force of [true, false]) {
    const way = force ? "by ForceEndTurn" : "by silence"

    it.effect(`${way}: does nothing where all is told and no turn is open`, () =>
      Effect.gen(function*() {
        const { ask, sent, speak, tell } = yield* make(force)
        yield* speak(2)
        tell(false)
        const asking = yield* ask
        assert.isFalse(waits(asking))
        assert.deepStrictEqual(sent, ["audio", "audio"])
      }))

    it.effect(`${way}: one that is asked for behind later audio ends the turn of that, too; those asked for at once are one`, () =>
      Effect.gen(function*() {
        const { ask, count, endTurn, sent, speak, tell } = yield* make(force)
        yield* speak(3)
        tell(true)
        const first = [yield* ask, yield* ask]
        yield* TestClock.adjust(100)
        // what is said meanwhile is of the next turn
        yield* speak(2)
        const later = [yield* ask, yield* ask]
        // Flux ends the first turn where the audio was then; by silence that audio has not gone yet
        if (force) tell(false, 0.24)
        else tell(false)
        endTurn.ended()
        yield* TestClock.adjust(80)
        assert.deepStrictEqual(first.map(waits), [false, false])
        assert.deepStrictEqual(later.map(waits), [true, true])
        assert.strictEqual(count("audio"), 5)
        const before = sent.length
        tell(true)
        yield* TestClock.adjust(160)
        if (force) assert.strictEqual(count("force"), 2)
        else assert.isAbove(sent.length, before)
        tell(false)
        endTurn.ended()
        yield* TestClock.adjust(80)
        assert.deepStrictEqual(later.map(waits), [false, false])
        if (force) assert.strictEqual(count("force"), 2)
      }))

    it.effect(`${way}: gives a turn up after its limit, and is given up itself with the session`, () =>
      Effect.gen(function*() {
        const { ask, givenUp, sessionEnd, speak, tell } = yield* make(force)
        yield* speak(1)
        tell(true)
        const asking = yield* ask
        yield* TestClock.adjust(6999)
        assert.isTrue(waits(asking))
        yield* TestClock.adjust(81)
        assert.isFalse(waits(asking))
        assert.strictEqual(givenUp(), 1)
        tell(true)
        const other = yield* ask
        const lost = FluxError.make(new FluxError.ConnectionLost({ detail: "gone" }), "streaming")
        yield* Deferred.fail(sessionEnd, lost)
        yield* TestClock.adjust(0)
        assert.deepStrictEqual(yield* Fiber.join(other), Exit.fail(lost))
        assert.strictEqual(givenUp(), 1)
      }))

    it.effect(`${way}: where no turn came of the audio there is none to give up`, () =>
      Effect.gen(function*() {
        const { ask, givenUp, speak } = yield* make(force)
        yield* speak(1)
        const asking = yield* ask
        yield* TestClock.adjust("10 seconds")
        assert.isFalse(waits(asking))
        assert.strictEqual(givenUp(), 0)
      }))
  }

  it.effect("by silence: lets the audio go when it is interrupted, and holds it until then", () =>
    Effect.gen(function*() {
      const { ask, count, outbox, speak, tell } = yield* make(false)
      yield* speak(1)
      tell(true)
      const asking = yield* ask
      yield* speak(2)
      yield* TestClock.adjust(400)
      assert.deepStrictEqual([count("audio"), outbox.isHeld()], [1, true])
      yield* Fiber.interrupt(asking)
      yield* TestClock.adjust(0)
      assert.deepStrictEqual([count("audio"), outbox.isHeld()], [3, false])
    }))

  it.effect("by ForceEndTurn: the answer to one that was interrupted is not that of the next", () =>
    Effect.gen(function*() {
      const { ask, count, endTurn, speak, tell } = yield* make(true)
      yield* speak(1)
      tell(true)
      yield* Fiber.interrupt(yield* ask)
      const asking = yield* ask
      yield* TestClock.adjust(0)
      assert.strictEqual(count("force"), 2)
      assert.isTrue(waits(asking))
      endTurn.ended()
      yield* TestClock.adjust(0)
      assert.isFalse(waits(asking))
      // nobody waits any more
      endTurn.ended()
    }))

  it.effect("by ForceEndTurn: comes too late when all audio is out, and ends with the session", () =>
    Effect.gen(function*() {
      const { ask, count, outbox, sessionEnd, speak, tell } = yield* make(true)
      yield* speak(1)
      tell(true)
      outbox.finish()
      yield* TestClock.adjust(0)
      const asking = yield* ask
      yield* TestClock.adjust("20 seconds")
      assert.isTrue(waits(asking))
      assert.strictEqual(count("force"), 0)
      yield* Deferred.succeed(sessionEnd, undefined)
      yield* TestClock.adjust(0)
      assert.isFalse(waits(asking))
    }))
})
