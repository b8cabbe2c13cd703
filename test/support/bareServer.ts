/** A server of node:http2 that knows nothing: it records the frames of each call and answers what the test says. */
import * as http2 from "node:http2"
import type * as net from "node:net"
import { Sha256 } from "@smithy/core/checksum"
import { HttpRequest } from "@smithy/core/protocols"
import { fromUtf8, toUtf8 } from "@smithy/core/serde"
import { EventStreamCodec } from "@smithy/eventstream-codec"
import { SignatureV4 } from "@smithy/signature-v4"
import type { AwsCredentialIdentity, Message } from "@smithy/types"
import * as DateTime from "effect/DateTime"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import { makeSealer, seedOf } from "./rawClient.ts"

const codec = new EventStreamCodec(toUtf8, fromUtf8)

/** One request as the server sees it. */
export interface Call {
  readonly headers: Readonly<Record<string, string>>
  readonly stream: http2.ServerHttp2Stream
  /** Outer frames, one at a time, as they come. */
  readonly frame: Effect.Effect<Uint8Array>
  /** When the client has ended its body. */
  readonly bodyEnded: Effect.Effect<void>
  /** When the stream is over: its reset code, 0 where there was none. */
  readonly closed: Effect.Effect<number>
}

export interface BareServer {
  readonly port: number
  /** The next request that has come in. */
  readonly call: Effect.Effect<Call>
  /** When no socket is open any more. */
  readonly vacant: Effect.Effect<void>
  /** How many connections were ever made. */
  readonly connections: () => number
  /** Open sockets. */
  readonly sockets: ReadonlySet<net.Socket>
}

const makeCall = (stream: http2.ServerHttp2Stream, incoming: http2.IncomingHttpHeaders): Call => {
  const frames = Effect.runSync(Queue.unbounded<Uint8Array>())
  const bodyEnded = Deferred.makeUnsafe<void>()
  const closed = Deferred.makeUnsafe<number>()
  let held: Buffer = Buffer.alloc(0)
  stream.on("data", (chunk: Buffer) => {
    held = Buffer.concat([held, chunk])
    while (held.length >= 4 && held.length >= held.readUInt32BE(0)) {
      const end = held.readUInt32BE(0)
      Queue.offerUnsafe(frames, Uint8Array.from(held.subarray(0, end)))
      held = held.subarray(end)
    }
  })
  stream.on("end", () => void Deferred.doneUnsafe(bodyEnded, Effect.void))
  stream.on("error", () => undefined)
  stream.on("close", () => void Deferred.doneUnsafe(closed, Effect.succeed(stream.rstCode)))
  return {
    headers: Object.fromEntries(Object.entries(incoming).map(([name, value]) => [name, String(value)])),
    stream,
    frame: Queue.take(frames),
    bodyEnded: Deferred.await(bodyEnded),
    closed: Deferred.await(closed)
  }
}

/** Serves on loopback until the scope closes. `answer` is asked at once for each request; by default nothing is answered. */
export const serve = (options: {
  readonly answer?: (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => void
  readonly tls?: { readonly cert: string; readonly key: string }
  readonly settings?: http2.Settings
} = {}): Effect.Effect<BareServer, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<{ server: http2.Http2Server | http2.Http2SecureServer; bare: BareServer }>((resume) => {
      const calls = Effect.runSync(Queue.unbounded<Call>())
      const sockets = new Set<net.Socket>()
      const vacant = new Set<() => void>()
      let connections = 0
      const settings = options.settings ?? {}
      const server = options.tls === undefined
        ? http2.createServer({ settings })
        : http2.createSecureServer({ ...options.tls, settings })
      server.on(options.tls === undefined ? "connection" : "secureConnection", (socket: net.Socket) => {
        connections += 1
        sockets.add(socket)
        socket.on("error", () => undefined)
        socket.on("close", () => {
          sockets.delete(socket)
          if (sockets.size === 0) for (const wake of vacant) wake()
        })
      })
      server.on("sessionError", () => undefined)
      server.on("stream", (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => {
        Queue.offerUnsafe(calls, makeCall(stream, headers))
        options.answer?.(stream, headers)
      })
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        resume(Effect.succeed({
          server,
          bare: {
            port: typeof address === "object" && address !== null ? address.port : 0,
            call: Queue.take(calls),
            vacant: Effect.callback((done) => {
              const wake = (): void => done(Effect.void)
              if (sockets.size === 0) return wake()
              vacant.add(wake)
              return Effect.sync(() => vacant.delete(wake))
            }),
            connections: () => connections,
            sockets
          }
        }))
      })
    }),
    ({ bare, server }) =>
      Effect.sync(() => {
        server.close()
        for (const socket of bare.sockets) socket.destroy()
      })
  ).pipe(Effect.map(({ bare }) => bare))

