import { assert, describe, it } from "@effect/vitest"
import { fromText, placeholders } from "../../src/simulator/Script.ts"

describe("Script", () => {
  it("takes a line a turn and words by white space", () => {
    assert.deepStrictEqual(fromText("Hello,  how\tare you?\n\n   \r\n Fine. \n").turns, [
      ["Hello,", "how", "are", "you?"],
      ["Fine."]
    ])
  })

  it("says nothing without text", () => {
    assert.deepStrictEqual(fromText(" \n\n"), { turns: [] })
    assert.deepStrictEqual(placeholders, { turns: [] })
  })
})
