/** scratch/phone-calls.ts as a process, and what exchanges and strangers say to it, over real sockets. */
import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { connect } from "node:net"
import { WebSocket } from "ws"
import { lines, path, simulator, start, wav } from "./support/command.ts"
import { WaveFile } from "./support/sound.ts"

const recording = new WaveFile(wav)
recording.toSampleRate(8000)
recording.toMuLaw()
/** The sample as a telephone has it. */
const audio = Buffer.from(recording.getSamples(false, Uint8Array))

const phoneServer = async (env: Record<string, string> = {}) => {
  const ledger = path(`phone-${Math.random()}.ndjson`)
  const endpoint = await simulator("--ledger", ledger)
  const running = start([], { program: "scratch/phone-calls.ts", env: { ...endpoint.env, PORT: "0", ...env } })
  const [, port = ""] = await running.until(/"port":(\d+)/)
  return {
    running,
    port: Number(port),
    env: endpoint.env,
    /** Ends both, and gives the bytes of audio that each session has heard. */
    stop: async (): Promise<ReadonlyArray<number>> => {
      running.child.kill("SIGTERM")
      assert.strictEqual(await running.status, 130)
      assert.strictEqual(running.stderr(), "")
      assert.strictEqual(await endpoint.stop(), 0)
      return readFileSync(ledger, "utf8").trim().split("\n").map((line) => JSON.parse(line).received.audioBytes)
    }
  }
}

const dial = async (port: number) => {
  const socket = new WebSocket(`ws://127.0.0.1:${port}`)
  const closed = new Promise<void>((resolve) => socket.on("close", () => resolve()))
  socket.on("error", () => undefined)
  await new Promise((resolve) => socket.on("open", resolve))
  const say = (message: unknown): void => socket.send(JSON.stringify(message))
  return {
    socket,
    closed,
    say,
    /** Frames of 20 ms. */
    speak: (bytes: Uint8Array, track?: string): void => {
      for (let at = 0; at < bytes.length; at += 160) {
        say({ event: "media", media: { ...(track === undefined ? {} : { track }), payload: Buffer.from(bytes.subarray(at, at + 160)).toString("base64") } })
      }
    }
  }
}
type Phone = Awaited<ReturnType<typeof dial>>

/** What is not of the call that it is said in. */
const foreign: ReadonlyArray<string | Buffer> = [
  ...[
    { event: "connected", protocol: "Call", version: "1.0.0" },
    { event: "dtmf", streamSid: "MZ", sequenceNumber: "62", dtmf: { track: "inbound_track", digit: "1" } },
    { event: "mark", streamSid: "MZ", mark: { name: "greeting" } },
    { event: "clear", streamSid: "MZ" },
    { event: "of years to come", media: { payload: "AAAA" } },
    {}, [], [1, 2], null, 7, true, "text",
    { event: 7 }, { event: null }, { event: { event: "media" } }, { media: { payload: "AAAA" } },
    { event: "media" }, { event: "media", media: null }, { event: "media", media: "AAAA" }, { event: "media", media: {} },
    { event: "media", media: { payload: null } }, { event: "media", media: { payload: 7 } }, { event: "media", media: { payload: [1] } },
    { event: "media", media: { payload: "" } }, { event: "media", media: { payload: "%%%%" } }, { event: "media", media: { payload: "AA AA" } },
    { event: "media", media: { payload: "AAAA=AAAA" } }, { event: "media", media: { payload: "\u0000" } },
    { event: "media", media: { track: "third", payload: "AAAA" } }, { event: "media", media: { track: 7, payload: "AAAA" } },
    { event: "start" }, { event: "start", start: null }, { event: "start", start: {} }, { event: "start", start: { callSid: 7 } },
    { event: "start", start: { callSid: "CA-forged: words\nCA-other" } }
  ].map((message) => JSON.stringify(message)),
  "", " ", "not json", "{", "{\"event\":\"media\"", "{\"__proto__\":{\"event\":\"stop\"}}", "[".repeat(30_000), "\uFEFF{}", "\u0000", "NaN",
  Buffer.alloc(0), Buffer.from([0xff, 0xfe, 0x00]), Buffer.alloc(160, 0x55), Buffer.from("not json")
]

/** What ends the socket that it comes by, and nothing else. */
const head = "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
const ending: Readonly<Record<string, Buffer>> = {
  "no handshake": Buffer.from("hello\r\n\r\n"),
  "bytes of TLS": Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01]),
  "a request that wants no upgrade": Buffer.from("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
  "an unknown version": Buffer.from(head.replace(": 13", ": 99")),
  "an unmasked frame": Buffer.concat([Buffer.from(head), Buffer.from([0x81, 0x02, 0x7b, 0x7d])]),
  "a reserved opcode": Buffer.concat([Buffer.from(head), Buffer.from([0x83, 0x80, 0, 0, 0, 0])]),
  "reserved bits": Buffer.concat([Buffer.from(head), Buffer.from([0xf1, 0x80, 0, 0, 0, 0])]),
  "text that is no UTF-8": Buffer.concat([Buffer.from(head), Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0xff, 0xff])]),
  "a length beyond all bounds": Buffer.concat([Buffer.from(head), Buffer.from([0x81, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])]),
  "a close code that is none": Buffer.concat([Buffer.from(head), Buffer.from([0x88, 0x82, 0, 0, 0, 0, 0x00, 0x01])])
}
const sendRaw = (port: number, bytes: Buffer): Promise<void> =>
  new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => socket.write(bytes))
    socket.on("error", () => undefined)
    socket.on("close", () => resolve())
    socket.resume()
    // a peer may also wait for the rest for ever
    socket.on("data", () => socket.end())
    if (bytes.length < 10) socket.end()
  })

