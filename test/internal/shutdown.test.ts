import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as shutdowns from "../../src/internal/shutdown.ts"

describe("the open conversations", () => {
  it.effect("are those whose Scope is open: others are not held, and asked nothing", () =>
    Effect.gen(function*() {
      const calls = shutdowns.make({ clock: yield* Clock.Clock, timeout: Duration.minutes(1) })
      const asked: Array<string> = []
      const call = (id: string): shutdowns.Call => ({
        id,
        status: Effect.sync(() => {
          asked.push(id)
          return "ready"
        }),
        endAudio: Effect.void,
        finish: Effect.void
      })
      const gone = yield* Scope.make()
      yield* Scope.provide(calls.enter(call("gone")), gone)
      yield* calls.enter(call("here"))
      yield* Scope.close(gone, Exit.void)
      assert.deepStrictEqual(yield* calls.shutdown, { finished: 1, closed: 0, failed: [] })
      assert.deepStrictEqual(asked, ["here"])
    }))
})
