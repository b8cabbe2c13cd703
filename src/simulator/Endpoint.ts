/**
 * A simulated endpoint, whatever carries it: numbers its sessions, befalls them with faults, and keeps the ledger.
 * The HTTP/2 server and the fake transport are two doors to the same one. No time but what it is given.
 */
import type { ProfileName } from "../FluxTransport.ts"
import type { Fault } from "./Fault.ts"
import type { CloseMode } from "./FluxModel.ts"
import type { SessionRecord } from "./Ledger.ts"
import type { Profile } from "./Profile.ts"
import type { Recording } from "./Recording.ts"
import type { Script } from "./Script.ts"
import type { Player, Refusal, Surroundings, Wire } from "./wire.ts"

/** How a simulated endpoint behaves. */
export interface Behaviour {
  /** What is said in each session, and the faults that belong to it; default: placeholders, such as `speech-1`. */
  readonly script?: Script | undefined
  /** Which bundle it plays; default: the narrowest that runs the model asked for. */
  readonly profile?: ProfileName | Profile | undefined
  /** What CloseStream does to an open turn (protocol 4.6); default the script's, else `update`. */
  readonly closeMode?: CloseMode | undefined
  /** What goes wrong, besides the faults of the script. */
  readonly faults?: ReadonlyArray<Fault> | undefined
  /** For faults that are left to chance; the same seed gives the same faults. Default the script's, else 1. */
  readonly seed?: number | undefined
  /** Sessions are answered as a captured server answered; script, profile and faults are then without effect. */
  readonly replay?: Recording | undefined
}

/** A request that SageMaker's own checks have passed. */
export interface Request {
  /** The `v2/listen` query string. */
  readonly query: string
  /** SageMaker's id of it. */
  readonly requestId: string
  /** Flux's id of the session: a UUID. */
  readonly fluxRequestId: string
  readonly endpointName: string
  readonly region: string
}

/** What happened to a session, for a log; `record` is a snapshot. */
export interface Happening {
  readonly what: "opened" | "refused" | "ended"
  readonly record: SessionRecord
  /** Set with `refused`. */
  readonly refusal?: Refusal | undefined
}

/** A simulated endpoint. */
export interface Endpoint {
  /** Begins a session; it answers over the wire, at once or later. */
  readonly open: (request: Request, wire: Wire, surroundings: Surroundings) => Player
  /** Notes a request that never got so far, such as one with a wrong signature; the door answers it. */
  readonly refused: (request: Partial<Request>, refusal: Refusal, nowMillis: number) => void
  /** Whether the next TCP connection is taken and then left alone (`accept-and-hang`). Counts connections. */
  readonly hangs: () => boolean
  /** Sessions open now: from the response headers until nothing more will be said. */
  readonly sessions: () => number
  /** The records of sessions, oldest first; of those that have ended the newest 10,000. */
  readonly ledger: () => ReadonlyArray<SessionRecord>
}

/** A new {@link Endpoint}. */
export const make = (_behaviour: Behaviour, _onHappening?: (happening: Happening) => void): Endpoint => {
  throw new Error("not written yet")
}
