import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Endpoint from "../../../src/simulator/Endpoint.ts"
import * as front from "../../../src/simulator/server/front.ts"
import * as h2 from "../../support/h2Frames.ts"
import * as raw from "../../support/rawClient.ts"

describe("front", () => {
  it.live("leaves no timer behind when a stream has gone, nor when its connection has", () =>
    Effect.gen(function*() {
      const timers = new Set<number>()
      let made = 0
      const server = front.make({
        endpoint: Endpoint.make({}),
        secure: undefined,
        rules: { credentials: undefined, endpointNames: undefined },
        clock: yield* Clock.Clock,
        after: (millis) => {
          const timer = made++
          timers.add(timer)
          assert.isAbove(millis, 0)
          return () => timers.delete(timer)
        },
        onRubbish: () => {},
        onStranger: () => {}
      })
      const port = yield* Effect.acquireRelease(server.listen(0, "127.0.0.1"), () => server.close)
      const client = yield* Effect.promise(() => h2.connect(port))
      client.send(h2.preface, h2.settings(), h2.request(1, yield* Effect.promise(() => raw.signedHeaders())))
      yield* Effect.promise(() => client.seen(({ type }) => type === h2.type.data))
      // the longest life of a session; the connection is not idle
      assert.strictEqual(timers.size, 1)
      client.send(h2.frame(h2.type.rstStream, 0, 1, h2.uint32(8)), h2.frame(h2.type.ping, 0, 0, Buffer.alloc(8)))
      yield* Effect.promise(() => client.seen(({ type }) => type === h2.type.ping))
      // that of the connection alone
      assert.strictEqual(timers.size, 1)
      assert.isAbove(made, 2)
      client.socket.destroy()
      yield* server.close
      assert.strictEqual(timers.size, 0)
    }))
})
