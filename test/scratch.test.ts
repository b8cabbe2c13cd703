/** The README's programs: they are the files of scratch/, and those that need no endpoint run here. */
import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { retryable } from "../src/FluxError.ts"
import "../scratch/test-with-a-server.ts"
import "../scratch/test-your-agent.ts"

const read = (path: string): string => readFileSync(new URL(`../${path}`, import.meta.url), "utf8")
const readme = read("README.md")

describe("README", () => {
  const snippets = [...readme.matchAll(/<!-- (scratch\/\S+) -->\n```ts\n([^]*?)```/g)]

  it("shows programs of scratch/ as they are", () => {
    assert.isAtLeast(snippets.length, 2)
    for (const [, path = "", shown = ""] of snippets) {
      const file = read(path).replace(/^\/\*\*.*\*\/\n/, "").replace("../src/index.ts", "effect-flux-sagemaker")
      assert.strictEqual(shown, file, path)
    }
  })

  it("says of every reason whether it is retryable", () => {
    const rows = [...readme.matchAll(/^\| `(\w+)` \| (yes|no) \|/gm)].map(([, tag, answer]) => [tag, answer === "yes"])
    assert.deepStrictEqual(rows, Object.entries(retryable))
  })
})
