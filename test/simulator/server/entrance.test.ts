/** What somebody is told who comes to the simulator with another protocol, and what its log says of that. */
import { assert, describe, it } from "@effect/vitest"
import * as http from "node:http"
import * as http2 from "node:http2"
import * as https from "node:https"
import * as net from "node:net"
import { duplexPair } from "node:stream"
import * as tls from "node:tls"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import type * as Scope from "effect/Scope"
import * as SimulatorServer from "../../../src/simulator/SimulatorServer.ts"
import { becomes } from "../../support/becomes.ts"
import * as h2 from "../../support/h2Frames.ts"
import * as raw from "../../support/rawClient.ts"

/** A simulator, and what a person reads of it: the log at its usual level. */
const simulator = (isSecure: boolean) =>
  Effect.gen(function*() {
    const lines: Array<string> = []
    const logger = Logger.make((line) => void lines.push(Logger.formatJson.log(line)))
    const server = yield* SimulatorServer.make({ tls: isSecure }).pipe(Effect.provide(Logger.layer([logger])))
    return { ...server, lines }
  })
type Simulator = Effect.Success<ReturnType<typeof simulator>>

/** All that a connection receives to its end, however that comes. */
const heard = (socket: net.Socket): Promise<string> =>
  new Promise((resolve) => {
    let text = ""
    socket.on("data", (data) => (text += data.toString("latin1")))
    socket.on("error", () => {})
    socket.on("close", () => resolve(text))
  })
/** Lets what was written be read. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(() => setImmediate(resolve)))
/** Says something to a port in pieces of so many bytes, each of which is read for itself. */
const say = async (port: number, said: Uint8Array, size = said.length): Promise<string> => {
  const socket = net.connect({ port, host: "127.0.0.1", noDelay: true })
  const text = heard(socket)
  await new Promise((resolve) => socket.once("connect", resolve).once("close", resolve))
  for (let at = 0; at < said.length && socket.writable; at += size) {
    socket.write(said.subarray(at, at + size))
    if (size < said.length) await settled()
  }
  return text
}
const over = (server: Simulator, options: tls.ConnectionOptions, said: Uint8Array): Promise<string> => {
  const socket = tls.connect({ port: server.port, host: "127.0.0.1", ca: server.certificate, ...options }, () => socket.write(said))
  return heard(socket)
}
const request = (line: string): Buffer => Buffer.from(`${line}\r\nHost: x\r\n\r\n`)
const get = request("GET / HTTP/1.1")

const serves = (server: Simulator): Effect.Effect<void, never, Scope.Scope> =>
  Effect.gen(function*() {
    const session = yield* Effect.acquireRelease(
      Effect.sync(() => http2.connect(server.url, { ca: server.certificate })),
      (session) => Effect.sync(() => session.destroy())
    )
    const headers = yield* Effect.promise(() => raw.signedHeaders())
    assert.propertyVal(yield* Effect.promise(() => raw.exchange(session, headers).headers), ":status", 200)
  })

/** The only line of the log about that, a warning, which says nothing of what was said. */
const warned = (server: Simulator, problem: RegExp) =>
  Effect.gen(function*() {
    yield* becomes("log lines", Effect.sync(() => server.lines.length), 1)
    const [line = ""] = server.lines.splice(0)
    assert.match(line, /"level":"WARN"/)
    assert.match(line, problem)
    assert.notInclude(line, "secret")
  })

const answer = /^HTTP\/1\.1 505 [^]*\r\nContent-Length: (\d+)\r\nConnection: close\r\n\r\n([^]*)$/
/** The sentence of a whole answer, where AWS's SDKs look for it. */
const sentence = (text: string): string => {
  const [, length, body = ""] = answer.exec(text) ?? assert.fail(text)
  assert.strictEqual(body.length, Number(length))
  return JSON.parse(body).message
}

