/** One caller of a soak: offers stamped audio in real time, does what callers do, and notes what is told. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { FluxEvent } from "../../src/FluxEvent.ts"
import type * as FluxSettings from "../../src/FluxSettings.ts"
import type * as Transcriber from "../../src/Transcriber.ts"
import type { Audio } from "./audio.ts"
import { type Heard, listener, type Stretch } from "./heard.ts"
import { generator, rate, type Speech } from "./script.ts"

/** What came of a call. */
export interface Outcome {
  readonly heard: Heard
  readonly exit: Exit.Exit<void, unknown>
  /** Seconds offered. */
  readonly offered: number
  /** Where it was muted, and where the caller ended turns: what is said there may be heard otherwise. */
  readonly muted: ReadonlyArray<Stretch>
  readonly ends: ReadonlyArray<number>
  readonly updates: { readonly done: number; readonly refused: number }
}

/** How a caller is. */
export interface Caller {
  readonly id: string
  readonly seconds: number
  readonly seed: number
  /** Audio comes so many times faster than in real time. */
  readonly speed: number
  readonly speech: Speech
  readonly audio: Audio
  readonly settings: FluxSettings.SettingsPatch
  /** Whether it changes settings, mutes, ends turns and pauses, too. */
  readonly acts: boolean
  /** Sees every event, too. */
  readonly watch?: ((event: FluxEvent) => void) | undefined
  /** So many seconds more were offered. */
  readonly onOffered?: ((seconds: number) => Effect.Effect<void>) | undefined
}

/** A call is not over although it must be. */
export class Hangs extends Schema.TaggedError<Hangs>()("Hangs", {}) {}

/** Makes a call. */
export const make = Effect.fnUntraced(function*(transcriber: Transcriber.Transcriber["Service"], caller: Caller) {
  const { audio, id, onOffered, seconds, seed, speed, watch } = caller
  const random = generator(seed)
  const { heard, take } = listener(caller.speech)
  const muted: Array<Stretch> = []
  const ends: Array<number> = []
  const updates = { done: 0, refused: 0 }
  const total = seconds * rate
  // a test clock that is given a part of a ms may not move at all
  const pause = (ofReal: number): Effect.Effect<void> => Effect.sleep(Math.round((1000 * ofReal) / speed))
  let position = 0
  const exit = yield* Effect.gen(function*() {
    const call = yield* transcriber.open({ id, settings: { ...caller.settings, tag: [id] } })
    const listening = yield* Effect.forkChild(
      Stream.runForEach(call.events, (event) =>
        Effect.sync(() => {
          take(event)
          watch?.(event)
        })),
      { startImmediately: true }
    )
    const update = Effect.fnUntraced(function*() {
      const patches: ReadonlyArray<FluxSettings.SettingsPatch> = [
        { eotThreshold: 0.6 + Math.round(random() * 2) / 10 },
        { keyterm: [`term${Math.floor(random() * 5)}`] },
        { minConfidence: random() / 2 },
        { mipOptOut: random() < 0.5 }
      ]
      const exit = yield* Effect.exit(call.update(patches[Math.floor(random() * patches.length)] ?? {}))
      if (Exit.isSuccess(exit)) updates.done++
      else updates.refused++
    })
    const isMuted = (): boolean => muted.at(-1)?.to === Number.POSITIVE_INFINITY
    /** `weight` is how much audio has gone since the last time, in tenths of a second. */
    const act = (weight: number): Effect.Effect<void> => {
      if (!caller.acts) return Effect.void
      const dice = random() / weight
      if (dice < 0.004) return pause(random() * 3)
      if (dice < 0.006) return Effect.asVoid(Effect.forkChild(update()))
      if (dice < 0.007) {
        ends.push(position / rate)
        return Effect.asVoid(Effect.forkChild(Effect.ignore(call.endTurn)))
      }
      if (dice < 0.008 && !isMuted()) {
        muted.push({ from: position / rate, to: Number.POSITIVE_INFINITY })
        return call.setMuted(true)
      }
      return Effect.void
    }
    const unmute = Effect.suspend(() => {
      const last = muted.at(-1)
      if (last === undefined || !isMuted() || position / rate < last.from + 3 * random()) return Effect.void
      muted[muted.length - 1] = { from: last.from, to: position / rate }
      return call.setMuted(false)
    })
    // 20 to 400 ms
    const chunk = (rate / 50) * (1 + Math.floor(random() * 20))
    const speak = Effect.gen(function*() {
      while (position < total) {
        const samples = Math.min(chunk, total - position)
        yield* call.send(audio(position, samples))
        position += samples
        if (onOffered !== undefined) yield* onOffered(samples / rate)
        yield* pause(samples / rate)
        yield* act((10 * samples) / rate)
        yield* unmute
      }
      yield* call.finish
    })
    // a call that fails has its last words to say all the same, and its events fail, too
    const spoken = yield* Effect.exit(speak)
    yield* Fiber.join(listening)
    if (Exit.isFailure(spoken)) return yield* spoken
  }).pipe(
    Effect.scoped,
    Effect.timeoutOrElse({ duration: 120_000 + (3000 * seconds) / speed, orElse: () => Effect.fail(new Hangs({})) }),
    Effect.exit
  )
  const outcome: Outcome = { heard: heard(), exit, offered: position / rate, muted, ends, updates }
  return outcome
})
