/**
 * Writes down what passes through a transport, both directions with times, so that `flux-stt simulate --replay` and
 * `FakeTransport.layer({ replay })` can answer as that server did. Wraps any `FluxTransport`, and never disturbs a call:
 * lines wait for their writer in bounded memory, and a writer that fails ends the capture and nothing else.
 *
 * Credentials and account numbers are never in it; audio, words, keyterms and tags only with `content`.
 *
 * @example
 * const transport = Capture.layerFile("call.ndjson").pipe(
 *   Layer.provide(SageMakerTransport.layer({ endpointName: "my-flux" }))
 * )
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Base64 from "effect/encoding/Base64"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as PlatformError from "effect/PlatformError"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type * as FluxError from "./FluxError.ts"
import { type FluxConnection, FluxTransport, type Frame } from "./FluxTransport.ts"
import * as journals from "./internal/journal.ts"
import * as masks from "./internal/mask.ts"
import * as Recording from "./simulator/Recording.ts"

/** Takes whole lines of NDJSON, each with its newline; it is not called again before it is done. */
export type Write = (lines: string) => Effect.Effect<void, unknown>

/** What is captured, and where it goes. */
export interface Options {
  readonly write: Write
  /** Keep audio, words, keyterms and tags; default false. */
  readonly content?: boolean | undefined
  /**
   * Most characters that wait for the writer, default 4,194,304. Beyond it audio is only counted; when that is not
   * enough, at twice as many, the capture ends.
   */
  readonly limit?: number | undefined
}

const defaultLimit = 4 * 1024 * 1024

/** A transport that does what the given one does, and writes it down as long as the Scope. */
export const wrap = Effect.fnUntraced(function*(
  transport: FluxTransport["Service"],
  options: Options
): Effect.fn.Return<FluxTransport["Service"], never, Scope.Scope> {
  const clock = yield* Clock.Clock
  const journal = yield* journals.make({ write: options.write, limit: options.limit ?? defaultLimit })
  const content = options.content ?? false
  const startedAt = clock.currentTimeMillisUnsafe()
  const start = clock.monotonicTimeNanosUnsafe()
  // whole microseconds
  const elapsed = (): number => Number((clock.monotonicTimeNanosUnsafe() - start) / 1000n) / 1000
  journal.push(Recording.line({ capture: Recording.version, content, startedAt, capabilities: transport.capabilities.name }))
  let sessions = 0

  const open = (query: string): Effect.Effect<FluxConnection, FluxError.FluxError, Scope.Scope> =>
    Effect.uninterruptibleMask(Effect.fnUntraced(function*(restore) {
      const session = sessionJournal({ journal, session: sessions++, content, elapsed })
      session.asked(query)
      const connection = yield* restore(Effect.suspend(() => transport.open(query))).pipe(
        Effect.onExit((exit) => Effect.sync(() => session.opened(exit)))
      )
      yield* Effect.addFinalizer(() => Effect.sync(session.closed))
      return captured(connection, session)
    }))
  return { capabilities: transport.capabilities, open }
})

/** Puts a capture between a transport and whoever uses it. */
export const layer = (options: Options): Layer.Layer<FluxTransport, never, FluxTransport> =>
  Layer.effect(FluxTransport, Effect.flatMap(FluxTransport, (transport) => wrap(transport, options)))

/** {@link layer} that writes {@link toFile}. */
export const layerFile = (
  path: string,
  options: Omit<Options, "write"> = {}
): Layer.Layer<FluxTransport, PlatformError.PlatformError, FluxTransport | FileSystem.FileSystem> =>
  Layer.effect(
    FluxTransport,
    Effect.gen(function*() {
      const write = yield* toFile(path)
      return yield* wrap(yield* FluxTransport, { ...options, write })
    })
  )

/**
 * Writes to a file, which stays open as long as the Scope; one that is there is replaced, a new one can be read by its
 * owner only. Every line is handed to the operating system as it comes, so a crash leaves what was there.
 */
export const toFile = Effect.fnUntraced(function*(
  path: string
): Effect.fn.Return<Write, PlatformError.PlatformError, FileSystem.FileSystem | Scope.Scope> {
  const fs = yield* FileSystem.FileSystem
  const file = yield* fs.open(path, { flag: "w", mode: 0o600 })
  yield* Effect.addFinalizer(() => Effect.ignore(file.sync))
  const encoder = new TextEncoder()
  return (lines) => file.writeAll(encoder.encode(lines))
})

/** What one session tells its part of the journal. Nothing here throws or waits. */
interface SessionJournal {
  readonly asked: (query: string) => void
  readonly opened: (exit: Exit.Exit<FluxConnection, FluxError.FluxError>) => void
  readonly sent: (frame: Frame) => void
  /** How the sending of the last message went. */
  readonly left: (exit: Exit.Exit<void, FluxError.FluxError>) => void
  readonly received: (text: string) => void
  readonly ended: () => void
  readonly failed: (error: FluxError.FluxError) => void
  readonly bodyEnded: () => void
  readonly closed: () => void
}

