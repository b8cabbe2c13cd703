/** A microphone, by whatever records it, in a program without Effect. */
import { createTranscriber } from "../src/index.ts"

const transcriber = createTranscriber({
  endpointName: process.env["FLUX_ENDPOINT_NAME"],
  endpointUrl: process.env["FLUX_ENDPOINT_URL"],
  settings: { encoding: "linear16", sampleRate: 16_000, eotThreshold: 0.8 }
})
// Ctrl-C is for the recorder, too; the last words still come
process.once("SIGINT", () => void transcriber.close())

try {
  for await (const event of transcriber.transcribe(process.stdin)) {
    if (event.type === "EndOfTurn") console.log(event.transcript)
    if (event.type === "Reconnecting") console.error(`reconnecting: ${event.detail}`)
  }
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
} finally {
  await transcriber.close()
  // a recorder that goes on would keep the process alive
  process.stdin.destroy()
}
