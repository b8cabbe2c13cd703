/** A server of node:http2 that acts as a `FakeTransport.Peer` on the wire of SageMaker: the far end for a contract. */
import * as http2 from "node:http2"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as FakeTransport from "../../src/FakeTransport.ts"
import type { Frame } from "../../src/FluxTransport.ts"
import { accept, decode, responsePart } from "./bareServer.ts"

/** Where it listens. */
export class PeerServer extends Context.Service<PeerServer, { readonly url: string }>()("test/PeerServer") {}

type PeerOf = (query: string, session: number) => FakeTransport.Peer

/** The outer frames of a request body, as far as they have come. */
async function* framesOf(stream: http2.ServerHttp2Stream): AsyncGenerator<Uint8Array> {
  let held = Buffer.alloc(0)
  for await (const chunk of stream) {
    held = Buffer.concat([held, chunk])
    while (held.length >= 4 && held.length >= held.readUInt32BE(0)) {
      const end = held.readUInt32BE(0)
      yield Uint8Array.from(held.subarray(0, end))
      held = held.subarray(end)
    }
  }
}
/** What a signed frame carries; undefined for the empty one that ends the body. */
const messageOf = (frame: Uint8Array): Frame | undefined => {
  const outer = decode(frame)
  if (outer.body.length === 0) return undefined
  const { body, headers } = decode(outer.body)
  return { dataType: headers["DataType"]?.value === "UTF8" ? "UTF8" : "BINARY", bytes: body }
}

const serve = (stream: http2.ServerHttp2Stream, peer: FakeTransport.Peer): void => {
  let gone = false
  stream.on("error", () => undefined)
  stream.on("close", () => {
    gone = true
    Effect.runFork(peer.released ?? Effect.void)
  })
  const server: FakeTransport.Server = {
    say: (text) => Effect.sync(() => void stream.write(responsePart(text))),
    end: Effect.sync(() => void stream.end()),
    // close(code) would end the response well first
    fail: () => Effect.sync(() => void stream.destroy(new Error("broken on purpose")))
  }
  const run = async (): Promise<void> => {
    const accepted = await Effect.runPromiseExit(peer.accept ?? Effect.void)
    if (gone) return
    if (Exit.isFailure(accepted)) {
      const error = Option.getOrUndefined(Cause.findErrorOption(accepted.cause))
      stream.respond({ ":status": 424, "x-amzn-errortype": "ModelError" })
      stream.end(JSON.stringify({ Message: error?.reason.message ?? "refused" }))
      return
    }
    accept(stream)
    Effect.runFork(peer.opened?.(server) ?? Effect.void)
    for await (const frame of framesOf(stream)) {
      const message = messageOf(frame)
      if (message === undefined) await Effect.runPromise(peer.ended?.(server) ?? Effect.void)
      else await Effect.runPromiseExit(peer.received?.(message, server) ?? Effect.void)
    }
  }
  // a client that goes breaks off the reading
  run().catch(() => undefined)
}

/** Serves on loopback for as long as the layer lives. */
export const layer = (peerOf: PeerOf): Layer.Layer<PeerServer> =>
  Layer.effect(
    PeerServer,
    Effect.acquireRelease(
      Effect.callback<{ readonly url: string; readonly close: () => void }>((resume) => {
        const sessions = new Set<http2.ServerHttp2Session>()
        let number = 0
        const http2Server = http2.createServer()
        http2Server.on("session", (session) => {
          sessions.add(session)
          session.on("error", () => undefined)
          session.on("close", () => sessions.delete(session))
        })
        http2Server.on("sessionError", () => undefined)
        http2Server.on("stream", (stream, headers) => {
          serve(stream, peerOf(String(headers["x-amzn-sagemaker-model-query-string"]), number++))
        })
        http2Server.listen(0, "127.0.0.1", () => {
          const address = http2Server.address()
          const port = typeof address === "object" && address !== null ? address.port : 0
          const close = (): void => {
            http2Server.close()
            for (const session of sessions) session.destroy()
          }
          resume(Effect.succeed({ url: `http://127.0.0.1:${port}`, close }))
        })
      }),
      ({ close }) => Effect.sync(close)
    )
  )
