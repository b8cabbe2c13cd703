/**
 * One session on one HTTP/2 stream: frames in, the model's messages out, until either side has done. A foreign
 * callback's world: plain mutable state in one closure. It never throws, whatever the client does.
 */
import type * as http2 from "node:http2"
import { encode, payloadPart } from "../internal/eventStream.ts"
import type { Admitted } from "./admission.ts"
import { type Inbound, make as makeReader } from "./inbound.ts"

/** How a session ended: Flux closed, the client ended its body, the stream was lost, or a frame was refused. */
export type Ending = "flux-closed" | "client-ended" | "lost" | "frame-refused"

/**
 * Runs a session on a stream whose response headers are sent. `onEnd` is called once, when nothing more will be
 * said; input that comes later is drained and thrown away, as the client may still be ending its body.
 */
export const run = (
  stream: http2.ServerHttp2Stream,
  { chain, model }: Admitted,
  onEnd: (ending: Ending, detail: string) => void
): void => {
  const reader = makeReader(chain)
  let ended = false

  const end = (ending: Ending, detail = ""): void => {
    if (ended) return
    ended = true
    if (!stream.destroyed) {
      stream.end()
      stream.resume()
    }
    onEnd(ending, detail)
  }
  /** Reads no further while the client does not read. */
  const send = (frame: Uint8Array): void => {
    if (!stream.destroyed && !stream.write(frame)) stream.pause()
  }
  const say = (texts: ReadonlyArray<string>): void => {
    for (const text of texts) send(payloadPart("UTF8", utf8.encode(text)))
  }
  const take = (inbound: Inbound): void => {
    switch (inbound.type) {
      case "audio":
        return say(model.audio(inbound.bytes))
      case "text": {
        const { closes, messages } = model.text(inbound.text)
        say(messages)
        return closes ? end("flux-closed") : undefined
      }
      case "end":
        return end("client-ended")
      case "refused":
        send(exceptionFrame(inbound.exception, inbound.message))
        return end("frame-refused", inbound.message)
    }
  }
  const read = (chunk: Uint8Array): void => {
    if (ended) return
    for (const inbound of reader.push(chunk)) {
      take(inbound)
      if (ended) return
    }
  }

  stream.on("data", read)
  stream.on("drain", () => stream.resume())
  // a reset ends the input too, but on a stream that is closed already
  stream.on("end", () => end(stream.closed ? "lost" : "client-ended"))
  stream.on("close", () => end("lost"))
  say([model.connected()])
}

const utf8 = new TextEncoder()

/**
 * An exception frame in the layout of protocol 5.5. What AWS really says of a bad chunk on this operation is not
 * published: a bad signature is given the name it has on requests, bad framing the name of the operation's 400.
 */
const exceptionFrame = (exception: string, message: string): Uint8Array =>
  encode(
    [
      [":exception-type", { type: "string", value: exception }],
      [":message-type", { type: "string", value: "exception" }],
      [":content-type", { type: "string", value: "application/json" }]
    ],
    utf8.encode(JSON.stringify({ Message: message }))
  )
