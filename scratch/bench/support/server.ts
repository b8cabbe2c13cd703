/**
 * A server in a process of its own, which tells how much it uses: the simulator, with `tls` or without, or (`bare BYTES`)
 * the floor under it, node:http2 that reads and answers every slot of audio with so many bytes.
 */
import * as http2 from "node:http2"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Effect, References, Schema } from "effect"
import * as SimulatorServer from "../../../src/simulator/SimulatorServer.ts"
import { part, unsignedFrame } from "../../../test/support/rawClient.ts"
import { type Listening, Question, type Records, type Usage } from "./questions.ts"
import { frameSamples, framesPerSlot } from "./timing.ts"

const [kind, answerBytes] = process.argv.slice(2)
const send = (answer: Listening | Usage | Records): void => void process.send?.(answer)
const usage = (): Usage => {
  const { system, user } = process.cpuUsage()
  return { cpu: (user + system) / 1000, now: performance.now(), rssBytes: process.memoryUsage.rss() }
}
let records: () => Records = () => ({ sessions: 0, ended: 0, audioBytes: 0 })

process.on("message", (message) => send(Schema.decodeUnknownSync(Question)(message) === "usage" ? usage() : records()))
process.on("disconnect", () => process.exit())

if (kind === "bare") {
  const slotBytes = unsignedFrame(part(new Uint8Array(frameSamples * 2))).length * framesPerSlot
  const answer = Buffer.alloc(Number(answerBytes))
  const server = http2.createServer()
  server.on("stream", (stream) => {
    let bytes = 0
    stream.respond({ ":status": 200, "content-type": "application/vnd.amazon.eventstream" })
    stream.on("error", () => undefined)
    stream.on("data", (chunk: Buffer) => {
      for (bytes += chunk.length; bytes >= slotBytes; bytes -= slotBytes) stream.write(answer)
    })
    stream.on("end", () => stream.end())
  })
  server.listen(0, "127.0.0.1", () => {
    const address = server.address()
    if (typeof address === "object" && address !== null) send({ url: `http://127.0.0.1:${address.port}` })
  })
} else {
  Effect.gen(function*() {
    const { certificate, ledger, url } = yield* SimulatorServer.make({ tls: kind === "tls" })
    records = () => {
      const all = Effect.runSync(ledger)
      return {
        sessions: all.length,
        ended: all.filter(({ ending }) => ending === "flux-closed").length,
        audioBytes: all.reduce((sum, { received }) => sum + received.audioBytes, 0)
      }
    }
    send({ url, ...(certificate === undefined ? {} : { certificate }) })
    return yield* Effect.never
  }).pipe(Effect.scoped, Effect.provideService(References.MinimumLogLevel, "Warn"), NodeRuntime.runMain)
}
