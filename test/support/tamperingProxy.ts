/** An h2c proxy that changes one byte of audio in the nth frame and mends the checksums, so that only a signature can tell. */
import * as http2 from "node:http2"
import type { AddressInfo } from "node:net"
import { fromUtf8, toUtf8 } from "@smithy/core/serde"
import { EventStreamCodec } from "@smithy/eventstream-codec"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

const codec = new EventStreamCodec(toUtf8, fromUtf8)

const tamper = (outer: Buffer): Uint8Array => {
  const sealed = codec.decode(outer)
  const inner = codec.decode(sealed.body)
  const body = Uint8Array.from(inner.body)
  body[0] = (body[0] ?? 0) ^ 1
  return codec.encode({ headers: sealed.headers, body: codec.encode({ headers: inner.headers, body }) })
}

/** Forwards to `target`; its own URL is given back. */
export const make = (target: string, nth: number): Effect.Effect<string, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<http2.Http2Server>((resume) => {
        const server = http2.createServer()
        server.on("stream", (down, headers) => {
          const session = http2.connect(target)
          const up = session.request(headers)
          let held: Buffer = Buffer.alloc(0)
          let frames = 0
          down.on("data", (chunk: Buffer) => {
            held = Buffer.concat([held, chunk])
            while (held.length >= 4 && held.length >= held.readUInt32BE(0)) {
              const frame = held.subarray(0, held.readUInt32BE(0))
              held = held.subarray(frame.length)
              frames += 1
              up.write(frames === nth ? tamper(frame) : Uint8Array.from(frame))
            }
          })
          down.on("end", () => up.end())
          up.on("response", (answer) => down.respond(answer))
          up.on("data", (chunk: Buffer) => down.write(chunk))
          up.on("end", () => down.end())
          for (const stream of [up, down]) stream.on("error", () => undefined)
          session.on("error", () => undefined)
          down.on("close", () => session.destroy())
        })
        server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
      }),
      (server) =>
        Effect.callback<void>((resume) => {
          server.close(() => resume(Effect.void))
        })
    ),
    (server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  )
