/** The README's agent in a call on the simulator, over the wire: what its caller hears. */
import { assert, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { start } from "./support/command.ts"

const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8")

it("the voice agent answers early, drops what was drafted in vain, and stops when interrupted", async () => {
  const running = start([], { program: "scratch/voice-agent.ts" })
  assert.strictEqual(await running.status, 0)
  const gains: Array<number> = []
  const withoutGains = (text: string): string => text.replace(/\d+(?= ms earlier)/g, (gain) => {
    gains.push(Number(gain))
    return "N"
  })
  const [, shown = ""] = /`node scratch\/voice-agent\.ts`[^]*?```\n([^]*?)```/.exec(readme) ?? []
  assert.strictEqual(withoutGains(running.stdout()), withoutGains(shown))
  // the script has half a second, and a quarter, between eager end and end
  const [first = 0, second = 0] = gains
  assert.approximately(first, 480, 200)
  assert.approximately(second, 240, 200)
})
