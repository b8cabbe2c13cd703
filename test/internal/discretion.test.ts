/** What a caller asked for stays out of errors, and what else an error knows stays in. */
import { assert, describe, it } from "@effect/vitest"
import * as FluxError from "../../src/FluxError.ts"
import * as discretion from "../../src/internal/discretion.ts"
import { defaults } from "../../src/internal/settings.ts"

describe("an error that is made discreet", () => {
  const { reason } = discretion.make({ ...defaults, keyterm: ["Zanzibar"] })

  it("still names the proxy, and what to do about it", () => {
    for (const [problem, status] of [["refused", 407], ["mute", undefined], ["unreachable", undefined]] as const) {
      const given = new FluxError.ConnectFailed({ target: "host:8443", proxy: { host: "proxy:3128", problem, status }, cause: new Error("of Zanzibar") })
      const clean = reason(given)
      assert.strictEqual(clean.message, given.message.replace("Zanzibar", "..."))
      assert.include(clean.message, "through the proxy proxy:3128: the proxy ")
      assert.strictEqual(clean.hint, given.hint)
    }
  })
})
