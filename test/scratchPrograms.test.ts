/** The programs of scratch/ as processes, each against a simulator over HTTP/2 in place of SageMaker. */
import { assert, describe, it } from "@effect/vitest"
import { globSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { lines, root, simulator, start, wav } from "./support/command.ts"
import { WaveFile } from "./support/sound.ts"

describe.concurrent("scratch", { timeout: 60_000 }, () => {
  it("has programs that can be read at a glance", () => {
    const programs = globSync("scratch/*.ts", { cwd: root })
    assert.isAtLeast(programs.length, 9)
    for (const path of programs) assert.isBelow(readFileSync(join(root, path), "utf8").split("\n").length, 80, path)
  })

  it("microphone: prints turns of what is recorded, and the last words at Ctrl-C", async () => {
    const { env, stop } = await simulator()
    const running = start([], { program: "scratch/microphone.ts", env, stdin: "open" })
    // up to a word within the second turn; the recorder does not end
    running.child.stdin?.write(wav.subarray(44, 44 + 32_000 * 5.5))
    await running.until(new RegExp(lines[0] ?? ""))
    running.child.kill("SIGINT")
    assert.strictEqual(await running.status, 0)
    assert.match(running.stdout(), /\nThe order.*\n$/)
    assert.strictEqual(running.stderr(), "")
    assert.strictEqual(await stop(), 0)
  })

  it("microphone: says what is wrong", async () => {
    const running = start([], { program: "scratch/microphone.ts" })
    assert.strictEqual(await running.status, 1)
    assert.match(running.stderr(), /^Invalid settings: endpointName: is required.*region: is required/)
    assert.notMatch(running.stderr(), /\n\s+at /)
  })

  it("microphone: what is logged on the way is no part of what it prints", async () => {
    const env = { FLUX_ENDPOINT_NAME: "any", FLUX_ENDPOINT_URL: "http://127.0.0.1:1", AWS_REGION: "us-east-1", AWS_ACCESS_KEY_ID: "any", AWS_SECRET_ACCESS_KEY: "any" }
    const running = start([], { program: "scratch/microphone.ts", env, stdin: wav.subarray(44) })
    assert.strictEqual(await running.status, 1)
    assert.strictEqual(running.stdout(), "")
    assert.match(running.stderr(), /^(reconnecting: Could not connect .*\n){3,}Gave up after \d+ attempts in [\d.]+ s\. .*\n$/)
  })

  it("phone calls: two callers at once over WebSockets, mu-law in JSON, to the last word of one who hangs up in mid-turn", async () => {
    const { env, stop } = await simulator()
    const running = start([], { program: "scratch/phone-calls.ts", env: { ...env, PORT: "0" } })
    const [, port] = await running.until(/"port":(\d+)/)
    const recording = new WaveFile(wav)
    recording.toSampleRate(8000)
    recording.toMuLaw()
    const audio = Buffer.from(recording.getSamples(false, Uint8Array))

    const call = (callSid: string, seconds: number, end: "stop" | "close"): void => {
      const socket = new WebSocket(`ws://127.0.0.1:${port}`)
      const send = (message: object): void => socket.send(JSON.stringify(message))
      socket.addEventListener("open", () => {
        send({ event: "connected", protocol: "Call" })
        send({ event: "start", start: { callSid } })
        for (let at = 0; at < Math.min(audio.length, seconds * 8000); at += 160) {
          send({ event: "media", media: { payload: audio.subarray(at, at + 160).toString("base64") } })
        }
        if (end === "stop") send({ event: "stop" })
        else socket.close()
      })
    }
    call("CA-one", 60, "stop")
    call("CA-two", 5.5, "close")
    for (const line of lines) await running.until(new RegExp(`^CA-one: ${line}$`, "m"))
    await running.until(/^CA-two: The order/m)
    running.child.kill("SIGTERM")
    assert.strictEqual(await running.status, 130)
    assert.strictEqual(running.stderr(), "")
    assert.strictEqual(await stop(), 0)
  })
})
