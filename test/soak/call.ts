/** One caller of a soak: offers stamped audio in real time, does what callers do, and notes what is told. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import type { FluxEvent } from "../../src/FluxEvent.ts"
import type * as FluxSettings from "../../src/FluxSettings.ts"
import * as Stamp from "../../src/simulator/Stamp.ts"
import type * as Transcriber from "../../src/Transcriber.ts"
import { generator, rate } from "./script.ts"

/** A stretch of the call, in seconds. */
export interface Stretch {
  readonly from: number
  readonly to: number
}

/** What came of a call. */
export interface Outcome {
  readonly id: string
  readonly events: ReadonlyArray<FluxEvent>
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
  readonly settings: FluxSettings.SettingsPatch
  /** Whether it changes settings, mutes, ends turns and pauses, too. */
  readonly acts: boolean
}

/** Makes a call. */
export const make = Effect.fnUntraced(function*(transcriber: Transcriber.Transcriber["Service"], caller: Caller) {
  const { id, seconds, seed, speed } = caller
  const random = generator(seed)
  const events: Array<FluxEvent> = []
  const muted: Array<Stretch> = []
  const ends: Array<number> = []
  const updates = { done: 0, refused: 0 }
  let position = 0
  const exit = yield* Effect.exit(Effect.scoped(Effect.gen(function*() {
    const call = yield* transcriber.open({ id, settings: { ...caller.settings, tag: [id] } })
    const listening = yield* Effect.forkChild(
      Stream.runForEach(call.events, (event) => Effect.sync(() => void events.push(event))),
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
    const act = (): Effect.Effect<void> => {
      if (!caller.acts) return Effect.void
      const dice = random()
      if (dice < 0.004) return Effect.sleep((1000 * random() * 3) / speed)
      if (dice < 0.006) return Effect.asVoid(Effect.forkChild(update()))
      if (dice < 0.007) {
        ends.push(position / rate)
        return Effect.asVoid(Effect.forkChild(Effect.ignore(call.endTurn)))
      }
      if (dice < 0.008 && muted.at(-1)?.to !== Number.POSITIVE_INFINITY) {
        muted.push({ from: position / rate, to: Number.POSITIVE_INFINITY })
        return call.setMuted(true)
      }
      return Effect.void
    }
    const unmute = Effect.suspend(() => {
      const last = muted.at(-1)
      if (last === undefined || last.to !== Number.POSITIVE_INFINITY || position / rate < last.from + 3 * random()) return Effect.void
      muted[muted.length - 1] = { from: last.from, to: position / rate }
      return call.setMuted(false)
    })
    const chunk = Math.floor(rate * (0.02 + 0.02 * Math.floor(random() * 8)))
    while (position < seconds * rate) {
      const samples = Math.min(chunk, seconds * rate - position)
      yield* call.send(Stamp.audio(position, samples))
      position += samples
      yield* Effect.sleep((1000 * samples) / rate / speed)
      yield* act()
      yield* unmute
    }
    yield* call.finish
    yield* Fiber.join(listening)
  })))
  const outcome: Outcome = { id, events, exit, offered: position / rate, muted, ends, updates }
  return outcome
})
