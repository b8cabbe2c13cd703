/** A session from Connected on: what the model says to audio and texts, and the faults of its running. */
import { bytesOf, frameMillis } from "../../Audio.ts"
import { internalError } from "../../internal/http2Errors.ts"
import type { Delivery } from "./delivery.ts"
import { type Fault, isTimed, type Timed } from "../Fault.ts"
import type { FluxModel, Said } from "../FluxModel.ts"
import type { Ending } from "../Ledger.ts"
import * as moments from "./moments.ts"
import * as streamErrors from "./streamErrors.ts"
import type { Wire } from "../wire.ts"

/** What a running session works with. */
export interface Options {
  readonly faults: ReadonlyArray<Fault>
  readonly model: FluxModel
  readonly wire: Wire
  readonly delivery: Delivery
  /** Notes that a fault has happened. */
  readonly note: (fault: Fault) => void
  /** Runs something once Flux has decoded what is left at CloseStream. */
  readonly decoded: (run: () => void) => void
  /** Ends the session once all that was said before has left. */
  readonly stop: (ending: Exclude<Ending, "open">, act: () => void) => void
  /** False once the session was stopped. */
  readonly live: () => boolean
}

/** See the module. */
export interface Running {
  /** Says Connected. */
  readonly connect: () => void
  readonly audio: (bytes: Uint8Array) => void
  /** A text message, and its `type`. */
  readonly text: (message: string, type: string) => void
  /** Whether CloseStream has come, and its answer has not left yet. */
  readonly owesTail: () => boolean
}

/** A new {@link Running}. */
export const make = ({ decoded, delivery, faults, live, model, note, stop, wire }: Options): Running => {
  const { format } = model
  const frameBytes = bytesOf(format, frameMillis)
  const timed = moments.make(faults.filter(isTimed), format)
  const noted = new Set<Fault>()
  let position = 0
  let sequence = 0
  // nothing more is heard: CloseStream has come, or a message that is fatal
  let closed = false
  let owesTail = false
  // bytes of audio up to which nothing is said
  let muteUntil = Number.NEGATIVE_INFINITY

  const muted = (): boolean => position < muteUntil
  const noteOnce = (fault: Fault): void => {
    if (noted.has(fault)) return
    noted.add(fault)
    note(fault)
  }
  const omitted = ({ kind, turn }: Said): boolean => {
    const by = faults.find((fault) =>
      fault.fault === "omit" && fault.event === kind && (fault.turn === undefined || fault.turn === turn)
    )
    if (by !== undefined) noteOnce(by)
    return by !== undefined
  }

  const breakOff = (act: () => void): void => stop("fault", act)
  const act = (fault: Timed): void => {
    if (!live()) return
    note(fault)
    switch (fault.fault) {
      case "throttle":
      case "model-stream-error":
      case "internal-stream-failure":
      case "error-frame": {
        const error = streamErrors.of(fault)
        return breakOff(() => {
          wire.fail(error)
          wire.end()
        })
      }
      case "flux-error":
        delivery.say("Error", fluxError(sequence, fault.code, fault.description))
        return breakOff(wire.end)
      case "end":
        return breakOff(wire.end)
      case "reset":
        return breakOff(() => wire.reset(fault.code ?? internalError))
      case "drop-socket":
        return breakOff(wire.drop)
      case "go-away": {
        const code = fault.code ?? 0
        return code === 0 ? delivery.then(() => wire.goAway(0)) : breakOff(() => wire.goAway(code))
      }
      case "stop-reading":
        return wire.stopReading()
      case "corrupt-crc":
        return delivery.then(wire.corrupt)
      case "mute":
        muteUntil = fault.for === undefined
          ? Number.POSITIVE_INFINITY
          : Math.max(muteUntil, position + moments.bytesAt(format, fault.for))
        return
      case "say":
        return delivery.say("say", fault.text)
    }
  }
  const actAll = (due: ReadonlyArray<Timed>): void => {
    for (const fault of due) act(fault)
  }

  /** Says what the model said, unless it was said in a mute. A turn's faults follow right on its StartOfTurn. */
  const tell = (messages: ReadonlyArray<Said>, inMute = false): void => {
    for (const said of messages) {
      if (!live()) return
      sequence++
      if (!inMute && !muted() && !omitted(said)) delivery.say(said.kind, said.text)
      if (said.kind === "StartOfTurn" && said.turn !== undefined) actAll(timed.turnStarted(said.turn, position))
    }
  }
  /** Answers CloseStream. A client that ends its body meanwhile has ended the session, and gets nothing of it. */
  const answerClose = (messages: ReadonlyArray<Said>): void => {
    if (!live()) return
    tell(messages)
    actAll(timed.end())
    if (!live() || muted()) return
    delivery.then(() => {
      owesTail = false
    })
    const open = faults.find((fault) => fault.fault === "stay-open")
    if (open !== undefined) return note(open)
    stop("flux-closed", wire.end)
  }
  /** Bytes up to the next point at which something may happen. */
  const untilPoint = (): number => {
    const frame = timed.awaitTurn() ? frameBytes - (position % frameBytes) : Number.POSITIVE_INFINITY
    const voice = muted() ? muteUntil - position : Number.POSITIVE_INFINITY
    return Math.min(timed.next() - position, frame, voice)
  }

  return {
    connect: () => {
      tell([model.connected()])
      actAll(timed.connected())
      actAll(timed.due(position))
    },
    audio: (bytes) => {
      if (closed) return
      let at = 0
      while (at < bytes.length && live()) {
        const piece = bytes.subarray(at, at + untilPoint())
        const inMute = muted()
        at += piece.length
        position += piece.length
        tell(model.audio(piece), inMute)
        actAll(timed.due(position))
      }
    },
    text: (message, type) => {
      if (closed) return
      const { closes, messages } = model.text(message)
      if (!closes) {
        if (type === "Configure") {
          // the first one acts
          const by = faults.find(isConfigureFault)
          if (by !== undefined) note(by)
        }
        return tell(messages)
      }
      closed = true
      if (messages.some(({ kind }) => kind === "Error")) {
        tell(messages)
        if (!muted()) stop("flux-error", wire.end)
        return
      }
      owesTail = true
      actAll(timed.close())
      decoded(() => answerClose(messages))
    },
    owesTail: () => owesTail
  }
}

const isConfigureFault = ({ fault }: Fault): boolean => fault === "configure-failure" || fault === "configure-lost"


/** Flux's fatal Error (protocol 2.6); it has no `request_id`. */
export const fluxError = (
  sequence: number,
  code = "INTERNAL_SERVER_ERROR",
  description = "An internal server error occurred"
): string => JSON.stringify({ type: "Error", sequence_id: sequence, code, description })
