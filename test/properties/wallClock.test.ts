/**
 * Machines are set right while calls go on, by a millisecond or an hour. Nothing of a call may depend on that: the same
 * events, in the same words, at the same time that has gone by, and the same on the wire; only the date at which an event is
 * told to have come, and that of a session in the simulator's ledger, is that of the wall.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { offsetAt, type Step, withSteps } from "../support/steppedClock.ts"
import { runs } from "./runs.ts"
import { calls, type Outcome, play, type TimedCall } from "./timedCalls.ts"

const hour = 3_600_000
const By = Schema.Union([
  Schema.Literals([-hour, hour, -1000, 1000, -1, 1]),
  Schema.Int.check(Schema.isBetween({ minimum: -hour, maximum: hour }))
])
/** When, as a share of the call, in thousandths. */
const Steps = Schema.Array(Schema.Struct({ share: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1000 })), by: By })).check(
  Schema.isMinLength(1),
  Schema.isMaxLength(4)
)

const undisturbed = new Map<TimedCall, Outcome>()
const without = (call: TimedCall): Effect.Effect<Outcome> =>
  Effect.suspend(() => {
    const known = undisturbed.get(call)
    return known !== undefined
      ? Effect.succeed(known)
      : Effect.tap(withSteps([])(play(call)), (outcome) => Effect.sync(() => void undisturbed.set(call, outcome)))
  })
const untimed = ({ events, heardAt }: Outcome) => events.map((event, at) => [heardAt[at], { ...event, receivedAt: 0 }])

/** Fails where a call with these steps is not the one without. */
const check = (call: TimedCall, steps: ReadonlyArray<Step>) =>
  Effect.gen(function*() {
    const expected = yield* without(call)
    const outcome = yield* withSteps(steps)(play(call))
    assert.deepStrictEqual(outcome.answers, expected.answers)
    assert.deepStrictEqual(untimed(outcome), untimed(expected))
    assert.deepStrictEqual(outcome.entries, expected.entries)
    // a session is dated where it begins
    assert.deepStrictEqual(outcome.ledger, expected.ledger.map((record) => {
      const { endedAt, openedAt } = record
      const off = offsetAt(steps, openedAt)
      return { ...record, openedAt: openedAt + off, ...(endedAt === undefined ? {} : { endedAt: endedAt + off }) }
    }))
    // where nothing is stepped, wall time is monotonic time
    assert.deepStrictEqual(
      outcome.events.map(({ receivedAt }) => receivedAt),
      expected.events.map(({ receivedAt }) => receivedAt + offsetAt(steps, receivedAt))
    )
  })

describe("a step of the wall clock changes nothing of", () => {
  for (const [what, call] of Object.entries(calls)) {
    it.live.prop(what, { steps: Steps }, ({ steps }) =>
      Effect.gen(function*() {
        const expected = yield* without(call)
        const all = JSON.stringify(expected)
        for (const shown of call.shows) assert.include(all, shown)
        const last = Math.max(...expected.heardAt)
        // what dates itself by the wall does so at its beginning
        yield* check(call, steps.map(({ by, share }) => ({ at: 1 + Math.round((share * last) / 1000), by })))
      }), runs(10))
  }
})
