/** (d), the floor: node:http2 and JSON.parse. Each chunk was framed and signed, for show, before the first one is sent. */
import * as http2 from "node:http2"
import { part, signedHeaders, unsignedFrame } from "../../../test/support/rawClient.ts"
import type { Call, Caller, MakeClient } from "./client.ts"
import { closeStream, hear, query } from "./flux.ts"

export const raw: MakeClient = async ({ ca, url }) => {
  const headers = await signedHeaders({ query })
  const closing = unsignedFrame(part(closeStream))
  const frames = new Map<Uint8Array, Uint8Array>()
  const frameOf = (chunk: Uint8Array): Uint8Array => {
    const known = frames.get(chunk)
    if (known !== undefined) return known
    const frame = unsignedFrame(part(chunk))
    frames.set(chunk, frame)
    return frame
  }

  const call = (caller: Caller): Call => {
    const connection = http2.connect(url, ca === undefined ? {} : { ca })
    const stream = connection.request(headers, { endStream: false })
    const over = Promise.withResolvers<void>()
    let held: Buffer = Buffer.alloc(0)
    stream.on("response", ({ ":status": status }) => {
      if (status !== 200) over.reject(new Error(`status ${status}`))
    })
    stream.on("data", (chunk: Buffer) => {
      held = held.length === 0 ? chunk : Buffer.concat([held, chunk])
      while (held.length >= 12 && held.length >= held.readUInt32BE(0)) {
        const length = held.readUInt32BE(0)
        hear(held.toString("utf8", 12 + held.readUInt32BE(4), length - 4), caller)
        held = held.subarray(length)
      }
    })
    stream.on("error", over.reject)
    connection.on("error", over.reject)
    stream.on("end", () => stream.end())
    stream.on("close", () => {
      connection.close()
      over.resolve()
    })
    return {
      push: (chunk) => void stream.write(frameOf(chunk)),
      finish: () => {
        stream.write(closing)
        return over.promise
      },
      failed: new Promise((_, reject) => over.promise.catch(reject))
    }
  }
  return { call }
}

/** The load without a client: what of each figure is not the client's. */
export const idle: MakeClient = async () => ({
  call: (caller) => {
    caller.connected()
    return { push: () => undefined, finish: async () => undefined, failed: new Promise(() => undefined) }
  }
})
