/**
 * One session of a simulated endpoint, from its request on: the model's Flux, and the faults that befall it. Plain
 * mutable state in one closure, driven by what the client does and by timers. It never throws.
 */
import * as Result from "effect/Result"
import { internalError } from "../../internal/http2Errors.ts"
import * as json from "../../internal/json.ts"
import * as deliveries from "./delivery.ts"
import type { Request } from "../Endpoint.ts"
import type { Fault } from "../Fault.ts"
import type { FluxModel } from "../FluxModel.ts"
import type { Ending, Recorder } from "../Ledger.ts"
import * as opening from "./opening.ts"
import * as query from "../model/query.ts"
import * as refusals from "./refusals.ts"
import * as runs from "./running.ts"
import * as streamErrors from "./streamErrors.ts"
import { type Player, type Refusal, type StreamError, type Surroundings, tailLost, type Wire } from "../wire.ts"

/** What a session works with. */
export interface Options {
  readonly request: Request
  /** The faults that befall this session. */
  readonly faults: ReadonlyArray<Fault>
  /** Its Flux, or why the bundle refuses the query. */
  readonly model: () => Result.Result<FluxModel, string>
  /** Makes numbers from 0 to below 1, for what happens at random. */
  readonly random: () => () => number
  /** Sessions open now, without this one. */
  readonly sessions: () => number
  readonly wire: Wire
  readonly surroundings: Surroundings
  /** `ended` is called once, when nothing more will be said. */
  readonly recorder: Recorder
}

/** Bytes of audio that wait for Connected, and as many of texts; what comes beyond them is lost. */
export const maxHeldBytes = 1024 * 1024
/** Longest life of a session, from its response headers (protocol 5.7). */
export const lifetimeSeconds = 30 * 60

