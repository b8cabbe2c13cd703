/**
 * A connection's frames on an open HTTP/2 stream. Frames are written straight to the stream, so a peer that stops
 * reading is felt at the next frame, not after a buffer's worth of audio.
 */
import type { ClientHttp2Stream } from "node:http2"
import * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Pull from "effect/Pull"
import * as Stream from "effect/Stream"
import * as FluxError from "../FluxError.ts"
import type { FluxConnection, Frame } from "../FluxTransport.ts"
import { makeParser, type SignedFrame, type Signer } from "../internal/eventStream.ts"
import { errorNames } from "../internal/http2Errors.ts"
import { withListen, withSendNow } from "../internal/shortcuts.ts"
import { bareError } from "./errors.ts"
import { makeAssembler, maxMessageBytes } from "./messages.ts"

/** Messages that may wait for the reader before the stream is paused. */
const maxWaiting = 64
/**
 * Frames that may be on their way when another one is sent without waiting: as much as comes at once after this process has
 * stood still for a moment, and no more, as a peer that does not read is felt so much later.
 */
const maxAhead = 3
/** AWS allows 128 KiB of headers (protocol 5.7). */
const maxFrameBytes = maxMessageBytes + 128 * 1024

/** The streaming half of a `FluxConnection`. */
export interface StreamConnection extends Pick<FluxConnection, "messages" | "send" | "end"> {
  /** Lets go of the stream, which is closed or being reset: who still waits for it fails. */
  readonly dispose: () => void
}

/**
 * Takes over an open stream. `millis` dates each frame; `requestId` goes into errors, `secrets` never do. `onFailure` is
 * told why the server ended the stream, when it says so.
 */
