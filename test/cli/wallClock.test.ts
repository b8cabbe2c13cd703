/** A machine whose clock is set by an hour in the middle of a call, which breaks as well: over the wire, in a process of its own. */
import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { file, lines, path, sample, simulator, start } from "../support/command.ts"

/** Steps `Date` once the process has said that a turn is under way. */
const stepping = (millis: number): string => `
  const Wall = Date
  let step = 0
  globalThis.Date = class extends Wall {
    constructor(...given) { if (given.length === 0) super(Wall.now() + step); else super(...given) }
    static now() { return Wall.now() + step }
  }
  const write = process.stdout.write
  process.stdout.write = function (text, ...rest) {
    if (String(text).includes('"type":"Update"')) step = ${millis}
    return write.call(this, text, ...rest)
  }
`
const seconds = (readFileSync(sample).length - 44) / 32_000

describe("a wall clock that is set in mid-call", () => {
  for (const hours of [1, -1]) {
    it(`by ${hours} h changes neither the words nor the pace, and costs a request`, async () => {
      const server = await simulator("--verify-credentials", "any:any", "--ledger", path(`${hours}.ndjson`), "--fault", "model-stream-error,session=0,turn=1,after=0.5", "--one-call")
      const preload = file(`step${hours}.mjs`, stepping(hours * 3_600_000))
      const call = start(["transcribe", sample, "--json"], { env: { ...server.env, NODE_OPTIONS: `--import ${preload}` } })
      assert.strictEqual(await call.status, 0, call.stderr())
      await server.stop()

      const events = call.stdout().trimEnd().split("\n").map((line) => JSON.parse(line))
      const ends = events.filter(({ type }) => type === "EndOfTurn")
      assert.deepStrictEqual(ends.map(({ ending, transcript }) => [transcript, ending]), lines.map((line) => [line, "confirmed"]))
      assert.strictEqual(events.filter(({ type }) => type === "Reconnecting").length, 1)
      // it was set
      const [connected, ...later] = events.flatMap(({ receivedAt }) => (receivedAt === undefined ? [] : [receivedAt]))
      assert.closeTo((later.at(-1) - connected) / 3_600_000, hours, 0.1)

      // by the clock of the server: a file is sent as it is spoken, and what broke is caught up
      const sessions = readFileSync(path(`${hours}.ndjson`), "utf8").trimEnd().split("\n").map((line) => JSON.parse(line))
      // the next session's request is dated wrongly, once, and signed again at once
      assert.deepStrictEqual(sessions.map(({ ending }) => ending), ["fault", "refused", "flux-closed"])
      const [first, last] = [sessions[0], sessions.at(-1)]
      assert.isAtLeast((last.endedAt - first.openedAt) / 1000, seconds * 0.9)
    })
  }
})
