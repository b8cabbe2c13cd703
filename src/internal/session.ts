/** The life of one session: what comes in, what goes out, what watches over both, and how it ends. */
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Audio from "../Audio.ts"
import * as FluxError from "../FluxError.ts"
import * as FluxMessage from "../FluxMessage.ts"
import * as FluxSettings from "../FluxSettings.ts"
import type { FluxConnection, FluxTransport, Frame } from "../FluxTransport.ts"
import { AttemptBound } from "./attemptBound.ts"
import { attempt, firstOf } from "./bounded.ts"
import * as catchUps from "./catchUp.ts"
import * as discretion from "./discretion.ts"
import * as endTurns from "./endTurn.ts"
import { eventLimit, type Events, type Sink } from "./events.ts"
import * as hearing from "./hearing.ts"
import * as keepAlive from "./keepAlive.ts"
import * as meters from "./meter.ts"
import * as monotonic from "./monotonic.ts"
import * as outboxes from "./outbox.ts"
import * as progresses from "./progress.ts"
import type { ReplayBuffer } from "./replayBuffer.ts"
import type { ConnectedTo, Finish, OneSession, SessionStatus } from "./sessionShape.ts"
import * as settingsChanges from "./settingsChange.ts"
import { type Listen, listenOf, type SendNow, sendNowOf } from "./shortcuts.ts"
import type * as signals from "./signals.ts"
import * as stalls from "./stall.ts"
import * as telemetry from "./telemetry.ts"
import * as timelines from "./timeline.ts"
import * as watches from "./watch.ts"
import * as watchdogs from "./watchdog.ts"
import * as writers from "./writer.ts"

/** How long a failed write waits for the reader to tell why. */
const reasonGrace = Duration.millis(500)
/** Silence in a turn beyond Flux's own timeout after which it is given up. */
const watchdogReserveMillis = 5000
/** The same at the end of the audio, or where the turn is to end. */
const trailingReserveMillis = 2000
/** Flux tells of its audio every 240 ms (protocol 4.3): less than that may stay untold. */
const updateSlot = 0.25
/** How often what waits and what was sent is reported while Flux says nothing, ms. */
const reportInterval = 1000

type Ending = "ended" | "drain-timeout"

