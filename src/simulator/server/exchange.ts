/**
 * One HTTP/2 stream as a {@link Wire}: what the endpoint says becomes frames, what the client sends is handed to a
 * {@link Player}. A foreign callback's world: plain mutable state in one closure. It never throws, whatever either
 * side does.
 */
import type * as http2 from "node:http2"
import * as DateTime from "effect/DateTime"
import * as Option from "effect/Option"
import { encode, type HeaderValue, payloadPart } from "../../internal/eventStream.ts"
import { type Chain, type Inbound, make as makeReader } from "./inbound.ts"
import * as outlet from "./outlet.ts"
import type { Player, Refusal, StreamError, Surroundings, Wire } from "../wire.ts"

/** What a stream is served with. */
export interface Options {
  /** For `x-amzn-requestid`. */
  readonly requestId: string
  /** What chunk signatures are checked against; without it, only their size is. */
  readonly chain: Chain | undefined
  readonly after: Surroundings["after"]
  /** The wall clock, ms: clients learn from the responses' date how far their own is off. */
  readonly now: () => number
  /** Destroys the connection without a word of HTTP/2. */
  readonly drop: () => void
}

/** A stream that is being served. */
export interface Exchange {
  readonly wire: Wire
  /** Hands on what the client sends, from now on. */
  readonly play: (player: Player) => void
}

/** How long what was said before may take to leave ahead of a break, ms: a client that reads nothing is broken off. */
const flushBound = 1000
/** How long a client may leave its request open once the response is over, ms. */
const lingerMillis = 60_000
/** Node takes no larger code. */
const maxCode = 0x7fff_ffff

/** Serves a stream that has just come in. */
export const make = (stream: http2.ServerHttp2Stream, { after, chain, drop, now, requestId }: Options): Exchange => {
  const reader = makeReader(chain)
  // the response is over, or about to be
  let ended = false
  // the client has no more to say that counts
  let heard = false
  let stopped = false
  let partBytes: number | undefined
  const out = outlet.make(stream, after, (full) => {
    // reads no further while the client does not read
    if (full && !ended) stream.pause()
    else if (!stopped || ended) stream.resume()
  })

  const gone = (): boolean => stream.destroyed || stream.closed
  /** Whether what the client sends is thrown away. */
  const deaf = (): boolean => heard || ended || stopped
  /** Nothing more is said; the client may still be sending, but not for ever. */
  const conclude = (): void => {
    ended = true
    after(lingerMillis, () => {
      if (!gone()) stream.close()
    })
  }
  /** Ends the output with something that comes after all that was said. */
  const over = (then: () => void, boundMillis?: number): void => {
    if (ended || gone()) return
    conclude()
    out.flushed(() => {
      if (!gone()) then()
    }, boundMillis)
    // what the client still sends is drained: it may not yet have read that all is over
    if (!stream.destroyed) stream.resume()
  }
  const send = (frame: Uint8Array): void => {
    if (!ended && !gone()) out.write(frame)
  }

  const wire: Wire = {
    refuse: (refusal) => {
      if (ended || stream.headersSent || gone()) return
      conclude()
      stream.respond({ ...refusalHeaders(refusal, requestId), ...dateHeader(now()) })
      stream.end(refusal.body)
      stream.resume()
    },
    accept: () => {
      if (ended || stream.headersSent || gone()) return
      // with trailers to come, what is not a clean end has no END_STREAM
      stream.respond({
        ":status": 200,
        "content-type": "application/vnd.amazon.eventstream",
        "x-amzn-requestid": requestId,
        "x-amzn-invoked-production-variant": "simulator",
        ...dateHeader(now())
      }, { waitForTrailers: true })
    },
    say: (text) => {
      for (const part of partsOf(utf8.encode(text), partBytes)) send(part)
    },
    fail: (error) => send(errorFrame(error)),
    corrupt: () => {
      const frame = payloadPart("UTF8", utf8.encode("{}"))
      frame[frame.length - 1] = (frame[frame.length - 1] ?? 0) ^ 1
      send(frame)
    },
    end: () => over(() => stream.end()),
    reset: (code) => over(() => stream.close(Math.min(code, maxCode)), flushBound),
    drop: () => over(drop, flushBound),
    goAway: (code) => {
      const { session } = stream
      if (ended || gone() || session === undefined) return
      if (code !== 0) {
        return over(() => {
          session.goaway(code)
          // once the client has read it, if it has not gone by itself
          session.ping(drop)
          after(flushBound, drop)
        }, flushBound)
      }
      out.flushed(() => {
        if (!session.destroyed) session.goaway(code)
      }, flushBound)
    },
    stopReading: () => {
      stopped = true
      if (!ended) stream.pause()
    },
    cut: (cutting) => {
      partBytes = cutting.partBytes ?? partBytes
      if (cutting.chop !== undefined) out.chop(cutting.chop)
    }
  }

  // a stream that breaks says so by closing too
  stream.on("error", ignore)
  stream.on("wantTrailers", () => {
    if (!gone()) stream.sendTrailers({})
  })
  // one that was paused would else not be seen to close
  stream.on("aborted", () => stream.resume())

  const play = (player: Player): void => {
    const bodyEnded = (): void => {
      if (heard) return
      heard = true
      player.bodyEnded()
    }
    const take = (inbound: Inbound): void => {
      switch (inbound.type) {
        case "audio":
          return player.audio(inbound.bytes)
        case "text":
          return player.text(inbound.text)
        case "end":
          return bodyEnded()
        case "refused":
          heard = true
          return player.refused({ name: inbound.exception, message: inbound.message, as: "exception" })
      }
    }
    stream.on("data", (chunk: Uint8Array) => {
      if (deaf()) return
      for (const inbound of reader.push(chunk)) {
        take(inbound)
        if (deaf()) return
      }
    })
    // a reset ends the input too, but on a stream that is closed already
    stream.on("end", () => {
      if (!stream.closed) bodyEnded()
    })
    stream.on("close", () => player.gone())
  }
  return { wire, play }
}

