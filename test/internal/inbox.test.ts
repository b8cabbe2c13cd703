import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Scheduler from "effect/Scheduler"
import * as Stream from "effect/Stream"
import * as inboxes from "../../src/internal/inbox.ts"

const turns = (count: number) => Effect.repeat(Effect.yieldNow, { times: count })

describe("inbox", () => {
  it.effect("a consumer never misses an item or the end, whenever they come", () =>
    Effect.gen(function*() {
      for (const opsBeforeYield of [5, 6, 7, 8, 9, 11, 13, 2048]) {
        for (let delay = 0; delay < 25; delay++) {
          const inbox = inboxes.make<number, never>({ limit: 10, merge: () => undefined })
          const consumer = yield* Stream.runCollect(inbox.stream).pipe(
            Effect.provideService(Scheduler.MaxOpsBeforeYield, opsBeforeYield),
            Effect.forkChild
          )
          yield* turns(delay)
          inbox.push(1)
          inbox.end()
          yield* turns(200)
          if (consumer.pollUnsafe() === undefined) {
            yield* Fiber.interrupt(consumer)
            assert.fail(`after ${delay} turns, yielding every ${opsBeforeYield} steps`)
          }
          assert.deepStrictEqual(yield* Fiber.join(consumer), [1])
        }
      }
    }))

  it.effect("says when it is full, and takes the items that end it all the same", () =>
    Effect.gen(function*() {
      const inbox = inboxes.make<number, never>({ limit: 2, merge: () => undefined })
      const room = [1, 2].map((item) => {
        inbox.push(item)
        return inbox.hasRoom()
      })
      assert.deepStrictEqual(room, [true, false])
      inbox.push(4)
      inbox.end()
      assert.deepStrictEqual(yield* Stream.runCollect(inbox.stream), [1, 2, 4])
    }))

  it.effect("what is superseded while it waits is left out", () =>
    Effect.gen(function*() {
      const inbox = inboxes.make<number, never>({ limit: 2, merge: (newer, last) => (newer % 10 === last % 10 ? newer : undefined) })
      for (const item of [1, 11, 2, 12, 22]) inbox.push(item)
      assert.strictEqual(inbox.size(), 2)
      inbox.end()
      assert.deepStrictEqual(yield* Stream.runCollect(inbox.stream), [11, 22])
    }))
})