/** A session that lives while `run` does; `run` never fails, and frees everything when it is interrupted. */
export const make = (options: {
  readonly transport: FluxTransport["Service"]
  readonly settings: FluxSettings.Settings
  readonly clock: Clock.Clock
  /** For metrics. */
  readonly context: Context.Context<never>
  readonly finish: Finish
  /** Number in its conversation. */
  readonly session: number
  readonly events: Events
  /** The audio of the conversation. */
  readonly audio: ReplayBuffer
  /** How long it may take until it is Connected, ms, besides the bounds of the settings. */
  readonly attemptBound: number
  /** Flux has told of its audio, in seconds of the conversation; it is told on by now. Not said before `feed`. */
  readonly onTurnInfo: (info: FluxMessage.TurnInfo) => void
  /** Injected silence has run out, and the open turn with it. */
  readonly onCapped: () => void
  /** Flux takes audio. */
  readonly onReady: (to: ConnectedTo) => void
  /** It has ended, or failed; what it held is not freed yet. */
  readonly onOver: (exit: Exit.Exit<void, FluxError.FluxError>) => void
}): OneSession => {
  const { audio, clock, context, events, transport } = options
  const format = FluxSettings.format(options.settings)
  const silence: Frame = { dataType: "BINARY", bytes: Audio.silence(format, Audio.frameMillis) }
  const oneSample: Frame = { dataType: "BINARY", bytes: silence.bytes.subarray(0, Audio.bytesPerSample(format.encoding)) }
  const closeStream: Frame = { dataType: "UTF8", bytes: FluxMessage.closeStream }

  const accepted = Deferred.makeUnsafe<FluxConnection>()
  const connected = Deferred.makeUnsafe<void>()
  const ended = Deferred.makeUnsafe<void, FluxError.FluxError>()
  const now = (): number => monotonic.millis(clock)

  let status: SessionStatus = "opening"
  let connection: FluxConnection | undefined
  let closeSent = false
  let scopeClosed = false
  /** Whether it is this session that tells the conversation's turns: from `feed` to `retire`. */
  let tells = false
  let retired = false
  let acceptedAt: number | undefined
  /** It was not accepted, or not Connected, in time. */
  let tooLate: FluxError.FluxError | undefined
  /** When the session came to where it is: opening, accepted, ready; ms. */
  let stageBegan = now()
  let openedAt = stageBegan

  const stage = (): FluxError.Stage =>
    status === "opening" ? "open" : status === "accepted" ? "connected" : status === "ready" ? "streaming" : "closing"
  const failure = (reason: FluxError.Reason): FluxError.FluxError =>
    FluxError.make(reason, stage(), connection?.requestId)
  const over = (ending: FluxError.CallOver["ending"]): FluxError.FluxError => failure(new FluxError.CallOver({ ending }))
  const discreet = discretion.make(options.settings)
  /** An error that holds what others say. */
  const atThisStage = ({ reason, requestId }: FluxError.FluxError): FluxError.FluxError =>
    FluxError.make(discreet.reason(reason), stage(), connection?.requestId ?? requestId)

  /** The sample of the conversation that it begins with. */
  let begin = 0
  /** Up to this one other sessions have heard it. */
  let heardTo = 0
  const timeline = timelines.make(format.sampleRate, () => begin, () => heardTo)
  const progress = progresses.make()
  const meter = meters.make(context)
  let reportedAt = now()
  const report = (): void => {
    reportedAt = now()
    meter.report(outbox.bytes(), timeline.usage())
  }
  const source = events.from({
    session: options.session,
    settings: () => changes.settings(),
    requestId: () => connection?.requestId ?? "",
    usage: (told) => timeline.usage(told ? progress.transcribed() : undefined)
  })
  const mayTell = ({ type }: signals.Signal): boolean => tells || type === "Connected" || type === "Disconnected"
  const sink: Sink = {
    ...source,
    push: (signal) => !mayTell(signal) || source.push(signal),
    pushLast: (signal) => {
      if (mayTell(signal)) source.pushLast(signal)
    },
    latency: (seconds) => {
      if (tells) source.latency(seconds)
    }
  }
  const emit = (signal: signals.Signal): Effect.Effect<void, FluxError.FluxError> =>
    sink.push(signal)
      ? Effect.void
      : Effect.fail(failure(new FluxError.BufferOverflow({ buffer: "events", limit: eventLimit })))

  const outbox = outboxes.make(
    audio,
    (frame) => {
      writer.begin(frame)
      if (frame.position === undefined) handedOver.get(frame)?.()
    },
    {
      isClear: () => sendNow?.isClear() === true && catchUp.wait() <= 0,
      send: (frame) => {
        tellDropped(sink.push)
        sendNow?.send(frame)
        writer.done()
      }
    }
  )
  let sendNow: SendNow | undefined
  /** What is to be told when a frame is handed over. */
  const handedOver = new WeakMap<Frame, () => void>()
  const changes = settingsChanges.make({
    initial: options.settings,
    capabilities: transport.capabilities,
    now,
    failure: (reason) => failure(discreet.reason(reason)),
    dueIn: (millis) => watch.dueIn(millis),
    configure: (change, told) => {
      const frame: Frame = { dataType: "UTF8", bytes: FluxMessage.configure(change) }
      handedOver.set(frame, told)
      outbox.injectFirst(frame)
    },
    tell: (news) => void sink.push(news)
  })
  const millis = (setting: settingsChanges.DurationSetting): number => Duration.toMillis(changes.settings()[setting])
  const eotTimeoutMs = (): number => changes.settings().eotTimeoutMs ?? FluxSettings.fluxEotTimeoutMs

  // --- what comes in

  const behindSeconds = (): number =>
    Math.max(0, timeline.seconds() - progress.transcribed()) + Audio.secondsOf(format, outbox.bytes())

  const onConnected = (to: FluxConnection): Effect.Effect<void, FluxError.FluxError> => {
    const { requestId, variant } = to
    status = "ready"
    telemetry.sessionsOpen.modifyUnsafe(1, context)
    telemetry.connect.connected.updateUnsafe((now() - stageBegan) / 1000, context)
    stageBegan = now()
    watchdog.turnOpen(progress.turnOpen())
    const told = emit({ type: "Connected", requestId, variant })
    changes.start()
    catchUp.begin()
    // last, as the conversation, the writer and the watchers go on right here
    options.onReady({ requestId, variant })
    Deferred.doneUnsafe(connected, Exit.void)
    return Effect.andThen(told, Effect.annotateLogs(Effect.logDebug("Connected to Flux"), {
      requestId,
      ...(variant === undefined ? {} : { variant })
    }))
  }

  const onText = hearing.make({
    now,
    context,
    timeline,
    progress,
    emit,
    failure: (reason) => failure(discreet.reason(reason)),
    onConnected: () => connection === undefined || status !== "accepted" ? Effect.void : onConnected(connection),
    onMessage: () => stall.heard(),
    onTurn: (latency) => {
      telemetry.behind.updateUnsafe(behindSeconds(), context)
      report()
      if (latency !== undefined) sink.latency(latency)
    },
    onTurnTold: (info) => {
      watchdog.turnOpen(progress.turnOpen() && status === "ready")
      if (tells) options.onTurnInfo(info)
    },
    onNoTurn: () => endTurn.ended(),
    onConfigured: (answer) => answer.type === "ConfigureSuccess" ? changes.onSuccess(answer) : changes.onFailure(answer)
  })
  /** What is to be done beyond hearing, as little has, is done before the next one is heard. */
  const hearNow = (source: Listen): Effect.Effect<void, FluxError.FluxError> => {
    const hear: Effect.Effect<void, FluxError.FluxError> = Effect.callback((resume) => {
      let resumed = false
      const goOn = (next: Effect.Effect<void, FluxError.FluxError>): void => {
        resumed = true
        resume(next)
      }
      const take = (): void => {
        if (resumed) return
        for (let text = source.next(); text !== undefined; text = source.next()) {
          const heard = onText(text)
          if (heard !== Effect.void) return goOn(Effect.andThen(heard, hear))
        }
        if (source.isOver()) goOn(Effect.void)
      }
      const stop = source.listen(take)
      take()
      return stop
    })
    return hear
  }
  const hearAll = (from: FluxConnection): Effect.Effect<void, FluxError.FluxError> => {
    const source = listenOf(from.messages)
    const rest = Stream.runForEach(from.messages, onText)
    return source === undefined ? rest : Effect.andThen(hearNow(source), rest)
  }
  const read = (from: FluxConnection): Effect.Effect<Ending, FluxError.FluxError> =>
    hearAll(from).pipe(
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
        (error) => closeSent && endsNormally(error.reason, progress.answered(timeline.seconds())),
        () => Effect.void
      ),
      Effect.as<Ending>("ended")
    )

  // --- what goes out

  const writer = writers.make({
    format,
    timeline,
    now,
    timeout: () => millis("sendTimeout"),
    timedOut: (timeout) => failure(new FluxError.SendTimeout({ seconds: timeout / 1000 })),
    onAudio: (seconds) => {
      catchUp.sent(seconds)
      // a sample that keeps the session alive is no audio to speak of
      if (seconds * 1000 >= 1) stall.sent(seconds)
    }
  })
  /** Nothing is under way, and nothing waits that may go. */
  const idle = (): boolean => outbox.bytesToTake() === 0 && !writer.busy()

  const catchUp = catchUps.make({ now, speed: () => changes.settings().catchUpSpeed, nextAt: outbox.nextAt })

  /** What was dropped before this frame is told before it goes. */
  const tellDropped = (tell: (signal: signals.Signal) => void): void => {
    if (!tells) return
    for (const { from, to } of audio.takeDropped()) {
      tell({ type: "AudioDropped", from: from / format.sampleRate, to: to / format.sampleRate })
    }
  }
  const writeAudio = (to: FluxConnection): Effect.Effect<void, FluxError.FluxError> => {
    const go = (frame: outboxes.Taken): Effect.Effect<void, FluxError.FluxError> => {
      tellDropped(sink.push)
      return frame === undefined ? Effect.void : Effect.flatMap(writer.send(to, frame), again)
    }
    const again = (): Effect.Effect<void, FluxError.FluxError> => loop
    const loop: Effect.Effect<void, FluxError.FluxError> = Effect.suspend(() => {
      const wait = catchUp.wait()
      return wait > 0 ? Effect.flatMap(Effect.sleep(wait), again) : Effect.flatMap(outbox.take, go)
    })
    return loop
  }

  const trailingSilence = (to: FluxConnection) =>
    Effect.gen(function*() {
      const spoken = timeline.seconds()
      const deadline = now() + eotTimeoutMs() + trailingReserveMillis
      while (!progress.answered(spoken) && now() < deadline) {
        yield* writer.write(to, silence)
        yield* Effect.sleep(Audio.frameMillis)
      }
    })

  const writeAll = (to: FluxConnection) =>
    Effect.gen(function*() {
      yield* inSpan(
        telemetry.spanNames.connectConnected,
        Effect.andThen(Effect.annotateCurrentSpan("flux.request_id", to.requestId), Deferred.await(connected))
      )
      sendNow = sendNowOf(to.send)
      yield* writeAudio(to)
      status = "finishing"
      watchdog.turnOpen(false)
      if (options.finish === "silence" && !retired) yield* trailingSilence(to)
      yield* Effect.suspend(() => {
        closeSent = true
        return writer.write(to, closeStream)
      })
    })

  const write = (to: FluxConnection): Effect.Effect<Ending, FluxError.FluxError> =>
    writeAll(to).pipe(
      // after CloseStream the tail may still come, although this side is broken
      Effect.catch((error) =>
        Effect.delay(Effect.fail(atThisStage(error)), closeSent ? millis("drainTimeout") : reasonGrace)
      ),
      Effect.andThen(Effect.suspend(() => Effect.sleep(millis("drainTimeout")))),
      Effect.flatMap((): Effect.Effect<Ending, FluxError.FluxError> =>
        progress.transcribed() >= timeline.seconds() - updateSlot
          ? Effect.succeed("drain-timeout")
          : Effect.fail(failure(new FluxError.Stalled({ seconds: millis("drainTimeout") / 1000 })))
      )
    )

  // --- what watches over both

  const capped = (): void => {
    progress.abandon()
    watchdog.turnOpen(false)
    sink.pushLast({ type: "TurnCapped" })
    if (tells) options.onCapped()
  }
  const watchdog = watchdogs.make({
    now,
    patience: () => audio.isMuted() ? 0 : Math.max(2 * audio.lastChunkMillis(), millis("watchdogMinTimeout")),
    cap: () => eotTimeoutMs() + watchdogReserveMillis,
    offeredAt: audio.offeredAt,
    // a turn that is being ended gets its silence from there
    idle: () => idle() && !outbox.isHeld(),
    silence: () => outbox.inject(silence),
    capped,
    dueIn: (millis) => watch.dueIn(millis)
  })
  const stall = stalls.make({
    now,
    timeout: () => millis("stallTimeout"),
    // what comes after CloseStream has a bound of its own
    expecting: () => !closeSent && (progress.turnOpen() || progress.tellsOfIdleAudio()),
    stalled: () => failure(new FluxError.Stalled({ seconds: millis("stallTimeout") / 1000 }))
  })
  const endTurn = endTurns.make({
    outbox,
    beforeLetGo: catchUp.begin,
    progress,
    now,
    secondsAt: (sample) => timeline.seconds() + Audio.secondsOf(format, outbox.bytesBefore(sample)),
    sentSeconds: timeline.seconds,
    idle,
    silence,
    force: transport.capabilities.forceEndTurn,
    limit: () => eotTimeoutMs() + trailingReserveMillis,
    giveUp: capped,
    sessionEnd: Deferred.await(ended)
  })

  /** Accepted, and Connected, each within its bound. */
  const connecting: watches.Duty<FluxError.FluxError> = () => {
    const at = stage()
    if (at !== "open" && at !== "connected") return Number.POSITIVE_INFINITY
    const ofStage = millis(at === "open" ? "openTimeout" : "connectedTimeout")
    const left = Math.min(stageBegan + ofStage, openedAt + options.attemptBound) - now()
    if (left > 0) return left
    tooLate = failure(new FluxError.ConnectTimeout({ stage: at, seconds: Math.min(ofStage, options.attemptBound) / 1000 }))
    return tooLate
  }
  const sendKeepAlive = keepAlive.make({
    now,
    interval: () => millis("keepAliveInterval"),
    sentAt: () => Math.max(writer.sentAt(), stageBegan),
    idle: () => status === "ready" && !progress.turnOpen() && idle(),
    send: () => outbox.inject(oneSample)
  })
  let lookedAt = now()
  /** Once in a while. */
  const reporting: watches.Duty<never> = () => {
    const left = lookedAt + reportInterval - now()
    if (left > 0) return left
    lookedAt = now()
    // what waits is of interest just when nothing comes in
    if (lookedAt >= reportedAt + reportInterval) report()
    // a turn of another session, which this one has had every chance to hear
    const until = progress.carriedUntil()
    const reserve = (eotTimeoutMs() + watchdogReserveMillis) / 1000
    if (until !== undefined && timeline.end(timeline.seconds()) > until + reserve) capped()
    return reportInterval
  }
  const watch: watches.Watch<FluxError.FluxError> = watches.make<FluxError.FluxError>(now, [
    connecting,
    watchdog.look,
    sendKeepAlive,
    stall.look,
    changes.look,
    writer.deadline,
    reporting
  ])

  // --- the life of the session

  /** Ends as the step does, but for what the watch has made of it. */
  const inSpan = <A>(name: string, step: Effect.Effect<A, FluxError.FluxError>): Effect.Effect<A, FluxError.FluxError> =>
    Effect.flatMap(Effect.makeSpan(name), (span) =>
      step.pipe(
        Effect.withParentSpan(span),
        Effect.onExit((exit) => Effect.sync(() =>
          span.end(clock.currentTimeNanosUnsafe(), tooLate === undefined ? exit : Exit.fail(tooLate))))
      ))
  const onAccepted = (to: FluxConnection): void => {
    connection = to
    status = "accepted"
    acceptedAt = now()
    telemetry.connect.open.updateUnsafe((acceptedAt - stageBegan) / 1000, context)
    stageBegan = acceptedAt
    watch.dueIn(millis("connectedTimeout"))
    Deferred.doneUnsafe(accepted, Exit.succeed(to))
  }
  const open = (scope: Scope.Scope): Effect.Effect<FluxConnection, FluxError.FluxError> =>
    inSpan(
      telemetry.spanNames.connectOpen,
      transport.open(FluxSettings.query(options.settings)).pipe(
        Scope.provide(scope),
        Effect.provideService(AttemptBound, Math.min(options.attemptBound, millis("openTimeout"))),
        Effect.mapError(atThisStage),
        Effect.tap(({ requestId }) => Effect.annotateCurrentSpan("flux.request_id", requestId))
      )
    )
  const live = (scope: Scope.Scope): Effect.Effect<Ending, FluxError.FluxError> => {
    openedAt = now()
    stageBegan = openedAt
    const reading = Effect.flatMap(open(scope), (to) => {
      onAccepted(to)
      return read(to)
    })
    return firstOf<Ending, FluxError.FluxError, never>(
      [watch.run, Effect.flatMap(Deferred.await(accepted), write), reading],
      changes.settings().disconnectTimeout
    )
  }

  /** From here on nothing is read. Each step has its bound, so this ends whatever the peer does. */
  const close = (exit: Exit.Exit<Ending, FluxError.FluxError>, scope: Scope.Closeable) =>
    Effect.gen(function*() {
      const to = connection
      const wasReady = status === "ready" || status === "finishing"
      const { disconnectTimeout, drainTimeout } = changes.settings()
      if (Exit.isSuccess(exit) && exit.value === "drain-timeout") {
        const seconds = Duration.toSeconds(drainTimeout)
        sink.pushLast({
          type: "Notice",
          code: "DRAIN_TIMEOUT",
          description: `The server did not end the session within ${seconds} s of CloseStream; what it had said is kept`
        })
      }
      tellDropped(sink.pushLast)
      // whether what failed is lost, the conversation knows
      if (Exit.isSuccess(exit) || scopeClosed) sink.pushLast({ type: "ReaderStopped", ending: "closed" })
      if (to !== undefined && wasReady && scopeClosed && !closeSent) {
        yield* attempt(to.send(closeStream), disconnectTimeout)
      }
      if (to !== undefined && Exit.isSuccess(exit)) yield* attempt(to.end, disconnectTimeout)
      const freed = yield* attempt(Scope.close(scope, exit), disconnectTimeout)
      if (!freed) yield* withRequest(Effect.logWarning("The connection was not freed in time"), to?.requestId)
      if (to !== undefined && wasReady) {
        sink.pushLast({ type: "Disconnected", requestId: to.requestId })
        telemetry.sessionsOpen.modifyUnsafe(-1, context)
        yield* withRequest(Effect.logDebug("Disconnected from Flux"), to.requestId)
      }
      meter.report(0, timeline.usage())
      status = "ended"
    })

  /** What whoever asks something of the session fails with from now on. */
  const errorOf = (exit: Exit.Exit<Ending, FluxError.FluxError>): FluxError.FluxError =>
    Exit.isSuccess(exit)
      ? over("finished")
      : Option.getOrElse(Cause.findErrorOption(exit.cause), () =>
        scopeClosed ? over("closed") : failure(new FluxError.ConnectionLost({ detail: "the session died" })))
  /** How it ended for those who wait for that: an interruption is not theirs. */
  const told = (exit: Exit.Exit<Ending, FluxError.FluxError>): Exit.Exit<void, FluxError.FluxError> =>
    Exit.isSuccess(exit) ? Exit.void : Exit.hasInterrupts(exit) ? Exit.fail(errorOf(exit)) : exit

  const settle = (exit: Exit.Exit<Ending, FluxError.FluxError>): void => {
    changes.stop(errorOf(exit))
    Deferred.doneUnsafe(ended, told(exit))
  }

  /** The error itself goes to whoever listens; this is for the metrics, log and trace of all calls. */
  const tellFailure = (exit: Exit.Exit<Ending, FluxError.FluxError>): Effect.Effect<void> => {
    if (scopeClosed || retired || Exit.isSuccess(exit)) return Effect.void
    const error = Option.getOrUndefined(Exit.findErrorOption(exit))
    const reason = error?.reason._tag ?? "Defect"
    const at = error?.stage ?? stage()
    const turn = events.openTurn()
    telemetry.errorsBy(reason).updateUnsafe(1, context)
    return Effect.logInfo("The session with Flux failed").pipe(
      Effect.annotateLogs({
        reason,
        stage: at,
        ...(error === undefined ? {} : { error: error.message }),
        ...(turn === undefined ? {} : { turn })
      }),
      (log) => withRequest(log, error?.requestId ?? connection?.requestId),
      Effect.andThen(Effect.annotateCurrentSpan({ "error.type": reason, "flux.stage": at }))
    )
  }

  const run = Effect.uninterruptibleMask((restore) =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const lived = yield* Effect.exit(restore(live(scope)))
      // a transport that interrupts itself is a transport that broke
      const exit = Exit.hasInterrupts(lived) && !scopeClosed
        ? Exit.fail(failure(new FluxError.ConnectionLost({ detail: "the transport was interrupted" })))
        : lived
      const requestId = connection?.requestId ?? Option.getOrUndefined(Exit.findErrorOption(exit))?.requestId
      if (requestId !== undefined) yield* Effect.annotateCurrentSpan("flux.request_id", requestId)
      if (connection?.variant !== undefined) yield* Effect.annotateCurrentSpan("flux.variant", connection.variant)
      yield* tellFailure(exit)
      outbox.close()
      options.onOver(told(exit))
      yield* close(exit, scope)
      settle(exit)
      return yield* exit
    }).pipe(
      // where in this package it begins tells nobody anything
      Effect.withSpan(telemetry.spanNames.session, { parent: events.span, kind: "client" }, { captureStackTrace: false }),
      Effect.annotateSpans({ ...events.attributes, "flux.session": options.session }),
      // the span has it, and who listens
      Effect.exit,
      Effect.asVoid
    )
  )

  return {
    feed: (from, until) => {
      begin = from
      heardTo = audio.readTo()
      tells = true
      if (until !== undefined) {
        sink.pushLast({ type: "Carried", from: from / format.sampleRate, until })
        if (events.openTurn() !== undefined) progress.carry(until)
      }
      if (status === "ready") watchdog.turnOpen(progress.turnOpen())
      catchUp.begin()
      // last, as the writer begins right here
      outbox.feed(from)
    },
    retire: () => {
      tellDropped(sink.pushLast)
      retired = true
      tells = false
      outbox.stop()
      watchdog.turnOpen(false)
      // of this session: what is wanted of it goes on to the next one
      changes.stop(over("finished"))
    },
    isRetired: () => retired,
    tell: source.pushLast,
    obstacles: (settings) => changes.obstacles(settings),
    change: (next) =>
      Effect.suspend(() => {
        if (status === "finishing" || status === "ended") return Effect.fail(over("finished"))
        return changes.change((current) => Result.tap(next(current), discreet.learn))
      }),
    endTurn: endTurn.run,
    mutedChanged: watchdog.changed,
    status: () => status,
    acceptedAt: () => acceptedAt,
    settings: () => changes.settings(),
    turnOpen: progress.turnOpen,
    tellsOfIdleAudio: progress.tellsOfIdleAudio,
    reached: timeline.reached,
    outboxBytes: outbox.bytes,
    behindSeconds,
    run,
    scopeClosing: () => {
      scopeClosed = true
    }
  }
}

const withRequest = <A>(log: Effect.Effect<A>, requestId: string | undefined): Effect.Effect<A> =>
  requestId === undefined ? log : Effect.annotateLogs(log, { requestId })

const endsNormally = (reason: FluxError.Reason, tailAnswered: boolean): boolean =>
  reason._tag === "ModelStreamError" ||
  reason._tag === "StreamFailure" ||
  (reason._tag === "ConnectionLost" && tailAnswered)