export const make = (options: {
  readonly stream: ClientHttp2Stream
  readonly signer: Signer
  readonly millis: () => number
  readonly requestId: string | undefined
  readonly secrets: ReadonlyArray<string>
  readonly onFailure: (reason: FluxError.Reason) => void
}): StreamConnection => {
  const { signer, stream } = options
  const session = stream.session
  const parser = makeParser({ maxBytes: maxFrameBytes })
  const assembler = makeAssembler(options.secrets)
  let texts: Array<string> = []
  let outcome: { readonly failure: FluxError.FluxError | undefined } | undefined
  let wakeReader: (() => void) | undefined
  let wakeWriter: (() => void) | undefined
  let ended = false

  const fluxError = (reason: FluxError.Reason): FluxError.FluxError =>
    FluxError.make(reason, "streaming", options.requestId)

  const lost = (cause: Error | undefined): FluxError.FluxError => {
    if (cause !== undefined) {
      const bare = bareError(cause, options.secrets)
      return fluxError(new FluxError.ConnectionLost({ detail: bare.message, cause: bare }))
    }
    const code = stream.rstCode ?? 0
    const detail = session === undefined || session.destroyed
      ? "the server closed the connection"
      : `the server reset the stream (${errorNames[code] ?? code})`
    return fluxError(new FluxError.ConnectionLost({ detail }))
  }

  // --- reading ---

  const wake = (): void => wakeReader?.()

  const finish = (failure: FluxError.FluxError | undefined): void => {
    outcome ??= { failure }
    wake()
  }

  const onData = (chunk: Uint8Array): void => {
    if (outcome !== undefined) return
    const { messages, problem } = parser.push(chunk)
    for (const message of messages) {
      const result = assembler.push(message)
      if (result?._tag === "Text") texts.push(result.text)
      else if (result?._tag === "Failed") {
        options.onFailure(result.reason)
        return finish(fluxError(result.reason))
      }
    }
    if (problem !== undefined) return finish(fluxError(new FluxError.MalformedFrame({ detail: problem })))
    if (texts.length >= maxWaiting) stream.pause()
    if (texts.length > 0) wake()
  }

  const onEnd = (): void => {
    // Node also says so of a stream that was reset; then onClose says why.
    if (stream.destroyed || stream.rstCode !== 0) return
    const broken = parser.pending() > 0
      ? "the response ended within a frame"
      : assembler.pending()
      ? "the response ended within a fragmented message"
      : undefined
    finish(broken === undefined ? undefined : fluxError(new FluxError.MalformedFrame({ detail: broken })))
  }

  const pull: Pull.Pull<Arr.NonEmptyReadonlyArray<string>, FluxError.FluxError> = Effect.callback((resume) => {
    const take = (): void => {
      const batch = texts
      if (Arr.isArrayNonEmpty(batch)) {
        wakeReader = undefined
        texts = []
        stream.resume()
        resume(Effect.succeed(batch))
      } else if (outcome === undefined) wakeReader = take
      else {
        wakeReader = undefined
        resume(outcome.failure === undefined ? Cause.done() : Effect.fail(outcome.failure))
      }
    }
    take()
    return Effect.sync(() => {
      wakeReader = undefined
    })
  })
  const messages = withListen(Stream.fromPull(Effect.succeed(pull)), {
    listen: (wake) => {
      wakeReader = wake
      return Effect.sync(() => {
        wakeReader = undefined
      })
    },
    next: () => {
      const text = texts.shift()
      if (texts.length === 0 && stream.isPaused()) stream.resume()
      return text
    },
    isOver: () => outcome !== undefined
  })

  // --- writing ---

  const gone = (cause?: Error | null | undefined): FluxError.FluxError =>
    outcome?.failure ??
      (stream.destroyed || stream.closed
        ? lost(cause ?? undefined)
        : fluxError(new FluxError.ConnectionLost({ detail: "the request has ended" })))

  const writable = (): boolean => !(ended || stream.closed || stream.destroyed)

  /** Signs and writes in one step, so an interrupted sender cannot break the chain of signatures. */
  const write = (
    dispatch: (done: (error?: Error | null) => void) => void,
    succeeded: () => boolean
  ): Effect.Effect<void, FluxError.FluxError> =>
    Effect.callback((resume) => {
      // Node also calls back without an error for a frame that a destroyed stream never sent.
      const done = (error?: Error | null): void => {
        if (wakeWriter === done) wakeWriter = undefined
        resume(succeeded() ? Effect.void : Effect.fail(gone(error)))
      }
      wakeWriter = done
      dispatch(done)
    })

  let lastBytes = 0
  const isClear = (): boolean => writable() && stream.writableLength <= maxAhead * lastBytes
  const seal = ({ bytes, dataType }: Frame): SignedFrame => {
    const signed = signer.signPart(dataType, bytes, options.millis())
    lastBytes = signed.bytes.length
    return signed
  }
  const sendNow = (frame: Frame): void => {
    const { bytes, left } = seal(frame)
    stream.write(bytes, left)
  }
  const send: FluxConnection["send"] = withSendNow((frame) =>
    Effect.suspend(() => {
      if (!writable()) return Effect.fail(gone())
      if (frame.dataType === "BINARY" && isClear()) {
        sendNow(frame)
        return Effect.void
      }
      const { bytes } = seal(frame)
      return write((done) => stream.write(bytes, done), () => !(stream.closed || stream.destroyed))
    }), { isClear, send: sendNow })

  const endedCleanly = (): boolean => outcome !== undefined && outcome.failure === undefined

  const end: FluxConnection["end"] = Effect.suspend(() => {
    if (ended || (endedCleanly() && !writable())) return Effect.void
    if (!writable()) return Effect.fail(gone())
    ended = true
    return write(
      (done) => stream.end(signer.sign(new Uint8Array(0), options.millis()), () => done()),
      () => stream.writableFinished || endedCleanly()
    )
  })

  // --- life ---

  const onError = (error: Error): void => finish(lost(error))
  const onClose = (): void => finish(lost(undefined))
  const dispose = (): void => {
    stream.off("data", onData).off("end", onEnd).off("error", onError).off("close", onClose)
    finish(fluxError(new FluxError.ConnectionLost({ detail: "this side closed the connection" })))
    wakeWriter?.()
  }

  stream.on("error", onError)
  stream.on("close", onClose)
  stream.on("end", onEnd)
  stream.on("data", onData)
  if (stream.destroyed) onClose()

  return {
    messages,
    send,
    end,
    dispose
  }
}
