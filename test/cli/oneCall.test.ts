/** `simulate --one-call`, for a client that is not ours and comes back after a break. */
import { assert, describe, it } from "@effect/vitest"
import * as http2 from "node:http2"
import { closeStream, turnInfos } from "../support/flux.ts"
import { file, path, run, start } from "../support/command.ts"
import * as raw from "../support/rawClient.ts"
import { draw } from "../support/sound.ts"

/** A turn of 0.64 s and a pause that ends it, and as much of the next one. */
const first = draw("vvvvvvvv...............vvvv")
/** What a client sends again, and what comes then: two turns. */
const second = draw("vvvvvvvv...............".repeat(2))

/** The ends of turns that a session hears; it is broken off by the client, or closed as it should be. */
const session = async (url: string, audio: Uint8Array, end: "broken" | "closed"): Promise<ReadonlyArray<string>> => {
  const connection = http2.connect(url)
  connection.on("error", () => {})
  const { answer, messages, stream } = raw.exchange(connection, await raw.signedHeaders())
  await messages(1)
  stream.write(raw.unsignedFrame(raw.part(audio)))
  if (end === "closed") stream.write(raw.unsignedFrame(raw.part(closeStream)))
  // Connected, the Update at 240 ms and the StartOfTurn tell that it was heard
  else void messages(3).then(async () => {
    await raw.roundTrip(connection)
    connection.destroy()
  })
  const { body } = await answer
  connection.destroy()
  return turnInfos(raw.textsOf(raw.decodeAll(body)).slice(1)).flatMap(({ event, transcript }) => (event === "EndOfTurn" ? [transcript] : []))
}

describe.concurrent("flux-stt simulate", { timeout: 60_000 }, () => {
  const script = "one two\nthree four\nfive six"

  it("--one-call goes on in the line of the turn that broke, whoever asks; without it each session begins anew", async () => {
    const words = file("one-call.txt", script)
    const heard = async (...flags: ReadonlyArray<string>) => {
      const server = start(["simulate", "--port", "0", "--script", words, ...flags])
      const [url] = await server.until(/http:\S+\d/)
      const sessions = [await session(url, first, "broken"), await session(url, second, "closed")]
      server.child.kill("SIGTERM")
      assert.strictEqual(await server.status, 0)
      return sessions
    }
    assert.deepStrictEqual(await heard("--one-call"), [["one two"], ["three four", "five six"]])
    assert.deepStrictEqual(await heard(), [["one two"], ["one two", "three four"]])
  })

  it("--one-call is not for a capture, which says it all", async () => {
    const { status, stderr } = await run(["simulate", "--port", "0", "--one-call", "--replay", path("none.ndjson")])
    assert.strictEqual(status, 2)
    assert.include(stderr, "oneCall: --replay says it all; leave one of them out")
  })

  it("--help tells of it", async () => {
    const { stdout } = await run(["simulate", "--help"])
    assert.match(stdout, /--one-call\s+All sessions are of one call/)
  })
})
