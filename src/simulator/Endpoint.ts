/**
 * A simulated endpoint, whatever carries it: numbers its sessions, befalls them with faults, and keeps the ledger.
 * The HTTP/2 server and the fake transport are two doors to the same one. No time but what it is given.
 */
import type { ProfileName } from "../FluxTransport.ts"
import * as Fault from "./Fault.ts"
import * as FluxModel from "./FluxModel.ts"
import * as Ledger from "./Ledger.ts"
import * as query from "./model/query.ts"
import * as uuid7 from "./model/uuid7.ts"
import * as Profile from "./Profile.ts"
import type { Recording } from "./Recording.ts"
import * as Replay from "./Replay.ts"
import { placeholders, type Script } from "./Script.ts"
import * as sessionOf from "./session/session.ts"
import type { Player, Refusal, Surroundings, Wire } from "./wire.ts"

/** How a simulated endpoint behaves. */
export interface Behaviour {
  /** What is said in each session, and the faults that belong to it; default: placeholders, such as `speech-1`. */
  readonly script?: Script | undefined
  /** Which bundle it plays; default: the narrowest that runs the model asked for. */
  readonly profile?: ProfileName | Profile.Profile | undefined
  /** What CloseStream does to an open turn (protocol 4.6); default the script's, else `update`. */
  readonly closeMode?: FluxModel.CloseMode | undefined
  /** What goes wrong, besides the faults of the script. */
  readonly faults?: ReadonlyArray<Fault.Fault> | undefined
  /** For faults that are left to chance; the same seed gives the same faults. Default the script's, else 1. */
  readonly seed?: number | undefined
  /**
   * All sessions are of one call: lines without times go on from session to session, each until its turn has ended.
   * Default false: every session begins with the first line.
   */
  readonly oneCall?: boolean | undefined
  /** Sessions are answered as a captured server answered; script, profile and faults are then without effect. */
  readonly replay?: Recording | undefined
}

/** A request that SageMaker's own checks have passed. */
export interface Request {
  /** The `v2/listen` query string. */
  readonly query: string
  /** SageMaker's id of it. */
  readonly requestId: string
  /** Flux's id of the session: a UUID of version 4; a bundle with `requestIdVersion` 7 makes one of that out of it. */
  readonly fluxRequestId: string
  readonly endpointName: string
  readonly region: string
}

/** What happened to a session, for a log; `record` is a snapshot. */
export interface Happening {
  readonly what: "opened" | "refused" | "ended"
  readonly record: Ledger.SessionRecord
  /** Set with `refused`. */
  readonly refusal?: Refusal | undefined
  /** With `ended`: faults of the session whose moment never came. */
  readonly unmet?: ReadonlyArray<Fault.Name> | undefined
}

/** A simulated endpoint. */
export interface Endpoint {
  /** Begins a session; it answers over the wire, at once or later. */
  readonly open: (request: Request, wire: Wire, surroundings: Surroundings) => Player
  /** Notes a request that never got so far, such as one with a wrong signature; the door answers it. */
  readonly refused: (request: Partial<Request>, refusal: Refusal, nowMillis: number) => void
  /**
   * Whether a TCP connection that has just come is to be left alone (`accept-and-hang`). One that is takes the number
   * of the session it would have carried; it has no record, as nothing is known of it.
   */
  readonly hangs: () => boolean
  /** Sessions open now: from the response headers until nothing more will be said. */
  readonly sessions: () => number
  /** The records of sessions, oldest first; of those that have ended the newest 10,000. */
  readonly ledger: () => ReadonlyArray<Ledger.SessionRecord>
}

/** How many records of ended sessions are kept. */
export const maxRecords = 10_000