describe("entrance", () => {
  describe("of a simulator without TLS", () => {
    it.live.each<readonly [what: string, said: Uint8Array, size?: number]>([
      ["a GET", get],
      ["a byte at a time", get, 1],
      ["HTTP/1.0", request("GET /secret HTTP/1.0")],
      ["HEAD", request("HEAD / HTTP/1.1")],
      ["an upgrade to h2c", Buffer.from("GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: \r\n\r\n")],
      ["WebSocket's upgrade", Buffer.from("GET /v2/listen HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")],
      ["half a preface", Buffer.from("PRI * HTTP/1.1\r\n\r\n")],
      ["a body of 4 MB", Buffer.concat([request("POST /endpoints/secret HTTP/1.1"), Buffer.alloc(4_000_000, 0x61)])]
    ])("HTTP/1 is told to come with HTTP/2: %s", ([, said, size]) =>
      Effect.gen(function*() {
        const server = yield* simulator(false)
        assert.match(sentence(yield* Effect.promise(() => say(server.port, said, size))), /HTTP\/2 only, without TLS, with prior knowledge/)
        yield* warned(server, /the client speaks HTTP\/1, and this port HTTP\/2 only, with prior knowledge/)
        yield* serves(server)
      }))

    it.live("Node's own client of HTTP/1 reads the answer", () =>
      Effect.gen(function*() {
        const server = yield* simulator(false)
        const told = yield* Effect.callback<string>((resume) => {
          http.get(server.url, (response) => {
            let text = `${response.statusCode} ${response.headers["content-type"]} `
            response.on("data", (data) => (text += data)).on("end", () => resume(Effect.succeed(text)))
          })
        })
        assert.match(told, /^505 application\/json \{"message":"This is a simulator of a SageMaker endpoint.*"\}\n$/)
      }))

    it.live("TLS is told of in the log, and its client says what all say of a port without TLS", () =>
      Effect.gen(function*() {
        const server = yield* simulator(false)
        const failure = yield* Effect.callback<string>((resume) => {
          const socket = tls.connect({ port: server.port, host: "127.0.0.1", ALPNProtocols: ["h2"] })
          socket.on("error", (error) => resume(Effect.succeed(error.message)))
        })
        assert.match(failure, /wrong version number/)
        yield* warned(server, /the client speaks TLS, and this port does not: its URL begins with http:/)
        yield* serves(server)
      }))

    it.live("a preface that comes a byte at a time is one", () =>
      Effect.gen(function*() {
        const server = yield* simulator(false)
        const said = Buffer.concat([h2.preface, h2.settings(), h2.frame(h2.type.goAway, 0, 0, h2.uint32(0, 0))])
        // SETTINGS: the server speaks HTTP/2
        assert.strictEqual((yield* Effect.promise(() => say(server.port, said, 1))).charCodeAt(3), h2.type.settings)
        assert.deepStrictEqual(server.lines, [])
      }))
  })

  describe("of a simulator with TLS", () => {
    it.live.each<readonly [what: string, protocols: ReadonlyArray<string> | undefined]>([
      ["without ALPN", undefined],
      ["by ALPN", ["http/1.1"]],
      ["by ALPN, among others", ["spdy/3", "http/1.1", "http/1.0"]]
    ])("HTTP/1 is told to come with HTTP/2: %s", ([, protocols]) =>
      Effect.gen(function*() {
        const server = yield* simulator(true)
        const options = protocols === undefined ? {} : { ALPNProtocols: [...protocols] }
        assert.match(sentence(yield* Effect.promise(() => over(server, options, get))), /HTTP\/2 only, over TLS, where ALPN has to agree on h2/)
        yield* warned(server, /the client does not offer HTTP\/2, which ALPN has to agree on/)
        yield* serves(server)
      }))

    it.live("Node's own client of HTTP/1 reads the answer", () =>
      Effect.gen(function*() {
        const server = yield* simulator(true)
        const status = yield* Effect.callback<number | undefined>((resume) => {
          https.get(server.url, { ca: server.certificate }, (response) => {
            response.resume()
            resume(Effect.succeed(response.statusCode))
          })
        })
        assert.strictEqual(status, 505)
      }))

    it.live("HTTP/2 that was not agreed on gets no answer, and the log says why", () =>
      Effect.gen(function*() {
        const server = yield* simulator(true)
        assert.strictEqual(yield* Effect.promise(() => over(server, {}, Buffer.concat([h2.preface, h2.settings()]))), "")
        yield* warned(server, /does not offer HTTP\/2/)
        yield* serves(server)
      }))

    it.live("who offers neither is refused by TLS", () =>
      Effect.gen(function*() {
        const server = yield* simulator(true)
        const failure = yield* Effect.callback<string>((resume) => {
          const socket = tls.connect({ port: server.port, host: "127.0.0.1", ca: server.certificate, ALPNProtocols: ["spdy/3"] })
          socket.on("error", (error) => resume(Effect.succeed(error.message)))
        })
        assert.match(failure, /no application protocol/)
        yield* serves(server)
      }))

    it.live("without TLS, HTTP/1 is answered in the clear", () =>
      Effect.gen(function*() {
        const server = yield* simulator(true)
        assert.match(sentence(yield* Effect.promise(() => say(server.port, get))), /over TLS/)
        yield* warned(server, /the client speaks HTTP\/1 without TLS.*begins with https:/)
        yield* serves(server)
      }))

    it.live("without TLS, HTTP/2 is told of in the log", () =>
      Effect.gen(function*() {
        const server = yield* simulator(true)
        yield* Effect.promise(() => say(server.port, Buffer.concat([h2.preface, h2.settings()])))
        yield* warned(server, /the client speaks HTTP\/2 without TLS.*begins with https:/)
        yield* serves(server)
      }))

    it.live("a handshake that comes a byte at a time is one", () =>
      Effect.gen(function*() {
        const server = yield* simulator(true)
        const tcp = net.connect({ port: server.port, host: "127.0.0.1", noDelay: true })
        const [inside, outside] = duplexPair()
        tcp.pipe(outside)
        outside.on("data", (said: Uint8Array) => said.forEach((byte) => tcp.write(Uint8Array.of(byte))))
        const agreed = yield* Effect.callback<string | false | null>((resume) => {
          const socket = tls.connect({ socket: inside, host: "127.0.0.1", ca: server.certificate, ALPNProtocols: ["h2"] }, () => {
            resume(Effect.succeed(socket.alpnProtocol))
            tcp.destroy()
          })
          socket.on("error", () => {})
        })
        assert.strictEqual(agreed, "h2")
      }))
  })
})