/** What SageMaker's 200 looks like (protocol 5.5). */
export const accept = (stream: http2.ServerHttp2Stream, more: http2.OutgoingHttpHeaders = {}): void =>
  stream.respond({
    ":status": 200,
    "content-type": "application/vnd.amazon.eventstream",
    "x-amzn-requestid": "request-1",
    "x-amzn-invoked-production-variant": "AllTraffic",
    ...more
  })

/** A response frame by the SDK's codec. */
export const event = (headers: Readonly<Record<string, string>>, body: string | Uint8Array = ""): Uint8Array =>
  codec.encode({
    headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, { type: "string", value }])),
    body: typeof body === "string" ? fromUtf8(body) : body
  })

/** A response PayloadPart (protocol 5.5); text unless told otherwise. */
export const responsePart = (body: string | Uint8Array, more: Readonly<Record<string, string>> = {}): Uint8Array =>
  event({
    ":message-type": "event",
    ":event-type": "PayloadPart",
    ":content-type": "application/octet-stream",
    DataType: "UTF8",
    ...more
  }, body)

export const decode = (frame: Uint8Array): Message => codec.decode(frame)

/** The frame's date, ms. */
export const dateOf = (frame: Uint8Array): number => {
  const header = decode(frame).headers[":date"]
  return header?.type === "timestamp" ? header.value.getTime() : Number.NaN
}

/** The request signed again by the SDK's signer from what it says was signed: the signature that it should have. */
export const expectedSeed = (call: Call, credentials: AwsCredentialIdentity): Effect.Effect<string> =>
  Effect.promise(async () => {
    const names = /SignedHeaders=([^,]+)/.exec(call.headers["authorization"] ?? "")?.[1]?.split(";") ?? []
    const region = /Credential=[^/]+\/\d+\/([^/]+)/.exec(call.headers["authorization"] ?? "")?.[1] ?? ""
    const stamp = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(call.headers["x-amz-date"] ?? "") ?? []
    const [, year, month, day, hour, minute, second] = stamp
    const signer = new SignatureV4({ credentials, region, service: "sagemaker", sha256: Sha256 })
    const signed = await signer.sign(
      new HttpRequest({
        method: call.headers[":method"] ?? "",
        path: call.headers[":path"] ?? "",
        headers: Object.fromEntries(names.map((name) => [name, call.headers[name] ?? ""]))
      }),
      { signingDate: DateTime.toDateUtc(DateTime.makeUnsafe(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`)) }
    )
    return seedOf(signed.headers)
  })

/** Whether the frames are the chain that the SDK's signer makes of their own payloads and dates. */
export const expectedFrames = (
  call: Call,
  frames: ReadonlyArray<Uint8Array>,
  credentials: AwsCredentialIdentity
): Effect.Effect<ReadonlyArray<Uint8Array>> =>
  Effect.promise(async () => {
    const seal = makeSealer(seedOf(call.headers), { secretAccessKey: credentials.secretAccessKey })
    const expected: Array<Uint8Array> = []
    for (const frame of frames) expected.push(await seal(decode(frame).body, dateOf(frame)))
    return expected
  })