/** A new {@link Endpoint}. `onHappening` must not throw. */
export const make = (behaviour: Behaviour, onHappening: (happening: Happening) => void = () => {}): Endpoint => {
  const { closeMode, profile, replay } = behaviour
  const script = behaviour.script ?? placeholders
  const faults = replay === undefined ? [...script.faults, ...(behaviour.faults ?? [])] : []
  const seed = behaviour.seed ?? script.seed ?? defaultSeed
  /** In the order of coming in. */
  const recorders = new Set<Ledger.Recorder>()
  const ended = new Set<Ledger.Recorder>()
  let numbers = 0
  let sessions = 0
  /** Lines whose turns have ended, where all sessions are of one call. */
  let linesSaid = 0

  const happen = (what: "opened" | "refused", recorder: Ledger.Recorder, refusal?: Refusal): void =>
    onHappening({ what, record: recorder.record(), refusal })
  const tellEnd = (recorder: Ledger.Recorder, planned: ReadonlyArray<Fault.Fault>): void => {
    const record = recorder.record()
    const met = new Set(record.faults.map(({ fault }) => fault))
    const unmet = planned.filter((fault) => Fault.isTimed(fault) && !met.has(fault.fault)).map(({ fault }) => fault)
    onHappening({ what: "ended", record, unmet })
  }

  const forget = (recorder: Ledger.Recorder): void => {
    ended.add(recorder)
    for (const oldest of ended) {
      if (ended.size <= maxRecords) return
      ended.delete(oldest)
      recorders.delete(oldest)
    }
  }

  /** The recorder of a request; it and the wire that goes with it tell what happens to the session. */
  const begin = (request: Partial<Request>, openedAt: number, session?: number, planned: ReadonlyArray<Fault.Fault> = []) => {
    const plain = Ledger.recorder({
      ...(session === undefined ? {} : { session }),
      requestId: request.requestId ?? "",
      endpoint: request.endpointName ?? "",
      query: request.query ?? "",
      openedAt
    })
    recorders.add(plain)
    let accepted = false
    let over = false
    const recorder: Ledger.Recorder = {
      ...plain,
      ended: (ending, now, reason) => {
        if (over) return
        over = true
        plain.ended(ending, now, reason)
        if (accepted) sessions--
        if (ending !== "refused") tellEnd(plain, planned)
        forget(plain)
      }
    }
    const tell = (wire: Wire, now: () => number): Wire => ({
      ...wire,
      accept: () => {
        accepted = true
        sessions++
        wire.accept()
        happen("opened", plain)
      },
      refuse: (refusal) => {
        recorder.ended("refused", now(), refusal.reason)
        wire.refuse(refusal)
        happen("refused", plain, refusal)
      }
    })
    return { recorder, tell }
  }

  const requestIdOf = (request: Request, now: number): string =>
    Profile.resolve(profile, query.modelOf(request.query)).requestIdVersion === 7
      ? uuid7.from(request.fluxRequestId, now)
      : request.fluxRequestId

  return {
    open: (request, wire, surroundings) => {
      const session = numbers++
      const planned = Fault.plan(faults, seed, session)
      const { recorder, tell } = begin(request, surroundings.now(), session, planned)
      const told = tell(wire, surroundings.now)
      let first: number | undefined
      let turnsEnded = 0
      const counting: Ledger.Recorder = {
        ...recorder,
        said: (kind, bytes) => {
          recorder.said(kind, bytes)
          if (kind !== "EndOfTurn") return
          turnsEnded++
          linesSaid = Math.max(linesSaid, (first ?? 0) + turnsEnded)
        }
      }
      const captured = replay?.sessions[session % replay.sessions.length]
      if (captured !== undefined) return Replay.open(captured, { request, wire: told, surroundings, recorder })
      return sessionOf.open({
        request,
        faults: planned,
        model: () =>
          FluxModel.make({
            query: request.query,
            requestId: requestIdOf(request, surroundings.now()),
            script,
            closeMode,
            profile,
            firstLine: () => {
              first ??= behaviour.oneCall === true ? linesSaid : 0
              return first
            },
            configureFault: configureFaultOf(planned)
          }),
        random: () => Fault.random(seed, session),
        sessions: () => sessions,
        wire: told,
        surroundings,
        recorder: counting
      })
    },
    refused: (request, refusal, nowMillis) => {
      const { recorder } = begin(request, nowMillis)
      recorder.ended("refused", nowMillis, refusal.reason)
      happen("refused", recorder, refusal)
    },
    hangs: () => {
      const hangs = Fault.plan(faults, seed, numbers).some(({ fault }) => fault === "accept-and-hang")
      if (hangs) numbers++
      return hangs
    },
    sessions: () => sessions,
    ledger: () => [...recorders].map((recorder) => recorder.record())
  }
}

const defaultSeed = 1

const configureFaultOf = (faults: ReadonlyArray<Fault.Fault>): FluxModel.ConfigureFault | undefined => {
  for (const fault of faults) {
    if (fault.fault === "configure-lost") return { kind: "lost" }
    if (fault.fault === "configure-failure") return { kind: "failure", code: fault.code, description: fault.description }
  }
  return undefined
}