/** Begins a session. */
export const open = ({ faults, model, random, recorder, request, sessions, surroundings, wire }: Options): Player => {
  const { after, decoded = atOnce, now } = surroundings
  const { endpointName, region } = request
  let running: runs.Running | undefined
  let accepted = false
  // takes input and may still say something
  let live = true
  // nothing more will be said
  let done = false
  let held: Array<() => void> = []
  let heldAudio = 0
  let heldText = 0
  let heldClose = false
  /** What the client did before the response headers that ends the session. */
  let hasty: (() => void) | undefined

  const note = (fault: Fault): void => recorder.fault(fault.fault, now())
  const noteAll = (name: Fault["fault"]): void => {
    for (const fault of faults) if (fault.fault === name) note(fault)
  }
  const lag = opening.delayOf(faults, "lag")
  const delivery = deliveries.make(wire, recorder, after, lag)
  const later = (millis: number, run: () => void): void => (millis > 0 ? after(millis, run) : run())

  /** Ends the session now; what has not left is lost. */
  const finish = (ending: Exclude<Ending, "open">, act: () => void, reason?: string): void => {
    if (done) return
    live = false
    done = true
    held = []
    delivery.drop()
    recorder.ended(ending, now(), reason)
    act()
  }
  /** Ends it behind all that was said. */
  const stop = (ending: Exclude<Ending, "open">, act: () => void): void => {
    live = false
    delivery.then(() => finish(ending, act))
  }
  const refuse = (refusal: Refusal): void => finish("refused", () => wire.refuse(refusal), refusal.reason)
  const fail = (error: StreamError): void => {
    wire.fail(error)
    wire.end()
  }

  // --- from the response headers to Connected

  const limitLife = (): void => {
    // the soonest
    const [limit] = faults.filter((fault) => fault.fault === "lifetime").toSorted((a, b) => a.seconds - b.seconds)
    const seconds = limit?.seconds ?? lifetimeSeconds
    after(seconds * 1000, () => {
      if (done) return
      recorder.fault("lifetime", now())
      finish("fault", {
        "model-stream-error": () => fail(streamErrors.modelStreamError()),
        end: wire.end,
        reset: () => wire.reset(internalError)
      }[limit?.as ?? "model-stream-error"], `${seconds} s since the response headers`)
    })
  }
  const cut = (): void => {
    const split = faults.find((fault) => fault.fault === "split-parts")
    const chop = faults.find((fault) => fault.fault === "chop-data")
    for (const fault of [split, chop]) if (fault !== undefined) note(fault)
    if (split === undefined && chop === undefined) return
    wire.cut({
      partBytes: split && (split.bytes ?? defaultPartBytes),
      chop: chop && random()
    })
  }
  const connect = (flux: FluxModel): void => {
    running = runs.make({ faults, model: flux, wire, delivery, note, stop, decoded, live: () => live })
    running.connect()
    const waiting = held
    held = []
    for (const input of waiting) if (live) input()
  }
  const accept = (flux: FluxModel): void => {
    const crowd = faults.find((fault) => fault.fault === "max-streams" && sessions() >= fault.streams)
    if (crowd?.fault === "max-streams") {
      note(crowd)
      if (crowd.as !== "flux-error") return refuse(refusals.unreachable(endpointName, region, fullUp))
    }
    accepted = true
    wire.accept()
    limitLife()
    cut()
    if (hasty !== undefined) return hasty()
    noteAll("lag")
    if (crowd !== undefined) {
      delivery.say("Error", runs.fluxError(0))
      return stop("fault", wire.end)
    }
    const never = faults.find((fault) => fault.fault === "no-connected")
    if (never !== undefined) return note(never)
    noteAll("late-connected")
    later(opening.delayOf(faults, "late-connected"), () => connect(flux))
  }

  // --- the request

  const begin = (): void => {
    const illegal = request.query === "" ? undefined : query.illegality(request.query)
    if (illegal !== undefined) return refuse(refusals.invalidInput(`ModelQueryString does not match its pattern: ${illegal}`))
    const asked = opening.read(faults, endpointName, region)
    noteAll("late-headers")
    if (asked.answer === "none") return note(asked.by)
    if (asked.answer === "refusal") {
      return later(asked.delay, () => {
        note(asked.by)
        refuse(asked.refusal)
      })
    }
    const made = model()
    if (Result.isFailure(made)) {
      return later(asked.delay, () => refuse(refusals.unreachable(endpointName, region, made.failure)))
    }
    recorder.format(made.success.format)
    later(asked.delay, () => accept(made.success))
  }
  begin()

  // --- what the client does

  /** Ends the session, once its response headers are out. */
  const hurry = (act: () => void): void => {
    if (accepted) act()
    else hasty ??= act
  }
  /** Whether CloseStream has come, and its answer has not left yet. */
  const owesTail = (): boolean => (running === undefined ? heldClose : running.owesTail())
  return {
    audio: (bytes) => {
      if (done) return
      recorder.audio(bytes, now())
      if (!live) return
      if (running !== undefined) return running.audio(bytes)
      if (heldAudio + bytes.length + heldCost > maxHeldBytes) return
      const copy = bytes.slice()
      heldAudio += copy.length + heldCost
      held.push(() => running?.audio(copy))
    },
    text: (message) => {
      if (done) return
      const type = json.typeOf(json.parse(message)) ?? "?"
      recorder.text(type, now())
      if (!live) return
      if (running !== undefined) return running.text(message, type)
      heldClose ||= type === "CloseStream"
      if (heldText + message.length + heldCost > maxHeldBytes) return
      heldText += message.length + heldCost
      held.push(() => running?.text(message, type))
    },
    bodyEnded: () => hurry(() => finish("client-ended", wire.end, owesTail() ? tailLost : undefined)),
    refused: (error) => hurry(() => finish("frame-refused", () => fail(error), error.message)),
    gone: () => finish("lost", () => {})
  }
}

const atOnce = (run: () => void): void => run()
/** What holding a message costs besides its bytes. */
const heldCost = 100
const defaultPartBytes = 7
const fullUp = "flux.max_streams is reached"