describe("phone calls", { timeout: 120_000 }, () => {
  const half = Math.floor(audio.length / 2 / 160) * 160
  /** Each session has heard so much, and at most some silence besides, where this machine was slow. */
  const assertHeard = (heard: ReadonlyArray<number>, expected: ReadonlyArray<number>): void => {
    assert.strictEqual(heard.length, expected.length)
    for (const [at, bytes] of heard.toSorted((a, b) => a - b).entries()) assert.closeTo(bytes - (expected[at] ?? 0), half / 4, half / 4)
  }
  const heardAll = async (server: Awaited<ReturnType<typeof phoneServer>>, name: string): Promise<void> => {
    for (const line of lines) await server.running.until(new RegExp(`^${name}: ${line}$`, "m"))
  }

  it("whatever is said in a call, that call and all others are heard to their end", async () => {
    const server = await phoneServer()
    const calls: Array<Phone> = []
    for (const name of ["CA-one", "CA-two"]) {
      const phone = await dial(server.port)
      phone.say({ event: "start", start: { callSid: name } })
      phone.speak(audio.subarray(0, half))
      calls.push(phone)
    }
    for (const message of foreign) calls[0]?.socket.send(message)
    // once more
    calls[0]?.say({ event: "start", start: { callSid: "CA-one" } })
    for (const phone of calls) {
      phone.speak(audio.subarray(half))
      phone.say({ event: "stop" })
    }
    await heardAll(server, "CA-one")
    await heardAll(server, "CA-two")
    await Promise.all(calls.map(({ closed }) => closed))
    assert.notMatch(server.running.stdout(), /forged/)
    assertHeard(await server.stop(), [audio.length, audio.length])
  })

  it("whatever ends a socket ends no other one", async () => {
    const server = await phoneServer()
    const phone = await dial(server.port)
    // up to the silence behind the first turn; no name is told
    const pause = 3.8 * 8000
    phone.speak(audio.subarray(0, pause))
    await server.running.until(new RegExp(`^a call: ${lines[0]}$`, "m"))
    for (const bytes of Object.values(ending)) await sendRaw(server.port, bytes)

    const loud = await dial(server.port)
    loud.say({ event: "media", media: { payload: "A".repeat(2_000_000) } })
    await loud.closed
    const hasty = await dial(server.port)
    hasty.say({ event: "start", start: { callSid: "CA-hasty" } })
    hasty.socket.terminate()
    const torn = connect(server.port, "127.0.0.1")
    await new Promise((resolve) => torn.on("connect", resolve))
    torn.write(head)
    torn.resetAndDestroy()

    phone.speak(audio.subarray(pause))
    phone.say({ event: "stop" })
    await heardAll(server, "a call")
    // the call is over by now, and its line is closed for it
    await phone.closed
    await server.stop()
  })

  const bothLegs = async (env: Record<string, string>) => {
    const server = await phoneServer(env)
    const phone = await dial(server.port)
    phone.say({ event: "start", start: { callSid: "CA-both", tracks: ["inbound", "outbound"] } })
    // the other leg says less
    for (let at = 0; at < audio.length; at += 160) {
      phone.speak(audio.subarray(at, at + 160), "inbound")
      if (at < half) phone.speak(audio.subarray(at, at + 160), "outbound")
    }
    phone.say({ event: "stop" })
    await phone.closed
    return { running: server.running, stop: server.stop }
  }

  it("of both legs the inbound one is heard alone", async () => {
    const { running, stop } = await bothLegs({})
    const heard = await stop()
    assert.deepStrictEqual(running.stdout().trim().split("\n").slice(1), lines.map((line) => `CA-both: ${line}`))
    assertHeard(heard, [audio.length])
  })

  it("of both legs the outbound one is heard alone, where that is asked for", async () => {
    const { running, stop } = await bothLegs({ TRACK: "outbound_track" })
    assertHeard(await stop(), [half])
    assert.match(running.stdout(), /^CA-both: /m)
  })

  it("both legs are a conversation each, where that is asked for", async () => {
    const { running, stop } = await bothLegs({ TRACK: "both_tracks" })
    const heard = await stop()
    assertHeard(heard, [half, audio.length])
    const said = running.stdout().trim().split("\n")
    assert.deepStrictEqual(said.filter((line) => line.startsWith("CA-both inbound: ")), lines.map((line) => `CA-both inbound: ${line}`))
    assert.match(running.stdout(), /^CA-both outbound: /m)
  })

  it("a port that is taken, and legs that there are not, are said in words", async () => {
    const server = await phoneServer()
    const second = start([], { program: "scratch/phone-calls.ts", env: { ...server.env, PORT: String(server.port) } })
    const third = start([], { program: "scratch/phone-calls.ts", env: { ...server.env, PORT: "0", TRACK: "left" } })
    assert.deepStrictEqual([await second.status, await third.status], [1, 1])
    assert.match(second.stdout() + second.stderr(), /EADDRINUSE/)
    assert.notMatch(second.stdout() + second.stderr(), /Unhandled/)
    assert.match(third.stdout() + third.stderr(), /"inbound_track" \| "outbound_track" \| "both_tracks"/)
    // and the first one lives
    const phone = await dial(server.port)
    phone.say({ event: "start", start: { callSid: "CA-one" } })
    phone.speak(audio)
    phone.say({ event: "stop" })
    await heardAll(server, "CA-one")
    await server.stop()
  })
})
