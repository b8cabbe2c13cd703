/** The life of one session: what comes in, what goes out, what watches over both, and how it ends. */
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Audio from "../Audio.ts"
import * as FluxError from "../FluxError.ts"
import * as FluxMessage from "../FluxMessage.ts"
import * as FluxSettings from "../FluxSettings.ts"
import type { FluxConnection, FluxTransport, Frame } from "../FluxTransport.ts"
import { attempt, firstOf } from "./bounded.ts"
import * as inboxes from "./inbox.ts"
import * as outboxes from "./outbox.ts"
import * as signals from "./signals.ts"
import { opens } from "./turns.ts"
import * as watchdogs from "./watchdog.ts"

/** Where a session is. `accepted`: headers are here, Flux has not said Connected. */
export type Status = "opening" | "accepted" | "ready" | "finishing" | "ended"

/** How a session ends its audio: at once, or with silence until Flux ends the open turn (at most eotTimeoutMs + 2 s). */
export type Finish = "close" | "silence"

/** An open session. It works by itself as long as its Scope. */
export interface FluxSession {
  /** Completes when Flux takes audio; fails as the session fails. */
  readonly connected: Effect.Effect<{ readonly requestId: string; readonly variant: string | undefined }, FluxError.FluxError>
  /**
   * Sends audio in the encoding of the settings; chunks of any size. Completes when all of it is in the outbox, which
   * may be full: then the sender waits, and one that is interrupted there leaves a part of its chunk inside. Audio
   * sent before Connected is kept in order. The buffer is copied.
   */
  readonly send: (pcm: Uint8Array) => Effect.Effect<void, FluxError.FluxError>
  /** The same for callbacks: takes all of it or nothing, and says which. */
  readonly offerUnsafe: (pcm: Uint8Array) => boolean
  /** Says that no more audio comes, without waiting. */
  readonly endAudio: Effect.Effect<void>
  /** Asks Flux to end the open turn now, behind all audio sent so far; fails where the endpoint cannot (protocol 3.3). */
  readonly forceEndTurn: Effect.Effect<void, FluxError.FluxError>
  /** Ends the audio and waits until the last words are here and the connection is freed. */
  readonly finish: Effect.Effect<void, FluxError.FluxError>
  /** What the session has to say, for one consumer; ends, or fails, with the session. */
  readonly signals: Stream.Stream<signals.Signal, FluxError.FluxError>
  readonly status: Effect.Effect<Status>
}

/** Most signals that wait for a consumer, once superseded Updates are left out: half an hour of turns. */
const inboxLimit = 4096
/** How long a failed write waits for the reader to tell why. */
const reasonGrace = Duration.millis(500)
/** Silence in a turn beyond Flux's own timeout after which it is given up. */
const watchdogReserveMillis = 5000
const trailingReserveMillis = 2000
/** Windows are 32-bit floats on the wire. */
const windowTolerance = 0.01
/** Flux tells of its audio every 240 ms (protocol 4.3): less than that may stay untold. */
const updateSlot = 0.25

type Ending = "ended" | "drain-timeout"