const ignore = (): void => {}
const utf8 = new TextEncoder()

/** Node would give that of the machine. */
const dateHeader = (millis: number): http2.OutgoingHttpHeaders =>
  Option.match(DateTime.make(millis), { onNone: () => ({}), onSome: (at) => ({ date: DateTime.toDateUtc(at).toUTCString() }) })

const refusalHeaders = (
  { contentType = "application/json", errorType, status }: Refusal,
  requestId: string
): http2.OutgoingHttpHeaders => ({
  ":status": status,
  "content-type": contentType,
  ...(errorType === undefined ? {} : { "x-amzn-errortype": errorType }),
  "x-amzn-requestid": requestId
})

/** A message as one part, or as a run of PARTIAL ones ended by a COMPLETE one (protocol 5.6). */
const partsOf = (bytes: Uint8Array, partBytes: number | undefined): ReadonlyArray<Uint8Array> => {
  if (partBytes === undefined || bytes.length <= partBytes) return [payloadPart("UTF8", bytes)]
  const parts: Array<Uint8Array> = []
  for (let at = 0; at < bytes.length; at += partBytes) {
    const last = at + partBytes >= bytes.length
    parts.push(payloadPart("UTF8", bytes.subarray(at, at + partBytes), last ? "COMPLETE" : "PARTIAL"))
  }
  return parts
}

/** The frame of a failure in its spelling of protocol 5.5. */
const errorFrame = ({ as, errorCode, message, name }: StreamError): Uint8Array => {
  if (as === "error") {
    return encode(
      strings({ ":error-code": name, ":error-message": message, ":message-type": "error" }),
      new Uint8Array(0)
    )
  }
  return encode(
    strings({
      [as === "exception" ? ":exception-type" : ":event-type"]: name,
      ":message-type": as,
      ":content-type": "application/json"
    }),
    utf8.encode(JSON.stringify({ Message: message, ErrorCode: errorCode }))
  )
}

/** As much of a text as a header's value surely holds: 32,767 bytes. */
const maxChars = 10_000
const strings = (headers: Readonly<Record<string, string>>): ReadonlyArray<readonly [string, HeaderValue]> =>
  Object.entries(headers).map(([name, value]) => [name, { type: "string", value: value.slice(0, maxChars) }])
