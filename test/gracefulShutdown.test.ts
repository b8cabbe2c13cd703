/** A process with many calls that is told to end, as whoever tells it sees it. */
import { assert, describe, it } from "@effect/vitest"
import { type Running, start } from "./support/command.ts"

const program = "scratch/graceful-shutdown.ts"
/** Runs so many calls until each is in mid-turn. */
const inMidTurn = async (calls: number, fault?: string): Promise<Running> => {
  const running = start([String(calls), ...(fault === undefined ? [] : [fault])], { program })
  for (let call = 0; call < calls; call++) await running.until(new RegExp(`^call-${call} speaks$`, "m"))
  return running
}
/** What it printed after it was told to end, and how long that took. */
const ended = async (running: Running, signal: NodeJS.Signals) => {
  const before = running.stdout().length
  const began = performance.now()
  running.child.kill(signal)
  const status = await running.status
  const lines = running.stdout().slice(before).trimEnd().split("\n")
  return { status, lines, millis: performance.now() - began }
}

describe("a process with many calls", () => {
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    it(`hears the last words of every one after ${signal}, reports and ends well`, async () => {
      const { lines, millis, status } = await ended(await inMidTurn(5), signal)
      assert.strictEqual(status, 0)
      assert.strictEqual(lines[0], "finishing; once more to stop at once")
      const words = lines.slice(1, -1).toSorted()
      assert.strictEqual(words.length, 5)
      words.forEach((line, call) => assert.match(line, new RegExp(`^call-${call}: one( \\w+)* \\(closed\\)$`)))
      assert.strictEqual(lines.at(-1), "5 finished, 0 failed")
      // nothing hangs, so no bound is waited for
      assert.isBelow(millis, 5000)
    })
  }

  it("ends with 1 where a call fails, and says which and why", async () => {
    const { lines, millis, status } = await ended(await inMidTurn(2, "reset,at=close"), "SIGTERM")
    assert.strictEqual(status, 1)
    assert.deepStrictEqual(lines.slice(-3), ["0 finished, 2 failed", "call-0 failed: ConnectionLost", "call-1 failed: ConnectionLost"])
    assert.deepStrictEqual(lines.slice(1, -3).toSorted().map((line) => line.replace(/: one.* /, " ")), ["call-0 (lost)", "call-1 (lost)"])
    assert.isBelow(millis, 10_000)
  })

  it("is interrupted by the second signal", async () => {
    const running = await inMidTurn(2, "stay-open")
    running.child.kill("SIGTERM")
    await running.until(/finishing; once more to stop at once/)
    const { millis, status } = await ended(running, "SIGTERM")
    assert.strictEqual(status, 130)
    assert.notInclude(running.stdout(), "finished")
    // a good deal less than the 8 s of waiting for the server's end
    assert.isBelow(millis, 5000)
  })
})
