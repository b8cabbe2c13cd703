/**
 * The events of one conversation: signals of its session go in; they are reduced to turns, counted, traced, and wait
 * for the one who listens.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type * as Tracer from "effect/Tracer"
import type { FluxError } from "../FluxError.ts"
import type { AudioDropped, EndOfTurn, FluxEvent, Update } from "../FluxEvent.ts"
import * as inboxes from "./inbox.ts"
import * as signals from "./signals.ts"
import * as telemetry from "./telemetry.ts"

/** Most events that wait for a consumer, once superseded Updates are left out: half an hour of turns. */
export const eventLimit = 4096

/** Where a session puts its signals. */
export interface Sink {
  /** False when the consumer is so far behind that the buffer is full; never waits. */
  readonly push: (signal: signals.Signal) => boolean
  /** One of the few signals that end a session, also when the buffer is full. */
  readonly pushLast: (signal: signals.Signal) => void
  /** How long Flux took to end the turn that the next signal ends, in seconds; for its span. */
  readonly latency: (seconds: number) => void
}

/** See the module. */
export interface Events {
  /** Takes the signals of a session. */
  readonly from: (source: signals.Source) => Sink
  /** No more comes; what waits is delivered first. */
  readonly end: () => void
  /** As `end`, then the stream fails. */
  readonly failCause: (cause: Cause.Cause<FluxError>) => void
  /** For one consumer. */
  readonly stream: Stream.Stream<FluxEvent, FluxError>
  /** Events that wait. */
  readonly size: () => number
  /** The span of the conversation. */
  readonly span: Tracer.AnySpan
  /** What every span of it says. */
  readonly attributes: Readonly<Record<string, string>>
  /** Number of the open turn. */
  readonly openTurn: () => number | undefined
}

/** Events of a conversation that lasts as long as the Scope. */
export const make = Effect.fnUntraced(function*(options: {
  readonly id: string
  readonly raw: boolean
  readonly model: string
}): Effect.fn.Return<Events, never, Scope.Scope> {
  const clock = yield* Clock.Clock
  const tracer = yield* Effect.tracer
  const recordTranscripts = yield* telemetry.RecordTranscripts
  const attributes = telemetry.spanAttributes(options)
  const span = yield* Effect.makeSpan(telemetry.spanNames.conversation, { attributes })
  /** Why the conversation failed; its Scope may close well all the same. */
  let failure: Cause.Cause<FluxError> | undefined
  yield* Effect.addFinalizer((exit) =>
    Effect.sync(() => span.end(clock.currentTimeNanosUnsafe(), failure === undefined ? ofOthers(exit) : Exit.failCause(failure)))
  )
  const inbox = inboxes.make<FluxEvent, FluxError>({ limit: eventLimit, merge })
  const toEvents = signals.toEvents(options)
  let turn: Tracer.Span | undefined
  let turnNumber: number | undefined

  const startTurn = (number: number, source: signals.Source): void => {
    turn = tracer.span({
      name: telemetry.spanNames.turn,
      parent: Option.some(span),
      annotations: Context.empty(),
      links: [],
      startTime: clock.currentTimeNanosUnsafe(),
      kind: "internal",
      root: false,
      sampled: span.sampled
    })
    for (const [key, value] of Object.entries(attributes)) turn.attribute(key, value)
    turnNumber = number
    turn.attribute("flux.turn", number)
    turn.attribute("flux.session", source.session)
    turn.attribute("flux.request_id", source.requestId())
  }
  const endTurn = (event: EndOfTurn): void => {
    if (turn === undefined) return
    turn.attribute("flux.ending", event.ending)
    turn.attribute("flux.accepted", event.accepted)
    turn.attribute("flux.end_of_turn_confidence", event.endOfTurnConfidence)
    if (event.averageConfidence !== undefined) turn.attribute("flux.average_confidence", event.averageConfidence)
    if (event.language !== undefined) turn.attribute("flux.language", event.language)
    turn.attribute("flux.words", event.words.length)
    turn.attribute("flux.audio_seconds", event.usage.audioSeconds)
    turn.attribute("flux.injected_seconds", event.usage.injectedSeconds)
    if (recordTranscripts) turn.attribute("flux.transcript", event.transcript)
    if (event.ending === "lost") turn.attribute("error.type", "lost")
    turn.end(clock.currentTimeNanosUnsafe(), event.ending === "lost" ? lost : Exit.void)
    turn = undefined
    turnNumber = undefined
  }
  const observe = (event: FluxEvent, source: signals.Source): void => {
    if (event.type === "StartOfTurn") startTurn(event.turn, source)
    else if (event.type === "EndOfTurn") endTurn(event)
  }

  const add = (signal: signals.Signal, source: signals.Source): void => {
    for (const event of toEvents(signal, source, clock.currentTimeMillisUnsafe())) {
      observe(event, source)
      inbox.push(event)
    }
  }

  return {
    from: (source) => ({
      push: (signal) => {
        // a signal is reduced to events or not at all: the turns go on from where they are
        if (!inbox.hasRoom()) return false
        add(signal, source)
        return true
      },
      pushLast: (signal) => add(signal, source),
      latency: (seconds) => turn?.attribute("flux.turn.latency", seconds)
    }),
    end: inbox.end,
    failCause: (cause) => {
      failure = cause
      inbox.failCause(cause)
    },
    stream: inbox.stream,
    size: inbox.size,
    span,
    attributes,
    openTurn: () => turnNumber
  }
})

/** The span of the session says why. */
const lost = Exit.fail("The turn was lost with its session")

/** What the program around a conversation fails with may hold words that were said: its own spans may tell it, this one does not. */
const ofOthers = (exit: Exit.Exit<unknown, unknown>): Exit.Exit<unknown, unknown> =>
  Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause)
    ? exit
    : Exit.fail("The audio failed, or what listens to the events")

/** An Update makes the one before it worthless, unless that would lose the turn's last words; drops in a row are one. */
const merge = (newer: FluxEvent, last: FluxEvent): FluxEvent | undefined => {
  if (newer.type === "Update" && last.type === "Update") return supersedes(newer, last) ? newer : undefined
  if (newer.type === "AudioDropped" && last.type === "AudioDropped") return joined(newer, last)
  return undefined
}

const supersedes = (newer: Update, last: Update): boolean =>
  newer.turn === last.turn && (newer.transcript !== "" || last.transcript === "")

const joined = (newer: AudioDropped, last: AudioDropped): AudioDropped | undefined =>
  newer.audioStart === last.audioEnd ? { ...newer, audioStart: last.audioStart } : undefined