type Entry = Recording.Entry
/** An entry without its place. */
type Thing = { [What in Entry["what"]]: Omit<Extract<Entry, { readonly what: What }>, "at" | "session"> }[Entry["what"]]

const sessionJournal = (options: {
  readonly journal: journals.Journal
  readonly session: number
  readonly content: boolean
  readonly elapsed: () => number
}): SessionJournal => {
  const { content, elapsed, journal, session } = options
  const mask = masks.make(content)
  let isClosed = false
  /** The response has ended or failed. */
  let answered = false
  let sendingSince = 0
  /** Audio whose lines did not fit. */
  let missing = { messages: 0, bytes: 0 }

  const line = (thing: Thing): string => Recording.line({ session, at: elapsed(), ...thing })
  const tellGap = (offer: (line: string) => boolean): boolean => {
    if (missing.messages === 0) return true
    if (!offer(line({ what: "gap", ...missing }))) return false
    missing = { messages: 0, bytes: 0 }
    return true
  }
  const record = (thing: Thing): void => {
    if (isClosed) return
    tellGap((gap) => {
      journal.push(gap)
      return true
    })
    journal.push(line(thing))
  }
  const recordAudio = (bytes: Uint8Array): void => {
    if (isClosed) return
    const base64 = content ? { base64: Base64.encode(bytes) } : {}
    if (tellGap(journal.offer) && journal.offer(line({ what: "audio", bytes: bytes.length, ...base64 }))) return
    missing = { messages: missing.messages + 1, bytes: missing.bytes + bytes.length }
  }
  const reasonOf = ({ reason }: FluxError.FluxError): Recording.Reason => ({
    tag: reason._tag,
    ...facts(reason, mask.detail),
    detail: mask.detail("detail" in reason ? reason.detail : reason.message)
  })

  return {
    asked: (query) => record({ what: "open", query: mask.query(query) }),
    opened: (exit) => {
      if (Exit.isSuccess(exit)) {
        const { requestId, variant } = exit.value
        return record({ what: "accepted", requestId, ...(variant === undefined ? {} : { variant }) })
      }
      const error = Option.getOrUndefined(Cause.findErrorOption(exit.cause))
      record(error === undefined ? { what: "closed" } : { what: "refused", reason: reasonOf(error) })
      isClosed = true
    },
    sent: (frame) => {
      sendingSince = elapsed()
      if (frame.dataType === "BINARY") return recordAudio(frame.bytes)
      record({ what: "text", ...mask.sent(decoder.decode(frame.bytes)) })
    },
    left: (exit) => {
      if (Exit.isSuccess(exit)) return
      const error = Option.getOrUndefined(Cause.findErrorOption(exit.cause))
      if (error !== undefined) record({ what: "unsent", reason: reasonOf(error) })
      // one that was given up earlier met the end of its session, and may have left
      else if (elapsed() - sendingSince >= stallMillis) record({ what: "unsent" })
    },
    received: (text) => {
      if (!answered) record({ what: "received", ...mask.received(text) })
    },
    ended: () => {
      if (!answered) record({ what: "ended" })
      answered = true
    },
    failed: (error) => {
      if (!answered) record({ what: "failed", reason: reasonOf(error) })
      answered = true
    },
    bodyEnded: () => record({ what: "body-ended" }),
    closed: () => {
      record({ what: "closed" })
      isClosed = true
    }
  }
}

const decoder = new TextDecoder()

/** A message that waited so long met a server that does not read. */
const stallMillis = 1000

/** What a server said besides the detail. */
const facts = (
  reason: FluxError.Reason,
  clean: (text: string) => string
): Omit<Recording.Reason, "tag" | "detail"> => {
  switch (reason._tag) {
    case "InvalidRequest":
    case "Unauthorized":
      return {
        ...(reason.status === undefined ? {} : { status: reason.status }),
        ...(reason.errorType === undefined ? {} : { errorType: clean(reason.errorType) })
      }
    case "Rejected":
      return reason.originalStatusCode === undefined ? {} : { originalStatusCode: reason.originalStatusCode }
    case "ServiceUnavailable":
      return { status: reason.status }
    case "ModelStreamError":
    case "StreamFailure":
      return reason.errorCode === undefined ? {} : { errorCode: clean(reason.errorCode) }
    default:
      return {}
  }
}

const captured = (connection: FluxConnection, session: SessionJournal): FluxConnection => ({
  requestId: connection.requestId,
  variant: connection.variant,
  messages: connection.messages.pipe(
    // as they come, and not as they are used
    Stream.mapArray((texts) => {
      for (const text of texts) session.received(text)
      return texts
    }),
    Stream.tapError((error) => Effect.sync(() => session.failed(error))),
    Stream.concat(Stream.fromEffectDrain(Effect.sync(session.ended)))
  ),
  send: (frame) =>
    Effect.suspend(() => {
      session.sent(frame)
      return Effect.onExit(connection.send(frame), (exit) => Effect.sync(() => session.left(exit)))
    }),
  end: Effect.suspend(() => {
    session.bodyEnded()
    return connection.end
  })
})