/** A session that lives while `run` does; `run` never fails, and frees everything when it is interrupted. */
export const make = (
  transport: FluxTransport["Service"],
  settings: FluxSettings.Settings,
  clock: Clock.Clock,
  finish: Finish
): FluxSession & {
  readonly run: Effect.Effect<void>
  /** To be said before `run` is interrupted: only then does an interruption come from outside. */
  readonly scopeClosing: Effect.Effect<void>
} => {
  const format = FluxSettings.format(settings)
  const eotTimeoutMs = settings.eotTimeoutMs ?? FluxSettings.fluxEotTimeoutMs
  const outbox = outboxes.make({ format, limit: settings.outboxLimit, clock })
  const inbox = inboxes.make<signals.Signal, FluxError.FluxError>({
    limit: inboxLimit,
    supersedes: signals.supersedes
  })
  const connected = Deferred.makeUnsafe<{ readonly requestId: string; readonly variant: string | undefined }, FluxError.FluxError>()
  const ended = Deferred.makeUnsafe<void, FluxError.FluxError>()
  const now = (): number => clock.currentTimeMillisUnsafe()

  let status: Status = "opening"
  let connection: FluxConnection | undefined
  let closeSent = false
  let scopeClosed = false
  let turnOpen = false
  /** The latest message of the open turn, or of the last one; and the last one that the watchdog gave up. */
  let latest: FluxMessage.TurnInfo | undefined
  let abandoned: FluxMessage.TurnInfo | undefined
  /** Seconds: end of what Flux has transcribed, and of what was sent. */
  let transcribed = 0
  let sentSeconds = 0
  let writingSince: number | undefined

  const stage = (): FluxError.Stage =>
    status === "opening" ? "open" : status === "accepted" ? "connected" : status === "ready" ? "streaming" : "closing"
  const failure = (reason: FluxError.Reason): FluxError.FluxError =>
    FluxError.make(reason, stage(), connection?.requestId)
  const atThisStage = ({ reason, requestId }: FluxError.FluxError): FluxError.FluxError =>
    FluxError.make(reason, stage(), connection?.requestId ?? requestId)

  // --- what comes in

  const emit = (signal: signals.Signal): Effect.Effect<void, FluxError.FluxError> =>
    inbox.push(signal)
      ? Effect.void
      : Effect.fail(failure(new FluxError.BufferOverflow({ buffer: "events", limit: inboxLimit })))

  const setTurn = (isOpen: boolean): void => {
    turnOpen = isOpen
    watchdog.turnOpen(isOpen && status === "ready")
  }

  const followTurn = (info: FluxMessage.TurnInfo): void => {
    transcribed = Math.max(transcribed, info.audio_window_end)
    // Flux went on without an EndOfTurn
    if (turnOpen && latest?.turn_index !== info.turn_index) setTurn(false)
    const givenUp = abandoned?.turn_index === info.turn_index && abandoned.transcript === info.transcript
    if (info.event === "EndOfTurn") setTurn(false)
    else if (turnOpen || (opens(info) && !givenUp)) {
      latest = info
      setTurn(true)
    }
  }

  const onText = (text: string): Effect.Effect<void, FluxError.FluxError> => {
    const message = FluxMessage.parse(text)
    switch (message.type) {
      case "Connected":
        if (connection === undefined || status !== "accepted") return Effect.void
        status = "ready"
        setTurn(turnOpen)
        Deferred.doneUnsafe(connected, Exit.succeed({ requestId: connection.requestId, variant: connection.variant }))
        return emit({ type: "Connected", at: now(), requestId: connection.requestId, variant: connection.variant })
      case "Error":
        return Effect.fail(failure(new FluxError.FluxFatal({ code: message.code, description: message.description })))
      case "Unreadable":
        if (message.messageType === "Connected" || message.messageType === "Error") {
          const detail = `${message.messageType} could not be read: ${message.problem}`
          return Effect.fail(failure(new FluxError.MalformedFrame({ detail })))
        }
        return emit({ type: "Message", at: now(), message, text })
      case "TurnInfo":
        followTurn(message)
        return emit({ type: "Message", at: now(), message, text })
      default:
        return emit({ type: "Message", at: now(), message, text })
    }
  }

  /** Whether Flux has told all of the audio up to here, and no turn is open. */
  const answered = (seconds: number): boolean => !turnOpen && transcribed >= seconds - windowTolerance

  const read = (from: FluxConnection): Effect.Effect<Ending, FluxError.FluxError> =>
    Stream.runForEach(from.messages, onText).pipe(
      Effect.mapError(atThisStage),
      Effect.flatMap(() =>
        closeSent
          ? Effect.void
          : Effect.fail(failure(new FluxError.ConnectionLost({
            detail: `the server ended the stream ${status === "accepted" ? "before Flux said Connected" : "in mid-session"}`
          })))
      ),
      // after CloseStream the container's closing may look like a failure (protocol 5.8)
      Effect.catchIf(
        (error) => closeSent && endsNormally(error.reason, answered(sentSeconds)),
        () => Effect.void
      ),
      Effect.as<Ending>("ended")
    )

  // --- what goes out

  const write = (to: FluxConnection, frame: Frame): Effect.Effect<void, FluxError.FluxError> =>
    Effect.suspend(() => {
      writingSince = now()
      return Effect.onExit(to.send(frame), (exit) =>
        Effect.sync(() => {
          writingSince = undefined
          if (Exit.isSuccess(exit) && frame.dataType === "BINARY") sentSeconds += Audio.secondsOf(format, frame.bytes.length)
        }))
    })

  const writeAudio = (to: FluxConnection): Effect.Effect<void, FluxError.FluxError> =>
    Effect.flatMap(outbox.take, (frame) =>
      frame === undefined ? Effect.void : Effect.andThen(write(to, frame), writeAudio(to)))

  const silence: Frame = { dataType: "BINARY", bytes: Audio.silence(format, Audio.frameMillis) }
  const closeStream: Frame = { dataType: "UTF8", bytes: FluxMessage.closeStream }

  const trailingSilence = Effect.fnUntraced(function*(to: FluxConnection) {
    const spoken = sentSeconds
    const deadline = now() + eotTimeoutMs + trailingReserveMillis
    while (!answered(spoken) && now() < deadline) {
      yield* write(to, silence)
      yield* Effect.sleep(Audio.frameMillis)
    }
  })

  const writeAll = Effect.fnUntraced(function*(to: FluxConnection) {
    yield* Effect.andThen(Deferred.await(connected), Effect.void)
    yield* writeAudio(to)
    status = "finishing"
    watchdog.turnOpen(false)
    if (finish === "silence") yield* trailingSilence(to)
    yield* Effect.suspend(() => {
      closeSent = true
      return write(to, closeStream)
    })
  })

  const writer = (to: FluxConnection): Effect.Effect<Ending, FluxError.FluxError> =>
    writeAll(to).pipe(
      // after CloseStream the tail may still come, although this side is broken
      Effect.catch((error) =>
        Effect.delay(Effect.fail(atThisStage(error)), closeSent ? settings.drainTimeout : reasonGrace)
      ),
      Effect.andThen(Effect.sleep(settings.drainTimeout)),
      Effect.flatMap((): Effect.Effect<Ending, FluxError.FluxError> =>
        transcribed >= sentSeconds - updateSlot
          ? Effect.succeed("drain-timeout")
          : Effect.fail(failure(new FluxError.Stalled({ seconds: Duration.toSeconds(settings.drainTimeout) })))
      )
    )

  // --- what watches over both

  const watchdog = watchdogs.make({
    clock,
    minTimeout: Duration.toMillis(settings.watchdogMinTimeout),
    cap: eotTimeoutMs + watchdogReserveMillis,
    offeredAt: outbox.offeredAt,
    lastChunk: outbox.lastChunkMillis,
    idle: () => outbox.bytes() === 0 && writingSince === undefined,
    silence: () => outbox.inject(silence),
    capped: () => {
      abandoned = latest
      turnOpen = false
      inbox.push({ type: "TurnCapped", at: now() })
    }
  })

  const sendLimit = Duration.toMillis(settings.sendTimeout)
  const sendDeadline: Effect.Effect<never, FluxError.FluxError> = Effect.suspend(() => {
    const left = writingSince === undefined ? sendLimit : writingSince + sendLimit - now()
    return left > 0
      ? Effect.andThen(Effect.sleep(left), sendDeadline)
      : Effect.fail(failure(new FluxError.SendTimeout({ seconds: sendLimit / 1000 })))
  })

  const connectedDeadline = Deferred.await(connected).pipe(
    Effect.timeoutOrElse({
      duration: settings.connectedTimeout,
      orElse: () =>
        Effect.fail(failure(
          new FluxError.ConnectTimeout({ stage: "connected", seconds: Duration.toSeconds(settings.connectedTimeout) })
        ))
    }),
    Effect.andThen(Effect.never)
  )

  // --- the life of the session

  const live = Effect.fnUntraced(function*(scope: Scope.Scope) {
    const opening = transport.open(FluxSettings.query(settings)).pipe(Scope.provide(scope), Effect.mapError(atThisStage))
    const tooLate = new FluxError.ConnectTimeout({ stage: "open", seconds: Duration.toSeconds(settings.openTimeout) })
    const opened = yield* firstOf(
      [opening, Effect.delay(Effect.suspend(() => Effect.fail(failure(tooLate))), settings.openTimeout)],
      settings.disconnectTimeout
    )
    connection = opened
    status = "accepted"
    return yield* firstOf<Ending, FluxError.FluxError, never>(
      [read(opened), writer(opened), connectedDeadline, watchdog.run, sendDeadline],
      settings.disconnectTimeout
    )
  })

  /** From here on nothing is read. Each step has its bound, so this ends whatever the peer does. */
  const close = Effect.fnUntraced(function*(exit: Exit.Exit<Ending, FluxError.FluxError>, scope: Scope.Closeable) {
    const to = connection
    const wasReady = status === "ready" || status === "finishing"
    if (Exit.isSuccess(exit) && exit.value === "drain-timeout") {
      const seconds = Duration.toSeconds(settings.drainTimeout)
      inbox.pushLast({
        type: "Notice",
        at: now(),
        code: "DRAIN_TIMEOUT",
        description: `The server did not end the session within ${seconds} s of CloseStream; what it had said is kept`
      })
    }
    inbox.pushLast({ type: "ReaderStopped", at: now(), ending: Exit.isSuccess(exit) || scopeClosed ? "closed" : "lost" })
    if (to !== undefined && wasReady && scopeClosed && !closeSent) {
      yield* attempt(to.send(closeStream), settings.disconnectTimeout)
    }
    if (to !== undefined && Exit.isSuccess(exit)) yield* attempt(to.end, settings.disconnectTimeout)
    const freed = yield* attempt(Scope.close(scope, exit), settings.disconnectTimeout)
    if (!freed) yield* Effect.logWarning("The connection was not freed in time", { requestId: to?.requestId })
    if (to !== undefined && wasReady) inbox.pushLast({ type: "Disconnected", at: now(), requestId: to.requestId })
    status = "ended"
  })

  const settle = (exit: Exit.Exit<Ending, FluxError.FluxError>): void => {
    if (Exit.isFailure(exit)) {
      const error = Option.getOrElse(Cause.findErrorOption(exit.cause), () =>
        failure(new FluxError.ConnectionLost({ detail: scopeClosed ? "its Scope was closed" : "the session died" })))
      outbox.fail(error)
      Deferred.doneUnsafe(connected, Exit.failCause(exit.cause))
    }
    outbox.finish()
    Deferred.doneUnsafe(ended, Exit.asVoid(exit))
    // whoever still listens after the Scope was closed has heard all there is
    if (Exit.isSuccess(exit) || scopeClosed) inbox.end()
    else inbox.failCause(exit.cause)
  }

  const run = Effect.uninterruptibleMask((restore) =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const lived = yield* Effect.exit(restore(live(scope)))
      // a transport that interrupts itself is a transport that broke
      const exit = Exit.hasInterrupts(lived) && !scopeClosed
        ? Exit.fail(failure(new FluxError.ConnectionLost({ detail: "the transport was interrupted" })))
        : lived
      yield* close(exit, scope)
      settle(exit)
    })
  )

  return {
    connected: Deferred.await(connected),
    send: outbox.send,
    offerUnsafe: outbox.offerUnsafe,
    endAudio: Effect.sync(outbox.finish),
    forceEndTurn: Effect.suspend(() => {
      if (!transport.capabilities.forceEndTurn) {
        return Effect.fail(failure(new FluxError.UnsupportedByEndpoint({ feature: "ForceEndTurn" })))
      }
      if (outbox.inject({ dataType: "UTF8", bytes: FluxMessage.forceEndTurn })) return Effect.void
      // too late: the session is closing, and its end ends the turn
      return Deferred.await(ended)
    }),
    finish: Effect.suspend(() => {
      outbox.finish()
      return Deferred.await(ended)
    }),
    signals: inbox.stream,
    status: Effect.sync(() => status),
    run,
    scopeClosing: Effect.sync(() => {
      scopeClosed = true
    })
  }
}

const endsNormally = (reason: FluxError.Reason, tailAnswered: boolean): boolean =>
  reason._tag === "ModelStreamError" ||
  reason._tag === "StreamFailure" ||
  (reason._tag === "ConnectionLost" && tailAnswered)
