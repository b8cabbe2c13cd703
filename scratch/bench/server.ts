/**
 * A server in a process of its own, which tells how much it uses: the simulator, or (`bare BYTES`) the floor under
 * it, node:http2 that reads and answers every slot of audio with so many bytes.
 */
import * as http2 from "node:http2"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Effect, References } from "effect"
import * as SimulatorServer from "../../src/simulator/SimulatorServer.ts"
import { part, unsignedFrame } from "../../test/support/rawClient.ts"
import { frameSamples, framesPerSlot, type Usage } from "./job.ts"

const [kind, answerBytes] = process.argv.slice(2)

process.on("message", () => {
  const { system, user } = process.cpuUsage()
  const usage: Usage = { cpu: (user + system) / 1000, now: performance.now(), rssBytes: process.memoryUsage.rss() }
  process.send?.(usage)
})
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
    if (typeof address === "object" && address !== null) process.send?.({ port: address.port })
  })
} else {
  Effect.gen(function*() {
    const { port } = yield* SimulatorServer.make()
    process.send?.({ port })
    return yield* Effect.never
  }).pipe(Effect.scoped, Effect.provideService(References.MinimumLogLevel, "Warn"), NodeRuntime.runMain)
}
